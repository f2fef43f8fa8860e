"""The states of a machine: on plain levels, and on the simulated machine as fast as it can."""

import math
from itertools import pairwise

import numpy as np
import pytest

from appliance.analysis.machine_state import MachineStateGate
from appliance.analysis.stream import SensorStream
from appliance.config import Analysis, Duty
from appliance.guard.sensor import VibrationWatch
from appliance.records import MachineState, Quality
from hw.sim.accelerometer import SimAccelerometer
from hw.sim.clock import SimClock
from hw.sim.rotor import Machine

OFF, STARTING, RUNNING = MachineState.OFF, MachineState.STARTING, MachineState.RUNNING
STOPPING, TRANSIENT = MachineState.STOPPING, MachineState.TRANSIENT
HOP_S, SETTLE_S = 0.64, 5.0


def states(levels: list[float], off_level: float = 0.2) -> list[MachineState]:
    gate = MachineStateGate(off_level, SETTLE_S)
    return [gate.update(level, HOP_S) for level in levels]


def test_switched_on_in_mid_run_it_runs_from_its_first_window() -> None:
    assert states([2.0] * 5) == [RUNNING] * 5


def test_a_start_is_starting_until_it_has_settled() -> None:
    found = states([0.05] * 3 + [0.5, 1.0, 1.6, 1.9] + [2.0] * 20)
    assert found[:3] == [OFF] * 3
    first = found.index(RUNNING)
    assert found[3:first] == [STARTING] * (first - 3)
    assert found[first:] == [RUNNING] * (len(found) - first)
    assert SETTLE_S <= (first - 3) * HOP_S <= 2 * SETTLE_S


def test_a_stop_is_off_at_once() -> None:
    found = states([2.0] * 5 + [0.1] * 5)
    assert found[5:] == [OFF] * 5


@pytest.mark.parametrize("level", [0.0, -0.0])
def test_silence_is_off_even_with_no_off_level(level: float) -> None:
    assert states([level] * 3, off_level=0.0) == [OFF] * 3


def test_a_level_at_the_edge_of_off_does_not_chatter() -> None:
    found = states([0.19] + [0.21, 0.19, 0.24, 0.22] * 10)
    assert set(found) == {OFF}
    assert states([0.19, 0.26])[-1] is STARTING


def test_a_start_that_is_given_up_is_off_again() -> None:
    assert states([0.05, 0.5, 1.0, 1.5, 1.0, 0.5, 0.3, 0.1]) == [OFF, *[STARTING] * 6, OFF]


