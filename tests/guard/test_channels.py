"""The rack of a configuration: which channels it has, how they are judged, and who votes with whom."""

import math
from pathlib import Path

import numpy as np
import pytest
from config_files import SENSOR, THERMOMETER, written

from appliance.check import load
from appliance.clock import WallClock
from appliance.config import Fault
from appliance.guard import channels
from appliance.guard.channel import Setpoints
from appliance.guard.protection import Protection
from appliance.guard.voting import TripGroup
from appliance.records import Level, MachineState
from hw.sim.accelerometer import SimAccelerometer
from hw.sim.clock import SimClock
from hw.sim.relay import SimRelay
from hw.sim.rotor import Machine

PUMP = "[machine]\npreset = 'pump, 15-300 kW, rigid'\n"


def of(folder: Path, text: str) -> dict[str, channels.Channel]:
    return {channel.name: channel for channel in channels.of(load(written(folder, text)))}


def test_channels_in_the_order_of_the_file(tmp_path: Path) -> None:
    found = of(tmp_path, SENSOR + THERMOMETER)
    assert {name: channel.unit for name, channel in found.items()} == {
        "de.peak": "m/s2",
        "de.rms": "m/s2",
        "de.velocity": "mm/s",
        "de.velocity-slope": "mm/s/min",
        "de.score": "x threshold",
        "t.temperature": "degC",
        "t.slope": "degC/min",
    }
    assert [name for name, channel in found.items() if channel.multiplied] == [
        "de.peak",
        "de.rms",
        "de.velocity",
    ]
    assert [name for name, channel in found.items() if channel.learned] == ["de.score"]


def test_zones_only_with_a_preset_and_the_whole_band(tmp_path: Path) -> None:
    assert of(tmp_path, SENSOR)["de.velocity"].zone_edges == ()
    whole = of(tmp_path, PUMP + SENSOR + "rate_hz = 2560\n")
    assert whole["de.velocity"].zone_edges == (1.4, 2.8, 4.5)
    assert [name for name, channel in whole.items() if channel.zone_edges] == ["de.velocity"]
    by_hand = "[limits.velocity_mms]\nalert = 2\ndanger = 3\n"
    assert of(tmp_path, PUMP + SENSOR + "rate_hz = 2500\n" + by_hand)["de.velocity"].zone_edges == ()


def test_a_limit_of_one_channel_and_of_one_state(tmp_path: Path) -> None:
    two = SENSOR + SENSOR.replace("de", "nde")
    text = two + "[limits]\nrms_mps2 = { alert = 9, off.danger = 1, deadband = 0.1 }\n"
    text += "[limits.channels.'nde.rms']\ndanger = 7\ndanger_delay_s = 0.5\nlatch = 'both'\nrealarm_s = 60\n"
    found = of(tmp_path, text)
    de, nde = found["de.rms"], found["nde.rms"]
    assert (de.setpoints, de.by_state) == (Setpoints(9.0), {MachineState.OFF: Setpoints(None, 1.0)})
    assert (de.deadband, de.alert_delay_ns, de.danger_delay_ns) == (0.1, 3_000_000_000, 3_000_000_000)
    assert (nde.setpoints, nde.by_state) == (Setpoints(None, 7.0), {})
    assert (nde.alert_delay_ns, nde.danger_delay_ns, nde.realarm_ns) == (3 * 10**9, 5 * 10**8, 60 * 10**9)
    assert nde.latch == {Level.ALERT, Level.DANGER}


@pytest.mark.parametrize(("policy", "level"), [("ignore", 0), ("alert", 1), ("danger", 2)])
def test_not_ok_of_one_channel_and_of_all(tmp_path: Path, policy: str, level: int) -> None:
    found = of(
        tmp_path, f"limits.not_ok = '{policy}'\nlimits.peak_mps2 = {{ danger = 9, not_ok = 'ignore' }}\n"
    )
    assert found["de.rms"].not_ok_level == level
    assert found["de.peak"].not_ok_level == Level.NORMAL
    assert found["de.score"].not_ok_level == min(level, Level.ALERT)


def test_trip_groups(tmp_path: Path) -> None:
    text = SENSOR + THERMOMETER + "[limits]\nscore_ratio = { alert = 1, danger = 2 }\n"
    text += "[[trip]]\nname = 'wear'\nvote = '2oo2'\nmembers = ['de.rms', 'de.score']\n"
    text += "not_ok_member = 'is left out'\n"
    assert channels.rack_of(load(written(tmp_path, text))).groups == (
        TripGroup("wear", 2, ("de.rms", "de.score"), hold=True),
        TripGroup("de.peak", 1, ("de.peak",)),
        TripGroup("t.temperature", 1, ("t.temperature",)),
        TripGroup("t.slope", 1, ("t.slope",)),
    )


def test_a_score_in_no_group_never_trips(tmp_path: Path) -> None:
    text = "limits.score_ratio = { alert = 1, danger = 2 }\n"
    names = [group.name for group in channels.rack_of(load(written(tmp_path, text))).groups]
    assert "de.score" not in names


@pytest.mark.parametrize(
    ("imbalance", "zone", "energised"), [(0.0, "A", True), (1.0, "D", False)], ids=["healthy", "violent"]
)
def test_three_lines_protect_a_pump(tmp_path: Path, imbalance: float, zone: str, energised: bool) -> None:
    """A preset and nothing else, on the simulated machine: healthy it runs, out of balance it is stopped."""
    config = load(written(tmp_path, PUMP + "[protection]\npower_up_inhibit_s = 0\n"))
    faults = [Fault("imbalance", severity=imbalance)] if imbalance else []
    sensor = SimAccelerometer(Machine(faults=faults), SimClock(math.inf, 0))
    sensor.start()
    relay = SimRelay()
    guarded = Protection(config, {"de": sensor}, relay, WallClock(live=False), lambda _: None)
    for _ in range(60):
        guarded.block("de", sensor.read(), 0)
    state = {channel.channel: channel for channel in guarded.state().channels}
    assert state["de.velocity"].zone == zone
    assert guarded.state().tripped is not energised
    assert np.isfinite(state["de.velocity"].value)
