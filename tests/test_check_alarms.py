"""Limits, presets and votes that make no sense: each with its line, what was expected and what to do."""

from pathlib import Path

import pytest
from config_files import SENSOR, THERMOMETER, faults, written

from appliance.check import load

TWO = SENSOR + SENSOR.replace("de", "nde") + THERMOMETER  # lines 1 to 9
SLOW = '[[vibration]]\ndriver = "adxl345"\nname = "de"\n'
TRANSMITTER = "[[transmitter]]\nname='p'\nport='sim'\nmap='qm30vt2'\n"
PRESET = 'machine.preset = "pump, 15-300 kW, rigid"\n'


def trip(members: str, vote: str, more: str = "", name: str = "bearings") -> str:
    """Five lines, or one more: [[trip]], name, vote, members, more."""
    return f"[[trip]]\nname = '{name}'\nvote = '{vote}'\nmembers = [{members}]\n{more}\n"


BROKEN: dict[str, tuple[str, list[tuple[int, str, str]]]] = {
    "alert below danger, where below is bad": (
        "[limits.temperature_degc]\ndirection = 'under'\nalert = 3\ndanger = 5\n",
        [(3, "limits.temperature_degc.alert", "3 is not above danger 5; expected alert > danger")],
    ),
    "alert at danger, where below is bad": (
        "limits.temperature_degc = { direction = 'under', alert = 5, danger = 5 }\n",
        [(1, "limits.temperature_degc.alert", "5 is not above danger 5")],
    ),
    "alert at danger in one state": (
        "[limits.rms_mps2]\nstarting = { alert = 30, danger = 30 }\n",
        [(2, "limits.rms_mps2.starting.alert", "30 is not below danger 30")],
    ),
    "alert over danger of a transmitter": (
        TRANSMITTER + "limits.z-velocity-rms = { alert = 9, danger = 7 }\n",
        [(5, "transmitter[0].limits.z-velocity-rms.alert", "9 is not below danger 7")],
    ),
    "zero for what is never negative": (
        "limits.velocity_mms = { alert = 0, danger = 4 }\n",
        [(1, "limits.velocity_mms.alert", "expected a level above 0")],
    ),
    "below nothing": (
        "limits.rms_mps2 = { direction = 'under', danger = -1 }\n",
        [(1, "limits.rms_mps2.danger", "never negative")],
    ),
    "a rise that every value is": (
        "limits.temperature_slope_degc_per_min.alert = 0\n",
        [(1, "limits.temperature_slope_degc_per_min.alert", "0 for a rise (degC/min)")],
    ),
    "a fall that every value is": (
        "limits.velocity_slope_mms_per_min = { direction = 'under', alert = 2 }\n",
        [(1, "limits.velocity_slope_mms_per_min.alert", "2 for a fall (mm/s/min); expected a level below 0")],
    ),
    "a fall that is none": (
        "limits.temperature_slope_degc_per_min = { direction = 'under', alert = 0 }\n",
        [(1, "limits.temperature_slope_degc_per_min.alert", "0 for a fall")],
    ),
    "a deadband that no value leaves": (
        "limits.rms_mps2.deadband = 0.9\n",
        [(1, "limits.rms_mps2.deadband", "from 0 to 0.5")],
    ),
    "levels of a score at standstill": (
        "[limits.score_ratio]\noff.alert = 2\nrunning.alert = 1\n",
        [(2, "limits.score_ratio.off", "judged only while the machine runs")],
    ),
    "a silent model that trips": (
        "limits.score_ratio = { alert = 1, not_ok = 'danger' }\n",
        [(1, "limits.score_ratio.not_ok", "never trips by its silence")],
    ),
    "a channel that is none": (
        "limits.channels.'de.velocty' = { danger = 5 }\n",
        [(1, "limits.channels.de.velocty", "did you mean 'de.velocity'?")],
    ),
    "a channel of a sensor that is not there": (
        SENSOR + "[limits.channels.'nde.rms']\ndanger = 5\n",
        [(4, "limits.channels.nde.rms", "is no channel; expected one of de.peak, de.rms")],
    ),
    "a quantity without a limit is no channel": (
        "limits.channels.'p.z-velocity-rms' = { danger = 5 }\n" + TRANSMITTER,
        [(1, "limits.channels.p.z-velocity-rms", "is no channel")],
    ),
    "out of reach of its own sensor": (
        SENSOR + "range_g = 16\n" + SENSOR.replace("de", "nde") + "range_g = 2\n"
        "[limits.channels]\n'nde.peak'.danger = 40\n",
        [(10, "limits.channels.nde.peak.danger", "40 is beyond the range of every sensor (19.61 m/s²)")],
    ),
    "out of reach in one state": (
        "limits.rms_mps2.starting = { danger = 160 }\n",
        [(1, "limits.rms_mps2.starting.danger", "160 is beyond the range")],
    ),
    "velocity out of reach": (
        "limits.velocity_mms.danger = 2500\n",
        [(1, "limits.velocity_mms.danger", "beyond the range of every sensor (2497 mm/s)")],
    ),
    "multiplied out of reach": (
        "limits.peak_mps2.danger = 79\n[protection]\ntrip_multiply = 2\n",
        [(1, "limits.peak_mps2.danger", "79 × 2 while the machine starts is beyond")],
    ),
    "a default multiplied out of reach": (
        "[protection]\ntrip_multiply = 1.5\n",
        [(2, "limits.peak_mps2.danger", "120 × 1.5 while the machine starts is beyond")],
    ),
    "a preset's own peak multiplied out of reach": (
        PRESET + SENSOR + "range_g = 8\n",
        [(5, "limits.peak_mps2.danger", "75 × 2 while"), (5, "limits.peak_mps2.alert", "50 × 2 while")],
    ),
    "a multiply without time": (
        "[protection]\ntrip_multiply = 1.2\ntrip_multiply_longest_s = 0\n",
        [(3, "protection.trip_multiply_longest_s", "which then never acts")],
    ),
    "a multiply that lowers": (
        "[protection]\ntrip_multiply = 0.5\n",
        [(2, "protection.trip_multiply", "from 1 to 3")],
    ),
    "a bypass of a week": (
        "protection.bypass_longest_s = 604800\n",
        [(1, "protection.bypass_longest_s", "out of range")],
    ),
    "a preset of no kind": (
        "machine.preset = 'pumpe, 15-300 kW, rigid'\n",
        [(1, "machine.preset", "'pumpe' is no kind of machine; expected one of pump, motor")],
    ),
    "a preset without support": (
        "machine.preset = 'fan, 15-300 kW'\n",
        [
            (
                1,
                "machine.preset",
                "is no power with its support, and no class; expected one of fan, above 300 kW",
            )
        ],
    ),
    "a preset that is a kind": (
        "machine.preset = 'Fan'\n",
        [(1, "machine.preset", "only a kind of machine")],
    ),
    "a preset that is a number": ("machine.preset = 2\n", [(1, "machine.preset", "expected text")]),
    "a preset on a sensor too slow": (
        PRESET + SLOW,
        [(1, "machine.preset", "'de' at 800 Hz reads 10–312.5 Hz; expected a rate_hz of 2560 or more")],
    ),
    "a preset's Danger on a sensor too slow": (
        PRESET + "limits.velocity_mms.alert = 2\n" + SLOW,
        [(1, "machine.preset", 'give limits by hand: [limits.channels."de.velocity"]')],
    ),
    "an Alert over a preset's Danger": (
        PRESET + "limits.velocity_mms.alert = 5\n",
        [(2, "limits.velocity_mms.alert", "5 is not below danger 4.5")],
    ),
    "a Danger below a preset's Alert": (
        PRESET + "limits.velocity_mms.danger = 2\n",
        [(2, "limits.velocity_mms.alert", "2.8 is not below danger 2")],
    ),
    "one member as text": (
        TWO + "[[trip]]\nname = 'b'\nvote = '1oo2'\nmembers = 'de.peak'\n",
        [(13, "trip[0].members", "expected an array of text; write it in brackets")],
    ),
    "no members at all": (
        TWO + "[[trip]]\nname = 'b'\nvote = '1oo2'\n",
        [(10, "trip[0].members", "missing; expected an array of text")],
    ),
    "a member that is no channel": (
        TWO + trip("'de.peak', 'nde.peek'", "2oo2"),
        [(13, "trip[0].members[1]", "did you mean 'nde.peak'?")],
    ),
    "a member twice in one group": (
        TWO + trip("'de.peak', 'de.peak'", "1oo2"),
        [(13, "trip[0].members[1]", "already a member of trip[0]")],
    ),
    "a member in two groups": (
        TWO + trip("'de.peak', 'de.rms'", "2oo2") + trip("'nde.rms', 'de.peak'", "2oo2", name="b"),
        [(18, "trip[1].members[1]", "'de.peak' is already a member of trip[0]")],
    ),
    "a member that can never vote": (
        TWO + trip("'de.peak', 'de.velocity'", "1oo2"),
        [(13, "trip[0].members[1]", "has no Danger, so it can never vote")],
    ),
    "a score whose silence is no vote": (
        TWO + trip("'de.peak', 'de.score'", "2oo2") + "[limits]\nnot_ok = 'danger'\n",
        [(13, "trip[0].members[1]", "'de.score' has no Danger")],
    ),
    "more votes than members": (
        TWO + trip("'de.peak', 'nde.peak'", "3oo2"),
        [(12, "trip[0].vote", "3oo2 with 2 members")],
    ),
    "more members than it says": (
        TWO + trip("'de.peak', 'nde.peak', 'de.rms'", "1oo2"),
        [(12, "trip[0].vote", "1oo2 with 3 members")],
    ),
    "a vote in other words": (
        TWO + trip("'de.peak', 'nde.peak'", "two"),
        [(12, "trip[0].vote", "as 1oo2, 2oo2 or 2oo3")],
    ),
    "scores among themselves": (
        TWO + trip("'de.score', 'nde.score'", "2oo2") + "[limits]\nscore_ratio.danger = 3\n",
        [(13, "trip[0].members", 'write learned = "alone, without any absolute limit"')],
    ),
    "a group's name used twice": (
        TWO + trip("'de.peak'", "1oo1") + trip("'nde.peak'", "1oo1"),
        [(16, "trip[1].name", "'bearings' is already the name of trip[0]")],
    ),
    "no members": (TWO + trip("", "1oo1"), [(13, "trip[0].members", "expected at least 1")]),
    "a member that is a number": (
        TWO + trip("1, 'de.peak'", "2oo2"),
        [(13, "trip[0].members[0]", "1 is a whole number")],
    ),
    "what would follow from a sensor at fault": (
        "[[vibration]]\ndriver = 'adxl999'\nname = 'de'\n"
        "[limits.channels]\n'de.peak'.danger = 5\n" + trip("'de.peak'", "1oo1"),
        [(2, "vibration[0].driver", "is not a driver")],
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken(name: str, tmp_path: Path) -> None:
    document, expected = BROKEN[name]
    found = faults(written(tmp_path, document))
    assert sorted(fault[:2] for fault in found) == sorted(fault[:2] for fault in expected), found
    for line, key, words in expected:
        assert any(words in message for at, of, message in found if (at, of) == (line, key)), found


SOUND = {
    "frost": "limits.temperature_degc = { direction = 'under', alert = 0, danger = -5 }\n",
    "a fall": "limits.velocity_slope_mms_per_min = { direction = 'under', alert = -2 }\n",
    "a fan that stands still": "limits.rms_mps2 = { direction = 'under', alert = 0.2, danger = 0.1 }\n",
    "a score while running": "limits.score_ratio = { running = { alert = 1 } }\n",
    "multiply is of vibration only": (
        "limits.peak_mps2.danger = 150\nlimits.temperature_degc.danger = 160\n"
        "protection.trip_multiply = 1.04\n"
    ),
    "low vibration is not multiplied": (
        "limits.peak_mps2.danger = 50\nlimits.rms_mps2 = { direction = 'under', alert = 100 }\n"
        "protection.trip_multiply = 3\n"
    ),
    "no multiply and no time for it": "protection.trip_multiply_longest_s = 0\n",
    "more range where one sensor has it": (
        f"{SENSOR}range_g = 4\n{SENSOR.replace('de', 'nde')}range_g = 20\n[limits]\npeak_mps2.danger = 190\n"
    ),
    "a member with a Danger in one state": (
        f"{TWO}[limits]\nvelocity_mms.running.danger = 5\n" + trip("'de.velocity', 'nde.peak'", "2oo2")
    ),
    "a member that votes by its silence": (
        f"{TWO}[limits]\nvelocity_mms.not_ok = 'danger'\n" + trip("'de.velocity', 'nde.peak'", "1oo2")
    ),
    "scores alone, in words": (
        f"{TWO}[limits]\nscore_ratio.danger = 3\n"
        + trip("'de.score', 'nde.score'", "2oo2", "learned = 'alone, without any absolute limit'")
    ),
    "two out of three": TWO + trip("'de.peak', 'nde.peak', 't.temperature'", "2oo3"),
    "a transmitter's channel": (
        f"{TRANSMITTER}limits.z-velocity-rms.danger = 7\n" + trip("'p.z-velocity-rms'", "1oo1")
    ),
}


@pytest.mark.parametrize("name", SOUND)
def test_sound(name: str, tmp_path: Path) -> None:
    load(written(tmp_path, SOUND[name]))