def test_a_start_without_end_is_running_after_the_longest_time() -> None:
    """Jumps up and down since it was switched on: nothing hides in starting either."""
    found = states([0.05] + [2.0 if i // 4 % 2 else 8.0 for i in range(400)])
    first = found.index(RUNNING)
    assert set(found[1:first]) == {STARTING}
    assert 6 * SETTLE_S <= first * HOP_S <= 7 * SETTLE_S
    assert set(found[first:]) == {RUNNING}


def test_a_coast_down_is_stopping_from_half_its_level_until_it_is_off() -> None:
    falling = list(np.geomspace(2.0, 0.1, 12))
    found = states([2.0] * 20 + falling + [0.05] * 5)
    coasting = found[20:]
    stopping, off = coasting.index(STOPPING), coasting.index(OFF)
    assert set(coasting[:stopping]) <= {RUNNING, TRANSIENT}
    assert coasting[stopping:off] == [STOPPING] * (off - stopping)
    assert falling[stopping] < 1.0 <= falling[stopping - 1]
    assert coasting[off:] == [OFF] * (len(coasting) - off)


def test_a_machine_that_only_slows_down_is_running_again_when_it_has_settled() -> None:
    found = states([2.0] * 20 + [0.8] * 30)
    assert found[20] is STOPPING
    settled = found.index(RUNNING, 20)
    assert set(found[20:settled]) == {STOPPING}
    assert SETTLE_S <= (settled - 20) * HOP_S <= 2 * SETTLE_S
    assert set(found[settled:]) == {RUNNING}


def test_a_machine_that_is_caught_while_it_stops_is_in_a_transient() -> None:
    found = states([2.0] * 20 + [0.8, 0.6, 0.4] + [2.0] * 3)
    assert found[20:] == [STOPPING] * 3 + [TRANSIENT] * 3


def test_stopping_is_told_from_the_level_it_ran_at_last() -> None:
    """After the load doubled, half of that is where it ran before: no stop."""
    found = states([2.0] * 20 + [5.0] * 40 + [2.6] * 3 + [2.0] * 3)
    assert found[60:] == [TRANSIENT] * 3 + [STOPPING] * 3


def test_a_change_of_load_settles() -> None:
    found = states([2.0] * 10 + [4.0] * 30)
    assert found[10] is TRANSIENT
    assert found[10 + math.ceil(SETTLE_S / HOP_S) + 1 :].count(RUNNING) >= 20


def test_small_changes_are_no_transient() -> None:
    rng = np.random.default_rng(1)
    assert set(states(list(2.0 * np.exp(0.1 * rng.standard_normal(500))))) == {RUNNING}


def test_a_slow_fault_is_no_transient() -> None:
    """Ten times the level within ten minutes."""
    count = round(600 / HOP_S)
    assert set(states(list(np.geomspace(2.0, 20.0, count)))) == {RUNNING}


@pytest.mark.parametrize("period_s", [1.5, 3.0, 5.5, 6.0, 8.0, 10.0, 14.0])
@pytest.mark.parametrize("ratio", [1.8, 3.0, 10.0])
def test_an_intermittent_fault_cannot_hide_in_transient(period_s: float, ratio: float) -> None:
    """A level that jumps every few seconds is running for good after minutes, whatever its delay."""
    levels = [2.0 * (ratio if (i * HOP_S) % (2 * period_s) >= period_s else 1.0) for i in range(1500)]
    found = states(levels)
    last_unsettled = max(i for i, state in enumerate(found) if state is not RUNNING)
    assert found[last_unsettled] in (TRANSIENT, STOPPING)
    assert last_unsettled * HOP_S < 300


@pytest.mark.parametrize("seed", range(5))
def test_random_levels_cannot_hide_either(seed: int) -> None:
    rng = np.random.default_rng(seed)
    found = states(list(2.0 * np.exp(rng.standard_normal(2000))), off_level=0.01)
    assert np.mean([state is RUNNING for state in found[500:]]) > 0.98


def test_rest_gives_the_transient_back() -> None:
    """After an intermittent spell and minutes of rest a change of load is a transient again."""
    spell = [2.0 if i // 3 % 2 else 8.0 for i in range(300)]
    found = states(spell + [2.0] * 500 + [6.0] * 3)
    assert found[299] is RUNNING
    assert found[-3:] == [TRANSIENT] * 3


def run_machine(
    *duty: Duty, seconds: float, settings: Analysis | None = None
) -> list[tuple[float, MachineState]]:
    """(end of window in s, state) of a simulated machine in this duty, nothing learnt yet."""
    machine = Machine(seed=3, duty=duty)
    sensor = SimAccelerometer(machine, SimClock(math.inf, 0), 2000, 3)
    watch = VibrationWatch("de", sensor)
    stream = SensorStream("de", 2000, 3, settings or Analysis(window_s=0.64))
    sensor.start()
    found: list[tuple[float, MachineState]] = []
    while not found or found[-1][0] < seconds:
        block = watch.judge(sensor.read())[0]
        found += [(s.t1_mono_ns * 1e-9, s.state) for s in stream.push(block) if s.quality is Quality.LEARNING]
    return found


def between(found: list[tuple[float, MachineState]], first_s: float, last_s: float) -> set[MachineState]:
    return {state for t_s, state in found if first_s <= t_s <= last_s}


def test_the_simulated_machine_starts_and_stops() -> None:
    found = run_machine(
        Duty(at_s=0, speed=0, load=0), Duty(at_s=20), Duty(at_s=80, speed=0, load=0), seconds=120
    )
    assert between(found, 0, 20) == {OFF}
    assert between(found, 23, 26) == {STARTING}
    assert between(found, 40, 80) == {RUNNING}
    assert between(found, 105, 120) == {OFF}
    order = [state for (_, before), (_, state) in pairwise(found) if state is not before]
    assert order[:2] == [STARTING, RUNNING]
    assert order[-2:] == [STOPPING, OFF]
    assert order.count(RUNNING) <= 2


def test_the_simulated_machine_changes_speed_and_load() -> None:
    found = run_machine(
        Duty(at_s=0), Duty(at_s=40, speed=0.6), Duty(at_s=100, speed=1.2, load=1.0), seconds=160
    )
    assert between(found, 0, 40) == {RUNNING}
    assert TRANSIENT in between(found, 40, 50)
    assert between(found, 65, 100) == {RUNNING}
    assert TRANSIENT in between(found, 100, 110)
    assert between(found, 125, 160) == {RUNNING}


def test_a_recording_that_starts_in_mid_run() -> None:
    assert between(run_machine(seconds=20), 0, 20) == {RUNNING}


def test_a_rate_without_velocity_has_states_too() -> None:
    """Windows of 0.1 s at 100 Hz carry no velocity: RMS acceleration stands in for it."""
    stream = SensorStream("de", 100.0, 3, Analysis(window_s=0.1))
    assert not any(feature.kind == "velocity" for feature in stream.extractor.features)
    sensor = SimAccelerometer(
        Machine(duty=(Duty(at_s=0, speed=0, load=0), Duty(at_s=10))), SimClock(math.inf, 0), 100
    )
    watch = VibrationWatch("de", sensor)
    sensor.start()
    found = []
    for _ in range(600):
        found += [s.state for s in stream.push(watch.judge(sensor.read())[0])]
    assert set(found[:80]) == {OFF}
    assert found[200:].count(OFF) < 0.1 * len(found[200:])
