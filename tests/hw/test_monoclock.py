"""The host's own time."""

import time

from hw.monoclock import MonoClock


def test_it_is_monotonic_time():
    clock = MonoClock()
    before_ns = time.monotonic_ns()
    now_ns = clock.now_ns()
    assert before_ns <= now_ns <= time.monotonic_ns()
    clock.sleep(0.02)
    assert clock.now_ns() - now_ns >= 20_000_000
