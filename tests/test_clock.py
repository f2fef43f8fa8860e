"""Wall time of monotonic times."""

import time

import pytest

from appliance import clock
from appliance.clock import Discipline, KernelClock, WallClock


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


def test_boot_time_is_the_kernels_and_no_setting_of_the_wall_clock_moves_it(monkeypatch):
    live = WallClock(live=True)
    mono_ns = time.monotonic_ns()
    before_ns = live.boot_ns(mono_ns)
    assert before_ns == pytest.approx(time.clock_gettime_ns(time.CLOCK_BOOTTIME), abs=5e7)
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + 10**18)
    assert live.boot_ns(mono_ns) == pytest.approx(before_ns, abs=5e7)


def test_the_kernel_is_asked_at_most_every_ten_seconds(monkeypatch):
    asked = []
    wall = WallClock(live=True)
    kernel = clock.kernel_clock()
    assert wall.quality == ("ntp" if kernel.synchronised and kernel.error_ms < 2000 else "none")

    def said():
        asked.append(1)
        return KernelClock(True, 12.0)

    monkeypatch.setattr(clock, "kernel_clock", said)
    fresh = WallClock(live=True)
    assert [fresh.quality for _ in range(5)] == ["ntp"] * 5
    assert fresh.error_ms == pytest.approx(12.0, abs=0.1)
    assert len(asked) == 1
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + 10**18)
    fresh.utc_ns(time.monotonic_ns())
    assert fresh.quality == "ntp"
    assert len(asked) == 2  # the clock was set: is it still true?


def test_an_error_grows_from_the_last_word_of_a_kernel_that_was_synchronised(monkeypatch):
    says = [KernelClock(False, 16_000.0)]
    hour_ns = 3_600_000_000_000
    now_ns = [0]
    monkeypatch.setattr(clock, "kernel_clock", lambda: says[0])
    monkeypatch.setattr(clock, "boottime_ns", lambda: now_ns[0])
    monkeypatch.setattr(time, "time_ns", lambda: now_ns[0] + 10**18)
    discipline = Discipline()
    seen = []
    for at_ns, said in (
        (0, KernelClock(False, 16_000.0)),
        (1, KernelClock(True, 3.0)),
        (1 + hour_ns, KernelClock(True, 3000.0)),
        (1 + 2 * hour_ns, KernelClock(False, 16_000.0)),
        (1 + 3 * hour_ns, KernelClock(True, 5.0)),
    ):
        now_ns[0], says[0] = at_ns, said
        discipline.look()
        seen.append((discipline.quality, discipline.error_ms))
    assert seen == [("none", None), ("ntp", 3.0), ("est", 3000.0), ("est", 4800.0), ("ntp", 5.0)]


def test_a_clock_that_somebody_has_set_is_not_what_the_kernel_last_vouched_for(monkeypatch):
    says, set_by_ns = [KernelClock(True, 3.0)], [0]
    monkeypatch.setattr(clock, "kernel_clock", lambda: says[0])
    monkeypatch.setattr(clock, "boottime_ns", lambda: 7)
    monkeypatch.setattr(time, "time_ns", lambda: 10**18 + set_by_ns[0])
    discipline = Discipline()
    seen = []
    for said, by_ns in (
        (KernelClock(True, 3.0), 0),
        (KernelClock(False, 16_000.0), 10_000_000),
        (KernelClock(False, 16_000.0), -3_600_000_000_000),
        (KernelClock(False, 16_000.0), 0),
        (KernelClock(True, 4.0), 5_000_000_000),
    ):
        says[0], set_by_ns[0] = said, by_ns
        discipline.look()
        seen.append((discipline.quality, discipline.error_ms))
    assert seen == [("ntp", 3.0), ("est", 3.0), ("none", None), ("est", 3.0), ("ntp", 4.0)]
