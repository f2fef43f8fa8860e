"""Whether a block may be trusted: each trouble has its flag, and a healthy machine has none."""

import math

import numpy as np
import pytest
from mounted import SCALE_MPS2, Port, wave

from appliance.config import Duty, Fault
from appliance.guard.sensor import VibrationWatch
from appliance.guard.validity import BlockValidity
from appliance.records import Validity
from appliance.sensors import Trouble
from hw.ports import PortError
from hw.sim.accelerometer import SimAccelerometer
from hw.sim.clock import SimClock
from hw.sim.rotor import Machine

FULL = 32767


def judge(counts, *, lost=0, ppm=0.0, port=None):
    return BlockValidity(port or Port()).check(counts, lost, ppm)


def test_a_sound_block_is_ok():
    assert judge(wave(10.0)) is Validity.OK


def test_missing_samples_are_a_gap():
    assert judge(wave(10.0), lost=1) == Validity.GAP


def test_a_clock_more_than_5_percent_off_is_a_fault():
    assert judge(wave(1.0), ppm=50_001) == Validity.CLOCK
    assert judge(wave(1.0), ppm=-50_001) == Validity.CLOCK
    assert judge(wave(1.0), ppm=50_000) is Validity.OK


@pytest.mark.parametrize("edge", [FULL, FULL - 1, -FULL, -32768])
def test_two_samples_at_full_scale_are_clipped_one_is_not(edge):
    counts = wave(1.0)
    counts[10, 1] = edge
    assert judge(counts) is Validity.OK
    counts[50, 2] = edge  # on another axis: still one each
    assert judge(counts) is Validity.OK
    counts[11, 1] = edge
    assert judge(counts) == Validity.CLIP


def test_a_value_just_below_full_scale_is_no_clipping():
    counts = wave(1.0)
    counts[10:20, 1] = FULL - 2
    counts[20:30, 1] = -(FULL - 2)
    assert Validity.CLIP not in judge(counts)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_axis_that_stands_still_for_half_a_second_is_stuck(axis):
    check = BlockValidity(Port())
    seen = []
    for k in range(8):
        counts = wave(1.0, seed=k)
        counts[:, axis] = 77
        seen.append(check.check(counts, 0, 0.0) & Validity.STUCK)
    assert not any(seen[:5])  # the first block can have begun to stand still at its very begin
    assert all(seen[5:])
    assert check.check(wave(1.0, seed=99), 0, 0.0) & Validity.STUCK == 0


def test_at_a_low_rate_stuck_takes_32_samples():
    check = BlockValidity(Port(rate_hz=50.0))
    block = np.full((5, 3), 100, np.int16)
    seen = [bool(check.check(block, 0, 0.0) & Validity.STUCK) for _ in range(9)]
    assert seen.index(True) == 7  # 35 samples


def test_a_converter_coarser_than_the_noise_may_stand_still():
    """±200 g on a stopped machine: one count for ever is what it sees."""
    still = np.zeros((100, 3), np.int16)
    still[:, 2] = 10
    coarse = Port(scale_mps2=0.98, noise_mps2=0.05)
    check = BlockValidity(coarse)
    assert all(not check.check(still, 0, 0.0) & Validity.STUCK for _ in range(100))
    unknown = BlockValidity(Port(scale_mps2=0.98, noise_mps2=0.0))
    assert any(unknown.check(still, 0, 0.0) & Validity.STUCK for _ in range(100))


def turning(axes, before, after, blocks=150):
    """Flags while the slow mean goes from one vector (m/s²) to another, and back after `blocks` blocks."""
    check = BlockValidity(Port(axes=axes))
    flags = []
    for k in range(3 * blocks):
        vector = after if blocks <= k < 2 * blocks else before
        noise = np.random.default_rng(k).normal(0, 0.05, (100, axes))
        counts = np.rint((noise + np.array(vector)) / SCALE_MPS2).astype(np.int16)
        flags.append(bool(check.check(counts, 0, 0.0) & Validity.GRAVITY))
    return flags[:blocks], flags[2 * blocks - 20 : 2 * blocks], flags[-20:]


def tilted(degrees):
    angle = math.radians(degrees)
    return (9.80665 * math.sin(angle), 0.0, 9.80665 * math.cos(angle))


@pytest.mark.parametrize(
    ("axes", "before", "after"),
    [
        (3, tilted(0), tilted(12)),
        (3, tilted(0), tilted(90)),
        (3, tilted(30), tilted(180)),
        (3, tilted(0), (0.0, 0.0, 0.0)),
        (2, (0.0, 9.80665), (9.80665, 0.0)),
        (1, (9.80665,), (0.0,)),
        (1, (9.80665,), (-9.80665,)),
    ],
)
def test_a_sensor_that_turned_or_lost_gravity_is_seen_and_recovers(axes, before, after):
    sound, fallen, again = turning(axes, before, after)
    assert not any(sound)
    assert all(fallen)
    assert not any(again)


