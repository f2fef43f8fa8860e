"""What the guard makes of a drain whose device says that it clipped."""

import numpy as np
import pytest

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
