"""The simulated accelerometer as a port, and its troubles."""

import math
import time

import numpy as np
import pytest

from appliance.config import Duty
from appliance.sensors import Trouble
from hw.ports import STANDARD_GRAVITY_MPS2, PortError, Vibration
from hw.sim.accelerometer import SimAccelerometer
from hw.sim.clock import SimClock
from hw.sim.rotor import Machine

G = STANDARD_GRAVITY_MPS2


def build(*troubles, clock=None, stopped=False, **settings) -> SimAccelerometer:
    duty = (Duty(0.0, 0.0, 0.0),) if stopped else ()
    sensor = SimAccelerometer(Machine(duty=duty), clock or SimClock(math.inf), troubles=troubles, **settings)
    port: Vibration = sensor
    port.start()
    return sensor


def drain(sensor, seconds):
    return [sensor.read() for _ in range(round(seconds / 0.1))]


def mean_g(samples, sensor):
    return samples.counts.mean(axis=0) * sensor.scale_mps2 / G


@pytest.mark.parametrize("rate_hz", [50.0, 6400.0, 25600.0])
def test_block_size_changes_no_sample(rate_hz):
    total = round(3 * rate_hz)
    streams = []
    for block_s in (0.005, 0.1, 0.7):
        sensor = build(rate_hz=rate_hz, block_s=block_s)
        blocks = [sensor.read().counts]
        while sum(map(len, blocks)) < total:
            blocks.append(sensor.read().counts)
        streams.append(np.concatenate(blocks)[:total])
    assert np.array_equal(streams[0], streams[1])
    assert np.array_equal(streams[0], streams[2])


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_at_rest_gravity_is_on_the_last_axis_over_the_sensors_own_noise(axes):
    sensor = build(stopped=True, axes=axes)
    counts = np.concatenate([x.counts for x in drain(sensor, 3)])
    assert counts.dtype == np.int16
    assert counts.shape == (19200, axes)
    assert counts.mean(axis=0) * sensor.scale_mps2 / G == pytest.approx([0.0] * (axes - 1) + [1.0], abs=2e-3)
    expected = math.hypot(75e-6 * G * math.sqrt(3200), sensor.scale_mps2 / math.sqrt(12))
    assert counts.std(axis=0) * sensor.scale_mps2 == pytest.approx([expected] * axes, rel=0.05)
    assert sensor.noise_mps2 == pytest.approx(75e-6 * G * math.sqrt(3200))


def test_full_scale_is_the_range():
    assert build(range_g=4.0).scale_mps2 * 32768 == pytest.approx(4 * G)


def test_accelerated_stamps_are_the_samples_time_at_the_true_rate():
    sensor = build(clock_ppm=20_000.0, rate_hz=3200.0)
    epoch_ns = sensor._clock.epoch_ns
    ends = np.arange(1, 51) * 320 / (3200 * 1.02)
    late_s = np.array([x.host_ns - epoch_ns for x in drain(sensor, 5)]) * 1e-9 - ends
    assert late_s.min() >= -1e-8
    assert late_s.max() < 1e-3
    assert late_s.std() > 1e-6


def test_real_time_takes_real_time():
    sensor = build(clock=SimClock(), block_s=0.05)
    begin_ns = time.monotonic_ns()
    blocks = [sensor.read() for _ in range(6)]
    assert time.monotonic_ns() - begin_ns > 0.24e9
    stamps = [x.host_ns for x in blocks]
    assert stamps == sorted(stamps)
    assert begin_ns < stamps[0] <= stamps[-1] <= time.monotonic_ns()


def test_real_time_read_is_empty_after_a_quarter_of_a_second():
    sensor = build(clock=SimClock(), block_s=1.0)
    begin = time.monotonic()
    samples = sensor.read()
    assert samples.counts.shape == (0, 3)
    assert time.monotonic() - begin < 2.0


def test_real_time_restart_does_not_deliver_what_was_not_sampled():
    sensor = build(clock=SimClock(), block_s=0.05)
    sensor.read()
    sensor.stop()
    time.sleep(0.3)
    sensor.start()
    begin = time.monotonic()
    for _ in range(3):
        sensor.read()
    assert time.monotonic() - begin > 0.1


