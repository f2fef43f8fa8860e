"""Wall time of monotonic times."""

import time

import pytest

from appliance import clock
from appliance.clock import WallClock


def test_a_live_clock_tells_the_present_time():
    assert WallClock(live=True).utc_ns(time.monotonic_ns()) == pytest.approx(time.time_ns(), abs=5e7)


def test_a_live_clock_follows_the_host_when_its_time_is_set(monkeypatch):
    live, anchored = WallClock(live=True), WallClock(live=False)
    mono_ns = time.monotonic_ns()
    before_ns = live.utc_ns(mono_ns)
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + 3_600_000_000_000)
    assert live.utc_ns(mono_ns) - before_ns == pytest.approx(3.6e12, abs=5e7)
    assert anchored.utc_ns(mono_ns) == pytest.approx(before_ns, abs=5e7)


def test_an_anchored_clock_keeps_intervals_exactly():
    anchored = WallClock(live=False)
    first = anchored.utc_ns(1_000)
    time.sleep(0.01)
    assert anchored.utc_ns(1_000) == first
    assert anchored.utc_ns(10**15) - first == 10**15 - 1_000


def test_quality_is_the_kernels_word_and_asked_at_most_every_ten_seconds(monkeypatch):
    asked = []
    wall = WallClock(live=True)
    assert wall.quality == ("ntp" if clock.kernel_synchronised() else "est")

    def kernel():
        asked.append(1)
        return True

    monkeypatch.setattr(clock, "kernel_synchronised", kernel)
    fresh = WallClock(live=True)
    assert [fresh.quality for _ in range(5)] == ["ntp"] * 5
    assert len(asked) == 1
