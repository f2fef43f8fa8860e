"""Wall time for a monotonic time, and how far it may be believed. Order comes from monotonic time only."""

import ctypes
import time
from pathlib import Path
from typing import NamedTuple

from appliance.records import TimeQuality

BOOT = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
"""Names this run of the kernel: CLOCK_BOOTTIME counts from its start."""

_STA_UNSYNC = 0x0040
_STA_NANO = 0x2000
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
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("seconds", ctypes.c_long),
        ("part", ctypes.c_long),
        ("rest", ctypes.c_byte * 256),
    )


class KernelClock(NamedTuple):
    """What the kernel says of its wall clock. error_ms: how far it may be off at most.

    off_ns: what it showed then, UTC less CLOCK_BOOTTIME; asked for apart, somebody may set it in between.
    """

    synchronised: bool
    error_ms: float
    off_ns: int


def kernel_clock() -> KernelClock:
    """Ask the kernel (adjtimex, read only)."""
    timex = _Timex()
    before_ns = boottime_ns()
    result = ctypes.CDLL(None).adjtimex(ctypes.byref(timex))
    after_ns = boottime_ns()
    utc_ns = timex.seconds * 10**9 + timex.part * (1 if timex.status & _STA_NANO else 1000)
    if result == -1:
        utc_ns = time.time_ns()
    synchronised = result not in (-1, _TIME_ERROR) and not timex.status & _STA_UNSYNC
    error_ms = timex.maxerror / 1e3 + (after_ns - before_ns) / 2e6
    return KernelClock(synchronised, error_ms, utc_ns - (before_ns + after_ns) // 2)


def boottime_ns() -> int:
    """CLOCK_BOOTTIME: as CLOCK_MONOTONIC, but it also counts while the box sleeps."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class Discipline:
    """How far the host's wall clock may be believed: the kernel's word, and how it was when it fell silent.

    quality: ntp: synchronised; est: it was since this process began (holdover); none: it never was, or
    somebody has set the clock since, who may be wrong.
    error_ms: how far it may be off at most; None where nobody knows.
    off_ns: of the clock that this is said of.
    """

    def __init__(self) -> None:
        self.quality: TimeQuality = "none"
        self.error_ms: float | None = None
        self.off_ns = 0
        self._held: tuple[float, int, int] | None = None

    def look(self) -> None:
        """Ask the kernel again."""
        now_ns = boottime_ns()
        kernel = kernel_clock()
        self.off_ns = kernel.off_ns
        if kernel.synchronised:
            self._held = (kernel.error_ms, now_ns, kernel.off_ns)
        if self._held is None:
            return
        error_ms, at_ns, held_off_ns = self._held
        if abs(kernel.off_ns - held_off_ns) > STEP_NS:
            self.quality, self.error_ms = "none", None
            return
        self.error_ms = error_ms + (now_ns - at_ns) * DRIFT_PPM * 1e-12
        self.quality = "ntp" if kernel.synchronised and self.error_ms < _HELD_MS else "est"


class Stamp(NamedTuple):
    """A moment: UTC, how far that may be believed (as `Discipline`), and CLOCK_BOOTTIME."""

    utc_ns: int
    quality: TimeQuality
    error_ms: float | None
    boot_ns: int


class WallClock:
    """UTC of monotonic times.

    A live source shares the host's monotonic clock, so the present offset holds. A simulated or recorded
    source runs its own clock: it is anchored once, so that its time stays consistent with itself.
    """

    def __init__(self, *, live: bool) -> None:
        self._live = live
        self._discipline = Discipline()
        self._looked_ns = -_QUALITY_PERIOD_NS
        self._offset_ns = self._boot_offset_ns = 0
        self._follow()

    def stamp(self, mono_ns: int) -> Stamp:
        """Of a monotonic time of the source."""
        if self._live:
            self._follow()
        now_ns = time.monotonic_ns()
        if now_ns - self._looked_ns >= _QUALITY_PERIOD_NS:
            self._discipline.look()
            self._looked_ns = now_ns
        quality, error_ms = self._discipline.quality, self._discipline.error_ms
        off_ns = self._offset_ns - self._boot_offset_ns
        if self._live and abs(off_ns - self._discipline.off_ns) > STEP_NS:  # somebody has set it just now
            quality, error_ms = "none", None
        return Stamp(mono_ns + self._offset_ns, quality, error_ms, mono_ns + self._boot_offset_ns)

    def _follow(self) -> None:
        mono_ns = time.monotonic_ns()
        offset_ns = time.time_ns() - mono_ns
        if abs(offset_ns - self._offset_ns) > STEP_NS:
            self._looked_ns = mono_ns - _QUALITY_PERIOD_NS  # somebody has set the clock: is it still true?
        self._offset_ns = offset_ns
        self._boot_offset_ns = boottime_ns() - mono_ns
