"""What the guard makes of a drain whose device says that it clipped, and of axes that stand still."""

import numpy as np
import pytest
from mounted import SCALE_MPS2, VIOLENT, Port, wave

from appliance.guard.sensor import VibrationWatch
from appliance.records import Validity
from hw.ports import Samples
from hw.sim.accelerometer import SimAccelerometer
from hw.sim.clock import SimClock
from hw.sim.rotor import Machine


@pytest.mark.parametrize("clipped", [False, True])
def test_a_clip_that_the_counts_do_not_show(clipped):
    watch = VibrationWatch("de", SimAccelerometer(Machine(), SimClock()))
    counts = np.random.default_rng(1).integers(-300, 300, (640, 3)).astype(np.int16)
    counts[:, 2] += 2048
    block, _, _ = watch.judge(Samples(counts, 10**9, clipped=clipped))
    assert block.validity == (Validity.CLIP if clipped else Validity.OK)


@pytest.mark.parametrize("stands", [-20_000, 77, 20_000])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_stuck_axis_does_not_hide_what_the_others_see(axis, stands):
    watch = VibrationWatch("de", Port())
    for k in range(10):
        counts = wave(VIOLENT, seed=k)
        counts[:, axis] = stands  # far from its mean: an axis that hangs has no peak of its own
        block, peak, rms = watch.judge(Samples(counts, 10**9 + k * 10**8))
    assert block.validity & Validity.STUCK
    moving = np.delete(counts, axis, axis=1).astype(float)
    deviation = (moving - np.rint(moving.mean(axis=0))) * SCALE_MPS2
    assert peak == pytest.approx(np.abs(deviation).max(), rel=0.01)
    assert rms == pytest.approx(deviation.std(axis=0).max(), rel=0.01)


def test_where_all_axes_are_stuck_nothing_is_known():
    watch = VibrationWatch("de", Port())
    for k in range(10):
        block, peak, rms = watch.judge(Samples(np.full((100, 3), 77, np.int16), 10**9 + k * 10**8))
    assert block.validity & Validity.STUCK
    assert (peak, rms) == (None, None)
    _, peak, rms = watch.judge(Samples(wave(VIOLENT), 3 * 10**9))
    assert peak > VIOLENT / 2
    assert rms > 0
