"""What the trip path makes of its sensors: temperatures, lost, fallen, clipped, stuck or with gaps."""

import math
import time

import pytest
from mounted import BEGIN_NS, NO_RMS, QUIET, VIOLENT, Guarded, wave

from appliance.config import Limit
from appliance.records import EventKind, Level, Validity
from appliance.requests import Reset
from hw.ports import Samples


def test_temperature_alerts_and_trips_after_its_delay():
    guarded = Guarded()
    guarded.run(2, degc=40.0)
    guarded.run(3, degc=85.0)
    assert guarded.protection.state().level is Level.ALERT
    assert guarded.energised
    guarded.run(2, degc=99.0)
    assert guarded.energised
    guarded.run(1, degc=99.0)
    assert not guarded.energised
    assert guarded.events("trip.fired")[0].channel == "bearing.temperature"


@pytest.mark.parametrize(("degc_per_min", "level"), [(4, 0), (7, 1), (15, 2)])
def test_temperature_slope(degc_per_min, level):
    guarded = Guarded(temperature_degc=Limit())
    for second in range(120):
        guarded.run(1, degc=20 + second / 60 * degc_per_min)
    assert guarded.protection.state().level == level
    assert guarded.energised is (level < 2)


@pytest.mark.parametrize("degc", [math.nan, 400.0, -80.0, math.inf])
def test_a_temperature_out_of_range_is_not_ok_on_both_channels(degc):
    guarded = Guarded()
    guarded.run(70, degc=40.0)
    assert guarded.channel("bearing.slope").value is not None
    guarded.run(3, degc=degc)
    for name in ("bearing.temperature", "bearing.slope"):
        assert not guarded.channel(name).ok
        assert guarded.channel(name).value is None
    assert guarded.protection.state().temperatures[0].degc is None
    assert guarded.protection.state().temperatures[0].validity is Validity.RANGE
    assert guarded.protection.state().level is Level.ALERT
    guarded.run(3, degc=41.0)
    assert guarded.protection.state().level is Level.NORMAL


# A sensor that is lost


@pytest.mark.parametrize(("policy", "level"), [("alert", 1), ("danger", 2), ("ignore", 0)])
def test_a_lost_sensor_counts_as_the_policy_says(policy, level):
    guarded = Guarded(not_ok=policy, not_ok_delay_s=0.0)
    guarded.run(2)
    guarded.protection.fault("de", "no answer", time.perf_counter_ns())
    state = guarded.protection.state()
    assert state.level == level
    assert guarded.energised is (level < 2)
    assert not guarded.channel("de.peak").ok
    if level:
        assert "NOT OK, no answer" in guarded.events("alarm.raised", "trip.fired")[0].message


def test_a_lost_thermometer_shows_no_temperature():
    guarded = Guarded()
    guarded.run(2, degc=40.0)
    guarded.protection.fault("bearing", "no answer", time.perf_counter_ns())
    shown = guarded.protection.state().temperatures[0]
    assert (shown.degc, shown.validity) == (None, Validity.LOST)


def test_silence_is_noticed_and_tells_since_when():
    guarded = Guarded(not_ok_delay_s=0.0)
    guarded.run(2)
    heard = guarded.protection._silence._heard_s
    heard["de"] -= 2.0
    guarded.protection.watch()
    assert guarded.channel("de.peak").reason == "no data for 2 s"
    assert guarded.channel("bearing.temperature").ok
    assert guarded.protection.state().level is Level.ALERT
    guarded.run(0.1)
    assert guarded.protection.state().level is Level.NORMAL


def test_a_danger_stays_a_danger_when_the_sensor_is_shaken_off():
    guarded = Guarded(not_ok="ignore")
    guarded.run(1)
    guarded.run(0.4, VIOLENT)
    for _ in range(20):
        guarded.protection.fault("de", "no answer", time.perf_counter_ns())
    assert not guarded.energised
    assert not guarded.protection.ask(Reset("anna", "hope")).ok


def stands_on_its_side(guarded, peak_mps2):
    return wave(peak_mps2, seed=guarded.blocks, gravity_axis=0)


def test_limits_trip_with_the_sensor_fallen():
    guarded = Guarded(not_ok="ignore")
    guarded.run(8)
    for _ in range(60):
        guarded.block(stands_on_its_side(guarded, QUIET))
    assert guarded.channel("de.peak").reason == "gravity"
    assert guarded.energised
    for _ in range(5):
        guarded.block(stands_on_its_side(guarded, VIOLENT))
    assert not guarded.energised


def test_limits_trip_on_a_clipped_wave():
    guarded = Guarded(not_ok="ignore")
    guarded.run(1)
    guarded.run(0.5, 5000.0)
    assert guarded.channel("de.peak").reason == "clip"
    assert not guarded.energised


@pytest.mark.parametrize(("hang", "trips"), [((0,), True), ((0, 1, 2), False)])
def test_axes_that_hang_show_nothing_and_the_others_still_trip(hang, trips):
    guarded = Guarded(not_ok="ignore", peak_mps2=Limit(alert=80.0, danger=120.0, delay_s=2.0), **NO_RMS)
    guarded.run(2)
    for k in range(60):
        counts = wave(VIOLENT, seed=k)
        counts[:, hang] = 2**14  # far above every limit, were it a movement
        guarded.block(counts)
    assert guarded.channel("de.peak").reason.startswith("stuck")
    assert guarded.energised is not trips


def test_a_gap_alone_alerts_only_after_its_delay():
    guarded = Guarded()
    guarded.run(1)
    block = guarded.block(wave(QUIET), lost=50)
    assert block.validity is Validity.GAP
    assert guarded.protection.state().level is Level.NORMAL
    for _ in range(15):
        guarded.block(wave(QUIET), lost=50)
    assert guarded.protection.state().level is Level.ALERT


def test_an_empty_drain_is_nothing():
    guarded = Guarded()
    assert guarded.protection.block("de", Samples(wave(0)[:0], BEGIN_NS), 0) is None
    assert guarded.protection.state().clocks[0].blocks == 0


def test_a_restarted_sensor_is_measured_anew():
    guarded = Guarded()
    guarded.run(3)
    assert guarded.protection.state().clocks[0].blocks == 30
    guarded.protection.restarted("de")
    assert guarded.protection.state().clocks[0].blocks == 0
    assert [event.kind for event in guarded.events("sensor.restarted")] == [EventKind.HEALTH]
