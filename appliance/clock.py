"""Wall time for a monotonic time, and how far it may be believed. Order comes from monotonic time only."""

import ctypes
import time
from pathlib import Path
from typing import NamedTuple

from appliance.records import TimeQuality

BOOT = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
"""Names this run of the kernel: CLOCK_BOOTTIME counts from its start."""

_STA_UNSYNC = 0x0040
_TIME_ERROR = 5
_QUALITY_PERIOD_NS = 10_000_000_000
_HELD_MS = 2000.0
"""The kernel lets its error grow by 0.5 ms/s between corrections, which come every 34 minutes at least."""
STEP_NS = 50_000_000
"""A wall clock that moves by more at once has been set."""
DRIFT_PPM = 500.0
"""What the kernel itself assumes of a clock that nobody corrects."""


class _Timex(ctypes.Structure):
    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


class KernelClock(NamedTuple):
    """What the kernel says of its wall clock. error_ms: how far it may be off at most."""

    synchronised: bool
    error_ms: float


def kernel_clock() -> KernelClock:
    """Ask the kernel (adjtimex, read only)."""
    timex = _Timex()
    result = ctypes.CDLL(None).adjtimex(ctypes.byref(timex))
    synchronised = result not in (-1, _TIME_ERROR) and not timex.status & _STA_UNSYNC
    return KernelClock(synchronised, timex.maxerror / 1e3)


def boottime_ns() -> int:
    """CLOCK_BOOTTIME: as CLOCK_MONOTONIC, but it also counts while the box sleeps."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class Discipline:
    """How far the host's wall clock may be believed: the kernel's word, and how it was when it fell silent.

    quality: ntp: synchronised; est: it was since this process began (holdover); none: it never was, or
    somebody has set the clock since, who may be wrong.
    error_ms: how far it may be off at most; None where nobody knows.
    """

    def __init__(self) -> None:
        self.quality: TimeQuality = "none"
        self.error_ms: float | None = None
        self._held: tuple[float, int, int] | None = None

    def look(self) -> None:
        """Ask the kernel again."""
        now_ns = boottime_ns()
        off_ns = time.time_ns() - now_ns
        kernel = kernel_clock()
        if kernel.synchronised:
            self._held = (kernel.error_ms, now_ns, off_ns)
        if self._held is None:
            return
        error_ms, at_ns, held_off_ns = self._held
        if abs(off_ns - held_off_ns) > STEP_NS:
            self.quality, self.error_ms = "none", None
            return
        self.error_ms = error_ms + (now_ns - at_ns) * DRIFT_PPM * 1e-12
        self.quality = "ntp" if kernel.synchronised and self.error_ms < _HELD_MS else "est"


class WallClock:
    """UTC of monotonic times.

    A live source shares the host's monotonic clock, so the present offset holds. A simulated or recorded
    source runs its own clock: it is anchored once, so that its time stays consistent with itself.
    """

    def __init__(self, *, live: bool) -> None:
        self._live = live
        self._discipline = Discipline()
        self._looked_ns = -_QUALITY_PERIOD_NS
        self._offset_ns = 0
        self._follow()

    def utc_ns(self, mono_ns: int) -> int:
        """UTC in nanoseconds of a monotonic time of the source."""
        if self._live:
            self._follow()
        return mono_ns + self._offset_ns

    def boot_ns(self, mono_ns: int) -> int:
        """CLOCK_BOOTTIME of a monotonic time of the source: no setting of the wall clock moves it."""
        if self._live:
            self._follow()
        return mono_ns + self._boot_offset_ns

    @property
    def quality(self) -> TimeQuality:
        """As that of `Discipline`."""
        return self._looked().quality

    @property
    def error_ms(self) -> float | None:
        """How far UTC may be off at most, ms; None where nobody knows."""
        return self._looked().error_ms

    def _follow(self) -> None:
        mono_ns = time.monotonic_ns()
        offset_ns = time.time_ns() - mono_ns
        if abs(offset_ns - self._offset_ns) > STEP_NS:
            self._looked_ns = mono_ns - _QUALITY_PERIOD_NS  # somebody has set the clock: is it still true?
        self._offset_ns = offset_ns
        self._boot_offset_ns = boottime_ns() - mono_ns

    def _looked(self) -> Discipline:
        now_ns = time.monotonic_ns()
        if now_ns - self._looked_ns >= _QUALITY_PERIOD_NS:
            self._discipline.look()
            self._looked_ns = now_ns
        return self._discipline
