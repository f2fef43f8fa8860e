"""What turns: the factors of bearings, and faults of `[geometry]`."""

import pytest
from config_files import SENSOR, faults, written

from appliance.check import load
from appliance.geometry import Bearing, Geometry, orders

THICK = "balls = 9\nball_mm = 30\npitch_mm = 39"
REST = "bsf = 1.99\nftf = 0.381"
DIMENSIONS = "balls = 9\nball_mm = 7.94\npitch_mm = 39.04\n"


def test_a_6205_has_the_factors_of_its_catalogue():
    found = orders(Bearing(balls=9, ball_mm=7.94, pitch_mm=39.04))
    assert found == pytest.approx((3.585, 5.415, 2.357, 0.3983), abs=1e-3)


def test_a_contact_angle_brings_the_races_together():
    found = orders(Bearing(balls=12, ball_mm=10.0, pitch_mm=50.0, contact_deg=60.0))
    assert found == pytest.approx((5.4, 6.6, 2.475, 0.45))


def test_factors_are_taken_as_given_and_nothing_is_guessed():
    assert orders(Bearing(bpfo=3.05, bpfi=4.95, bsf=1.99, ftf=0.381)) == (3.05, 4.95, 1.99, 0.381)
    assert orders(Bearing(axial="x")) is None


def test_speeds_in_turns_per_second():
    assert Geometry().speed_hz == (None, None)
    assert Geometry(speed_rpm=1200.0, top_speed_rpm=1800.0).speed_hz == (20.0, 30.0)


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        (
            "[geometry]\nspeed_rpm = 1500\ntop_speed_rpm = 1400",
            "geometry.top_speed_rpm",
            "1400 with speed_rpm 1500",
        ),
        ("[geometry]\ntop_speed_rpm = 1400", "geometry.top_speed_rpm", "1400 with speed_rpm left out"),
        (f"[geometry.bearing.dee]\n{DIMENSIONS}", "geometry.bearing.dee", "no vibration sensor of this file"),
        (
            "[geometry.bearing.de]\nballs = 9",
            "geometry.bearing.de",
            "only balls; expected balls, ball_mm and",
        ),
        (
            "[geometry.bearing.de]\nbpfo = 3\nbpfi = 5",
            "geometry.bearing.de",
            "only bpfo, bpfi; expected bpfo, bpfi,",
        ),
        (f"[geometry.bearing.de]\n{DIMENSIONS}bpfo = 3.6", "geometry.bearing.de.balls", "given with bpfo"),
        (f"[geometry.bearing.de]\n{THICK}", "geometry.bearing.de.ball_mm", "30 on a circle of 39"),
        (f"[geometry.bearing.de]\nbpfo = 3.05\nbpfi = 5.4\n{REST}", "geometry.bearing.de.bpfo", "8.45 balls"),
        (
            f"[geometry.bearing.de]\nbpfo = 4.95\nbpfi = 3.05\n{REST}",
            "geometry.bearing.de.bpfo",
            "bpfo < bpfi",
        ),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, text, key, words):
    [(_, where, found)] = faults(written(tmp_path, SENSOR + text + "\n"))
    assert (where, words in found) == (key, True), found


@pytest.mark.parametrize("table", [DIMENSIONS, f"bpfo = 3.052\nbpfi = 4.948\n{REST}", "axial = 'y'\n", ""])
def test_what_a_technician_knows_is_taken(tmp_path, table):
    text = f"{SENSOR}[geometry]\nspeed_rpm = 1480\n[geometry.bearing.de]\n{table}"
    assert load(written(tmp_path, text)).geometry.bearing.keys() == {"de"}
