"""Presets: the limits that follow from kind, power and support, under what the file itself says."""

import re
from itertools import product
from pathlib import Path

import pytest
from config_files import written

from appliance import preset, severity
from appliance.check import describe, load
from appliance.config import Limit

PUMP = "[machine]\npreset = 'pump, 15-300 kW, rigid'\n"
SLOW = '[[vibration]]\ndriver = "adxl345"\nname = "de"\n'


@pytest.mark.parametrize(("kind", "zones"), list(product(preset.LONGEST_START_S, severity.table())))
def test_every_preset_is_a_sound_file(tmp_path: Path, kind: str, zones: severity.Zones) -> None:
    config = load(written(tmp_path, f"machine.preset = '{kind}, {zones.machine}'\n"))
    _, b_c, c_d = zones.edges_mms
    assert config.limits.velocity_mms == Limit(alert=b_c, danger=c_d)
    assert config.protection.trip_multiply == 2.0
    assert config.protection.trip_multiply_longest_s == preset.LONGEST_START_S[kind]


@pytest.mark.parametrize("text", ["Pump, 15–300 kW, rigid", " pump ,  15-300  KW,  Rigid "])
def test_as_a_hand_writes_it(text: str) -> None:
    assert preset.find(text) == preset.find("pump, 15-300 kW, rigid") is not None


def test_no_preset_changes_nothing(tmp_path: Path) -> None:
    config = load(written(tmp_path, ""))
    assert config.limits.velocity_mms == Limit()
    assert config.protection.trip_multiply == 1.0


def test_keys_of_the_file_win_one_by_one(tmp_path: Path) -> None:
    text = PUMP + "[limits.velocity_mms]\nalert = 2.0\ndirection = 'over'\n"
    text += "[limits]\npeak_mps2.delay_s = 0.5\nrms_mps2.danger = 40\n[protection]\ntrip_multiply = 1\n"
    config = load(written(tmp_path, text))
    assert config.limits.velocity_mms == Limit(alert=2.0, danger=4.5)
    assert config.limits.peak_mps2 == Limit(alert=50.0, danger=75.0, delay_s=0.5)
    assert config.limits.rms_mps2 == Limit(danger=40.0)  # no preset there: the table replaces the default
    assert config.protection.trip_multiply == 1.0
    assert config.protection.trip_multiply_longest_s == 15.0


@pytest.mark.parametrize(
    "by_hand",
    ["[limits.channels.'de.velocity']\nalert = 2.8\n", "[limits.velocity_mms]\nalert = 2.8\ndanger = 4.5\n"],
)
def test_a_slow_sensor_takes_limits_by_hand_and_names_no_zone(tmp_path: Path, by_hand: str) -> None:
    path = written(tmp_path, PUMP + SLOW + by_hand)
    assert load(path).vibration[0].rate_hz == 800
    [line] = [line for line in describe(path).splitlines() if "de.velocity:" in line]
    assert "Alert 2.8 mm/s (file)" in line
    assert "zone" not in line


def test_describe_says_where_each_limit_comes_from(tmp_path: Path) -> None:
    text = PUMP + "[limits.velocity_mms]\ndanger = 6\ndanger_delay_s = 1\nstarting.danger = 9\n"
    text += "[limits.channels.'bearing.temperature']\ndirection = 'under'\nalert = 5\n"
    text += "[[trip]]\nname = 'both'\nvote = '2oo2'\nmembers = ['de.peak', 'de.rms']\n"
    shown = describe(written(tmp_path, text))
    for words in (
        "zones: A below 1.4, B below 2.8, C below 4.5 mm/s, D from there; ",
        "; ISO 10816-3:2009 values, group 2 (15 to 300 kW), rigid support\n",
        "channel de.velocity: Alert 2.8 mm/s (preset), Danger 6 mm/s (file) after 3 s, Danger after 1 s; ",
        "; starting: Danger 9 mm/s (file); zones A to D\n",
        "channel de.rms: Alert 15 m/s² (default), Danger 30 m/s² (default) after 3 s",
        "channel bearing.temperature: Alert ≤ 5 °C (file) after 3 s\n",
        "trip both: 2oo2 of de.peak, de.rms; NOT OK counts towards the trip; learned with an absolute limit",
        "trip alone: de.velocity, bearing.slope\n",
        "start-up: vibration limits × 2 (preset) for 15 s at most (preset)",
    ):
        assert words in shown


def test_the_five_lines_of_the_readme(tmp_path: Path) -> None:
    page = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert len(example.splitlines()) == 5
    assert load(written(tmp_path, example)).limits.velocity_mms == Limit(alert=2.8, danger=4.5)