@pytest.mark.parametrize(
    ("axes", "before", "after"),
    [
        (3, tilted(0), tilted(8)),
        (2, (0.02, -0.02), (-0.02, 0.03)),  # both axes lie level: there is no gravity to turn
        (1, (0.02,), (-0.02,)),
    ],
)
def test_a_sensor_that_moved_a_little_is_sound(axes, before, after):
    assert not any(any(part) for part in turning(axes, before, after))


def test_a_sensor_without_dc_has_no_gravity_to_watch():
    check = BlockValidity(Port(dc_coupled=False))
    for k in range(100):
        counts = np.rint(np.random.default_rng(k).normal(0, 1, (100, 3)) / SCALE_MPS2).astype(np.int16)
        assert check.check(counts, 0, 0.0) is Validity.OK


def simulated(rate_hz, axes, seconds, *, duty=(), troubles=(), faults=(), block_s=0.1, **how):
    """(machine time, validity) of every block of the simulated machine, as the guard would judge it."""
    machine = Machine(seed=3, resonance_hz=min(3500.0, 0.3 * rate_hz), duty=duty, faults=faults)
    sensor = SimAccelerometer(
        machine, SimClock(math.inf, 0), rate_hz, axes, block_s, troubles=troubles, **how
    )
    watch = VibrationWatch("de", sensor)
    sensor.start()
    t_s = 0.0
    while t_s < seconds:
        try:
            samples = sensor.read()
        except PortError:
            t_s += block_s
            yield t_s, Validity.LOST
            continue
        t_s = samples.host_ns * 1e-9
        if len(samples.counts):
            yield t_s, watch.judge(samples)[0].validity


START_STOP = (
    Duty(at_s=60, speed=0.0, load=0.0),
    Duty(at_s=150, speed=1.0, load=1.0),
    Duty(at_s=300, speed=0.4, load=0.2),
    Duty(at_s=420, speed=1.3, load=1.2),
    Duty(at_s=540, speed=0.0, load=0.0),
)


@pytest.mark.parametrize(
    ("rate_hz", "axes", "how"),
    [
        (50, 3, {"block_s": 1.0}),
        (400, 1, {}),
        (400, 2, {"clock_ppm": -30_000}),
        (3200, 3, {"clock_ppm": 30_000}),
        (6400, 3, {}),
        (400, 3, {"range_g": 200.0}),
    ],
)
def test_ten_minutes_of_a_healthy_machine_with_stops_are_never_not_ok(rate_hz, axes, how):
    flags = [validity for _, validity in simulated(rate_hz, axes, 600, duty=START_STOP, **how)]
    assert len(flags) >= 500
    assert set(flags) == {Validity.OK}


def test_a_machine_that_wears_badly_is_no_faulty_sensor():
    worn = (Fault(kind="outer_race", full_s=1, severity=0.7), Fault(kind="imbalance", full_s=1))
    assert {validity for _, validity in simulated(6400, 3, 20, faults=worn)} == {Validity.OK}


@pytest.mark.parametrize("axes", [1, 3])
@pytest.mark.parametrize(
    ("kind", "amount", "flag", "by_s", "recovered_s"),
    [
        ("dropout", 0.0, Validity.GAP, 0.2, 1.0),
        ("stuck", 0.0, Validity.STUCK, 1.0, 1.0),
        ("clip", 0.0, Validity.CLIP, 0.2, 1.0),
        ("fallen", 0.0, Validity.GRAVITY, 6.0, 8.0),
        ("clock_drift", 100_000.0, Validity.CLOCK, 20.0, 60.0),
        ("lost", 0.0, Validity.LOST, 0.2, 1.0),
    ],
)
def test_each_simulated_trouble_ends_in_its_flag_and_recovers(kind, amount, flag, by_s, recovered_s, axes):
    begin_s, end_s, rate_hz = 15.0, 45.0, 400
    trouble = Trouble(kind=kind, start_s=begin_s, end_s=end_s, amount=amount)
    during, after = [], []
    for t_s, validity in simulated(rate_hz, axes, end_s + recovered_s + 20, troubles=(trouble,)):
        if t_s < begin_s:
            assert validity is Validity.OK
        elif begin_s + by_s < t_s < end_s:
            during.append(flag in validity)
        elif t_s > end_s + recovered_s:
            after.append(validity)
    assert len(during) >= 30
    assert all(during)
    assert len(after) >= 150
    assert set(after) == {Validity.OK}
