"""Wall time of monotonic times."""

import time

import pytest

from appliance import clock
from appliance.clock import Discipline, KernelClock, WallClock, boottime_ns

NEVER = KernelClock(False, 16_000.0, 0)
HOUR_NS = 3_600_000_000_000


class Host:
    """A host whose clock the test sets; the kernel vouches for it, or not."""

    def __init__(self, monkeypatch):
        self.synchronised, self.by_ns, self.asked = True, 0, 0
        self._real = time.time_ns
        monkeypatch.setattr(time, "time_ns", lambda: self._real() + self.by_ns)
        monkeypatch.setattr(clock, "kernel_clock", self._said)

    def _said(self):
        self.asked += 1
        return KernelClock(self.synchronised, 12.0, time.time_ns() - boottime_ns())


@pytest.fixture
def host(monkeypatch):
    return Host(monkeypatch)


def now(wall):
    return wall.stamp(time.monotonic_ns())


def test_a_live_clock_tells_the_present_time():
    assert now(WallClock(live=True)).utc_ns == pytest.approx(time.time_ns(), abs=5e7)


def test_the_kernel_tells_its_time_together_with_what_it_thinks_of_it():
    kernel = clock.kernel_clock()
    assert kernel.off_ns == pytest.approx(time.time_ns() - boottime_ns(), abs=5e7)
    assert kernel.error_ms > 0
    quality = (
        "ntp" if kernel.synchronised and kernel.error_ms < 2000 else "est" if kernel.synchronised else "none"
    )
    assert now(WallClock(live=True)).quality == quality


def test_a_live_clock_follows_the_host_when_its_time_is_set(host):
    live, anchored = WallClock(live=True), WallClock(live=False)
    mono_ns = time.monotonic_ns()
    before_ns = live.stamp(mono_ns).utc_ns
    host.by_ns = HOUR_NS
    assert live.stamp(mono_ns).utc_ns - before_ns == pytest.approx(3.6e12, abs=5e7)
    assert anchored.stamp(mono_ns).utc_ns == pytest.approx(before_ns, abs=5e7)


def test_an_anchored_clock_keeps_intervals_exactly():
    anchored = WallClock(live=False)
    first = anchored.stamp(1_000).utc_ns
    time.sleep(0.01)
    assert anchored.stamp(1_000).utc_ns == first
    assert anchored.stamp(10**15).utc_ns - first == 10**15 - 1_000


def test_boot_time_is_the_kernels_and_no_setting_of_the_wall_clock_moves_it(host):
    live = WallClock(live=True)
    mono_ns = time.monotonic_ns()
    before_ns = live.stamp(mono_ns).boot_ns
    assert before_ns == pytest.approx(boottime_ns(), abs=5e7)
    host.by_ns = 10**18
    assert live.stamp(mono_ns).boot_ns == pytest.approx(before_ns, abs=5e7)


def test_the_kernel_is_asked_at_most_every_ten_seconds(host):
    fresh = WallClock(live=True)
    said = [now(fresh) for _ in range(5)]
    assert [one.quality for one in said] == ["ntp"] * 5
    assert said[-1].error_ms == pytest.approx(12.0, abs=0.1)
    assert host.asked == 1
    host.by_ns = 10**18
    assert now(fresh).quality == "ntp"
    assert host.asked == 2  # the clock was set: is it still true?


def test_a_time_read_just_before_the_clock_was_put_right_is_not_vouched_for(host, monkeypatch):
    """The wrong time is read, NTP puts it right, the kernel says that its clock is true: now, not then."""
    wall = WallClock(live=True)
    now(wall)
    host.by_ns = HOUR_NS
    ask = clock.kernel_clock

    def put_right():
        host.by_ns = 0
        return ask()

    monkeypatch.setattr(clock, "kernel_clock", put_right)
    stamp = now(wall)
    assert stamp.utc_ns == pytest.approx(time.time_ns() + HOUR_NS, abs=5e7)
    assert (stamp.quality, stamp.error_ms) == ("none", None)
    assert now(wall).quality == "ntp"


def test_an_error_grows_from_the_last_word_of_a_kernel_that_was_synchronised(monkeypatch):
    says, now_ns = [NEVER], [0]
    monkeypatch.setattr(clock, "kernel_clock", lambda: says[0])
    monkeypatch.setattr(clock, "boottime_ns", lambda: now_ns[0])
    discipline = Discipline()
    seen = []
    for at_ns, said in (
        (0, NEVER),
        (1, KernelClock(True, 3.0, 0)),
        (1 + HOUR_NS, KernelClock(True, 3000.0, 0)),
        (1 + 2 * HOUR_NS, NEVER),
        (1 + 3 * HOUR_NS, KernelClock(True, 5.0, 0)),
    ):
        now_ns[0], says[0] = at_ns, said
        discipline.look()
        seen.append((discipline.quality, discipline.error_ms))
    assert seen == [("none", None), ("ntp", 3.0), ("est", 3000.0), ("est", 4800.0), ("ntp", 5.0)]


def test_a_clock_that_somebody_has_set_is_not_what_the_kernel_last_vouched_for(monkeypatch):
    says = [NEVER]
    monkeypatch.setattr(clock, "kernel_clock", lambda: says[0])
    monkeypatch.setattr(clock, "boottime_ns", lambda: 7)
    discipline = Discipline()
    seen = []
    for said in (
        KernelClock(True, 3.0, 0),
        KernelClock(False, 16_000.0, 10_000_000),
        KernelClock(False, 16_000.0, -HOUR_NS),
        KernelClock(False, 16_000.0, 0),
        KernelClock(True, 4.0, 5_000_000_000),
    ):
        says[0] = said
        discipline.look()
        seen.append((discipline.quality, discipline.error_ms))
    assert seen == [("ntp", 3.0), ("est", 3.0), ("none", None), ("est", 3.0), ("ntp", 4.0)]
