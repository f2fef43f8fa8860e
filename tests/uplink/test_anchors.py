"""True times for what happened before the clock was right."""

import time

import pytest

from appliance import clock
from appliance.clock import BOOT, KernelClock, boottime_ns
from appliance.uplink.anchors import Anchors

YEAR_NS = 31_557_600 * 10**9
NTP, NEVER = (True, 5.0), (False, 16_000.0)


class Box:
    """A box whose kernel and wall clock the test sets."""

    def __init__(self, monkeypatch):
        self.said = NEVER
        self.off_ns = 0
        self._real = time.time_ns
        monkeypatch.setattr(clock, "kernel_clock", self._says)
        monkeypatch.setattr(time, "time_ns", lambda: self._real() + self.off_ns)

    def _says(self):
        return KernelClock(*self.said, time.time_ns() - boottime_ns())


@pytest.fixture
def box(monkeypatch):
    return Box(monkeypatch)


def told(anchors, boot_ns, utc_ns, quality="none", boot=BOOT, error_ms=None):
    return anchors.told(boot, boot_ns, utc_ns, quality, error_ms)


@pytest.mark.parametrize("years", [-50, -1, 0, 1, 100])
def test_what_happened_before_the_first_sync_is_told_by_its_true_time(box, tmp_path, years):
    anchors = Anchors(tmp_path / "anchors.json")
    box.off_ns = years * YEAR_NS
    happened_ns, stamp_ns = boottime_ns(), time.time_ns()
    anchors.look(0.0)
    assert told(anchors, happened_ns, stamp_ns) == (stamp_ns, "none", None, None)
    box.off_ns, box.said = 0, NTP
    anchors.look(20.0)
    true = told(anchors, happened_ns, stamp_ns)
    assert true.utc_ns == pytest.approx(stamp_ns - years * YEAR_NS, abs=5e8)
    assert (true.quality, true.device_ns) == ("est", stamp_ns)
    assert 5.0 <= true.error_ms < 6.0
    again = Anchors(tmp_path / "anchors.json")
    assert told(again, happened_ns, stamp_ns) == true
    assert told(again, happened_ns, stamp_ns, boot="another") == (stamp_ns, "none", None, None)
    assert told(again, happened_ns, stamp_ns, "ntp", error_ms=1.0) == (stamp_ns, "ntp", 1.0, None)


def test_the_error_grows_with_the_distance_and_a_stamp_that_fits_is_left_alone(box, tmp_path):
    anchors = Anchors(tmp_path / "anchors.json")
    box.said = NTP
    anchors.look(0.0)
    now_ns = boottime_ns()
    day_before = told(anchors, now_ns - 86_400 * 10**9, 0)
    assert day_before.error_ms == pytest.approx(5.0 + 43_200.0, rel=0.001)  # 500 ppm
    held_ns = time.time_ns() - boottime_ns() + now_ns + 6_000_000
    assert told(anchors, now_ns, held_ns, "est", error_ms=2.0) == (held_ns, "est", 2.0, None)
    set_ns = held_ns + 3_600 * 10**9  # somebody set the clock while it was held
    assert told(anchors, now_ns, set_ns, "est", error_ms=2.0).device_ns == set_ns


def test_the_file_is_written_once_a_boot_and_after_a_step(box, tmp_path):
    path = tmp_path / "anchors.json"
    anchors = Anchors(path)
    anchors.look(0.0)
    assert not path.exists()
    box.said = NTP
    for now_s in (20.0, 40.0, 60.0):
        anchors.look(now_s)
    first = path.read_bytes()
    assert first.count(b"boot_ns") == 1
    box.off_ns = 40_000_000
    anchors.look(80.0)
    assert path.read_bytes() == first
    before_ns = boottime_ns()
    box.off_ns = 3600 * 10**9
    anchors.look(100.0)
    assert path.read_bytes().count(b"boot_ns") == 2
    assert told(anchors, before_ns + 10**12, 0).utc_ns - before_ns - 10**12 == pytest.approx(
        time.time_ns() - boottime_ns(), abs=5e7
    )


@pytest.mark.parametrize("content", [b"", b"[{", b'{"a":1}', b"\xff\xfe", b'[{"boot":"x"}]'])
def test_a_damaged_file_is_begun_anew(box, tmp_path, content):
    path = tmp_path / "anchors.json"
    path.write_bytes(content)
    anchors = Anchors(path)
    box.said = NTP
    anchors.look(0.0)
    assert Anchors(path).told(BOOT, boottime_ns(), 5, "none", None).device_ns == 5


def test_a_file_that_cannot_be_written_is_tried_again(box, tmp_path):
    path = tmp_path / "missing" / "anchors.json"
    anchors = Anchors(path)
    box.said = NTP
    anchors.look(0.0)
    assert told(anchors, boottime_ns(), 5).device_ns == 5
    path.parent.mkdir()
    anchors.look(20.0)
    assert path.exists()


def test_only_the_latest_hundred_are_kept(box, tmp_path):
    anchors = Anchors(tmp_path / "anchors.json")
    box.said = NTP
    for n in range(110):
        box.off_ns = n * 10**9
        anchors.look(20.0 * n)
    assert (tmp_path / "anchors.json").read_bytes().count(b"boot_ns") == 100


def test_a_clock_set_right_after_the_kernel_has_spoken_makes_no_anchor(box, tmp_path, monkeypatch):
    anchors = Anchors(tmp_path / "anchors.json")
    box.said = NTP
    ask = clock.kernel_clock

    def set_at_once():
        said = ask()
        box.off_ns = YEAR_NS
        return said

    monkeypatch.setattr(clock, "kernel_clock", set_at_once)
    happened_ns, true_ns = boottime_ns(), time.time_ns()
    anchors.look(0.0)
    assert told(anchors, happened_ns, 0).utc_ns == pytest.approx(true_ns, abs=5e8)
