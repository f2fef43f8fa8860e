"""Wall time for a monotonic time, and how far it may be believed. Order comes from monotonic time only."""

import ctypes
import time

from appliance.records import TimeQuality

_STA_UNSYNC = 0x0040
_TIME_ERROR = 5
_QUALITY_PERIOD_NS = 10_000_000_000


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


def kernel_synchronised() -> bool:
    """Whether the kernel says that its wall clock is disciplined (adjtimex, read only)."""
    timex = _Timex()
    result = ctypes.CDLL(None).adjtimex(ctypes.byref(timex))
    return result not in (-1, _TIME_ERROR) and not timex.status & _STA_UNSYNC


class WallClock:
    """UTC of monotonic times.

    A live source shares the host's monotonic clock, so the present offset holds. A simulated or recorded
    source runs its own clock: it is anchored once, so that its time stays consistent with itself.
    """

    def __init__(self, *, live: bool) -> None:
        self._live = live
        self._offset_ns = time.time_ns() - time.monotonic_ns()
        self._quality: TimeQuality = "est"
        self._quality_at_ns = -_QUALITY_PERIOD_NS

    def utc_ns(self, mono_ns: int) -> int:
        """UTC in nanoseconds of a monotonic time of the source."""
        if self._live:
            self._offset_ns = time.time_ns() - time.monotonic_ns()
        return mono_ns + self._offset_ns

    @property
    def quality(self) -> TimeQuality:
        """ntp: disciplined; est: free running."""
        now_ns = time.monotonic_ns()
        if now_ns - self._quality_at_ns >= _QUALITY_PERIOD_NS:
            self._quality = "ntp" if kernel_synchronised() else "est"
            self._quality_at_ns = now_ns
        return self._quality
