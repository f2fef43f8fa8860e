"""A recording played as a sensor."""

import math
import time

import numpy as np
import pytest

from hw.player import RecordingVibration
from hw.ports import STANDARD_GRAVITY_MPS2, EndOfSource, PortError, Vibration
from hw.recording import Gap, Recording
from hw.sim.clock import SimClock

G = STANDARD_GRAVITY_MPS2
RATE_HZ = 1000.0


def recording(n=1000, axes=3, gravity_g=1.0, **changes) -> Recording:
    accel = np.random.default_rng(1).normal(0, 2, (n, axes)).astype(np.float32)
    accel[:, -1] += gravity_g * G
    return Recording(
        **{"name": "r", "rate_hz": RATE_HZ, "accel": accel, "axis_names": ("x", "y", "z")[:axes]} | changes
    )


def play(source, block_s=0.1, clock=None):
    player = RecordingVibration(source, block_s, clock or SimClock(math.inf, epoch_ns=0))
    port: Vibration = player
    port.start()
    drains = []
    try:
        while True:
            drains.append(player.read())
    except EndOfSource:
        player.stop()
    return player, drains


def test_plays_every_sample_once():
    source = recording(n=1050)
    player, drains = play(source)
    assert [len(x.counts) for x in drains] == [100] * 10 + [50]
    assert sum(x.lost for x in drains) == 0
    played = np.concatenate([x.counts for x in drains]) * player.scale_mps2
    assert played == pytest.approx(source.accel, abs=0.51 * player.scale_mps2)
    stamps_s = np.array([x.host_ns for x in drains]) * 1e-9
    assert stamps_s == pytest.approx(np.append(np.arange(1, 11) * 0.1, 1.05), abs=1e-3)


def test_floats_never_look_clipped():
    player, drains = play(recording())
    assert np.abs(np.concatenate([x.counts for x in drains])).max() == 32000
    assert player.full_scale_counts == 32767


def test_sixteen_bit_counts_are_played_exactly():
    counts = np.random.default_rng(1).integers(-32768, 32768, (500, 2)).astype(np.int16)
    source = recording(accel=(counts * 0.01).astype(np.float32), counts=counts, scale_mps2=0.01)
    player, drains = play(source)
    assert np.array_equal(np.concatenate([x.counts for x in drains]), counts)
    assert player.scale_mps2 == 0.01


def test_a_gap_ends_a_drain_and_is_reported_with_the_next():
    _, drains = play(recording(n=300, gaps=(Gap(49, 7), Gap(219, 1000))))
    assert [(len(x.counts), x.lost) for x in drains] == [(50, 0), (100, 7), (70, 0), (80, 1000)]
    assert drains[-1].host_ns * 1e-9 == pytest.approx(1.307, abs=1e-3)


def test_samples_lost_before_the_first():
    _, drains = play(recording(n=100, gaps=(Gap(-1, 5),)))
    assert [(len(x.counts), x.lost) for x in drains] == [(100, 5)]


def test_nan_is_lost_not_played():
    source = recording(n=300)
    source.accel[:2] = np.nan
    source.accel[120, 1] = np.nan
    source.accel[298:, 0] = np.nan
    player, drains = play(source)
    assert [(len(x.counts), x.lost) for x in drains] == [(100, 2), (18, 0), (100, 1), (77, 0)]
    assert np.concatenate([x.counts for x in drains])[118] * player.scale_mps2 == pytest.approx(
        source.accel[121], abs=player.scale_mps2
    )


def test_nothing_but_nan_ends_at_once():
    source = recording(n=10)
    source.accel[:] = np.nan
    assert play(source)[1] == []


def test_silence_is_played_as_zero():
    source = recording(n=100, gravity_g=0.0)
    source.accel[:] = 0
    assert not play(source)[1][0].counts.any()


@pytest.mark.parametrize(
    ("gravity_g", "seen"), [(1.0, True), (0.85, True), (0.0, False), (0.7, False), (1.3, False)]
)
def test_gravity_tells_a_dc_coupled_sensor(gravity_g, seen):
    assert RecordingVibration(recording(gravity_g=gravity_g), 0.1, SimClock()).dc_coupled is seen


def test_real_time_takes_real_time():
    begin_ns = time.monotonic_ns()
    _, drains = play(recording(n=300), clock=SimClock())
    assert 0.25e9 < time.monotonic_ns() - begin_ns < 5e9
    assert begin_ns < drains[0].host_ns < drains[-1].host_ns


def test_real_time_read_is_empty_after_a_quarter_of_a_second():
    player = RecordingVibration(recording(), 1.0, SimClock())
    player.start()
    assert player.read().counts.shape == (0, 3)


def test_accelerated():
    begin = time.monotonic()
    _, drains = play(recording(n=1000), clock=SimClock(10.0, epoch_ns=time.monotonic_ns()))
    assert 0.08 < time.monotonic() - begin < 2.0
    assert np.diff([x.host_ns for x in drains]) == pytest.approx(np.full(9, 1e8), abs=1e6)


def test_read_needs_start():
    with pytest.raises(PortError, match="start"):
        RecordingVibration(recording(), 0.1, SimClock()).read()


def test_restart_goes_on():
    player = RecordingVibration(recording(n=300), 0.1, SimClock(math.inf))
    player.start()
    first = player.read().counts
    player.stop()
    player.start()
    assert not np.array_equal(player.read().counts, first)
    player.read()
    with pytest.raises(EndOfSource):
        player.read()
