"""The simulated machine's clock."""

import math
import time

import pytest

from hw.sim.clock import SimClock


def test_real_time_waits_and_stamps_with_the_real_clock():
    clock = SimClock()
    before = time.monotonic_ns()
    assert clock.wait(clock.first_s() + 0.05)
    assert 0.045e9 < time.monotonic_ns() - before < 2e9
    assert before < clock.stamp_ns(1e6) <= time.monotonic_ns()


def test_a_wait_ends_after_a_quarter_of_a_second():
    clock = SimClock()
    before = time.monotonic()
    assert not clock.wait(60.0)
    assert 0.2 < time.monotonic() - before < 2.0


@pytest.mark.parametrize("speed", [0.0, math.inf])
def test_as_fast_as_it_can_never_waits(speed):
    clock = SimClock(speed, epoch_ns=5_000)
    assert clock.wait(1e9)
    assert clock.first_s() == 0.0
    assert clock.stamp_ns(2.0, 0.5) == 2_500_005_000
    assert clock.stamp_ns(2.0, -0.5) == 2_000_005_000


def test_accelerated_time_is_due_sooner_and_stamped_exactly():
    clock = SimClock(100.0)
    before = time.monotonic()
    assert clock.wait(5.0)
    assert 0.04 < time.monotonic() - before < 1.0
    assert clock.stamp_ns(5.0) == clock.epoch_ns + 5_000_000_000
    assert clock.first_s() == 0.0


@pytest.mark.parametrize("speed", [1.0, 20.0])
def test_an_older_epoch_joins_a_machine_that_went_on(speed):
    clock = SimClock(speed, epoch_ns=time.monotonic_ns() - 3_000_000_000)
    assert clock.first_s() == pytest.approx(3.0 * speed, rel=0.1)
    assert clock.wait(2.9 * speed)


@pytest.mark.parametrize("speed", [-1.0, math.nan])
def test_a_speed_that_is_none_is_refused(speed):
    with pytest.raises(ValueError, match="expected 0"):
        SimClock(speed)