def test_accelerated_restart_goes_on_where_it_stopped():
    whole, parted = build(), build()
    parted.read()
    parted.stop()
    parted.start()
    whole.read()
    assert np.array_equal(parted.read().counts, whole.read().counts)


def test_read_needs_start():
    sensor = SimAccelerometer(Machine(), SimClock(math.inf))
    with pytest.raises(PortError, match="start"):
        sensor.read()
    sensor.start()
    sensor.stop()
    with pytest.raises(PortError, match="start"):
        sensor.read()


def test_dropout_loses_samples_and_says_so():
    sensor, healthy = build(Trouble("dropout", 1.0, 2.0)), build()
    got, all_of_it = drain(sensor, 3), drain(healthy, 3)
    lost = [x.lost for x in got]
    assert sum(lost) == pytest.approx(3200, abs=320)
    assert lost[:9] == [0] * 9
    assert lost[21:] == [0] * 9
    for samples, whole in zip(got, all_of_it, strict=True):
        assert len(samples.counts) + samples.lost == 640
        assert np.array_equal(samples.counts, whole.counts[samples.lost :])


def test_stuck_repeats_one_sample():
    blocks = drain(build(Trouble("stuck", 1.0, 2.0)), 3)
    stuck = np.concatenate([x.counts for x in blocks[10:20]])[:-10]
    assert (stuck[1:] == stuck[1]).all()
    assert blocks[9].counts.std() > 0
    assert (blocks[25].counts.std(axis=0) > 0).all()


def test_clip_reaches_full_scale():
    blocks = drain(build(Trouble("clip", 1.0, 2.0)), 3)
    assert np.abs(blocks[15].counts.astype(int)).max() >= 32767
    assert (np.abs(blocks[15].counts.astype(int)) >= 32767).mean() > 0.3
    assert np.abs(blocks[5].counts.astype(int)).max() < 10_000
    assert np.abs(blocks[25].counts.astype(int)).max() < 10_000


def test_fallen_turns_gravity_by_a_right_angle():
    sensor = build(Trouble("fallen", 1.0, 2.0))
    blocks = drain(sensor, 3)
    assert mean_g(blocks[5], sensor) == pytest.approx([0, 0, 1], abs=0.02)
    assert mean_g(blocks[15], sensor) == pytest.approx([1, 0, 0], abs=0.02)
    assert mean_g(blocks[25], sensor) == pytest.approx([0, 0, 1], abs=0.02)


def test_fallen_single_axis_loses_gravity():
    sensor = build(Trouble("fallen"), axes=1)
    assert mean_g(sensor.read(), sensor) == pytest.approx([0], abs=0.02)


def test_clock_drift_changes_the_rate_for_its_time():
    stamps = np.array([x.host_ns for x in drain(build(Trouble("clock_drift", 2.0, 4.0, 50_000.0)), 6)])
    rates = 640 / (np.diff(stamps) * 1e-9)
    assert np.median(rates[:18]) == pytest.approx(6400, rel=2e-3)
    assert np.median(rates[22:38]) == pytest.approx(6720, rel=2e-3)
    assert np.median(rates[44:]) == pytest.approx(6400, rel=2e-3)


def test_lost_does_not_answer_and_comes_back():
    sensor, healthy = build(Trouble("lost", 1.0, 2.0)), build()
    got = []
    for _ in range(30):
        try:
            got.append(sensor.read())
        except PortError as fault:
            got.append(fault)
    silent = [isinstance(x, PortError) for x in got]
    assert silent[:9] == [False] * 9
    assert sum(silent) == pytest.approx(10, abs=1)
    back = silent.index(False, 10)
    assert got[back].lost == sum(silent) * 640
    assert np.array_equal(got[back].counts, drain(healthy, 3)[back].counts)


def test_lost_is_over_when_the_machines_time_says_so():
    """Whoever starts it again rests in between, for much longer than a block of a fast machine lasts."""
    sensor = build(Trouble("lost", 0.0, 5.0), clock=SimClock(100.0))
    with pytest.raises(PortError, match="no answer"):
        sensor.read()
    time.sleep(0.06)
    sensor.start()
    assert len(sensor.read().counts) == 640


def test_speed():
    """At least 10 times real time on anything that runs this; it is about 100 times on one x86 core."""
    sensor = build(rate_hz=25600.0)
    begin = time.process_time()
    drain(sensor, 10)
    assert time.process_time() - begin < 1.0
