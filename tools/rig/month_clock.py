"""The machine's wall clock in a month without the broker: wrong in another way each day; see month.py."""

import ctypes
import struct
import time
from itertools import count

from guest import LIBC
from month_parts import true_ns

LOOK_S = 1800.0
YEAR_S = 31_556_952.0
COURSES = {
    "56 years slow, set after 6 h": ((0.0, -56 * YEAR_S, False), (6.0, 0.0, True)),
    "30 years fast, set after 12 h": ((0.0, 30 * YEAR_S, False), (12.0, 0.0, True)),
    "right, but 2 h slow from 9 h to 15 h": ((0.0, 0.0, True), (9.0, -7200.0, False), (15.0, 0.0, True)),
    "56 years slow, never set": ((0.0, -56 * YEAR_S, False),),
    "right": ((0.0, 0.0, True),),
}
"""The wall clock of a day: from so many hours on, so many seconds off, synchronised or not."""
ADJ_MAXERROR, ADJ_STATUS = 0x04, 0x10
ERROR_US = 5000


class Clock:
    """Sets it, and tells the kernel that it is right, as a time daemon does, every half hour."""

    def __init__(self, day: int) -> None:
        self._day = day
        self.course = list(COURSES)[day % len(COURSES)]
        self._off_s: float | None = None

    def keep(self, from_s: float, until_s: float) -> None:
        """Wait, and keep the clock as its course says. Seconds since the boot."""
        for at_s in (at_s for k in count() if (at_s := k * LOOK_S) >= from_s):
            if at_s >= until_s:
                break
            time.sleep(max(0.0, at_s - time.monotonic()))
            self._set(at_s)
        time.sleep(max(0.0, until_s - time.monotonic()))

    def _set(self, at_s: float) -> None:
        off_s, synchronised = [now for from_h, *now in COURSES[self.course] if from_h * 3600.0 <= at_s][-1]
        if off_s != self._off_s:
            time.clock_settime_ns(time.CLOCK_REALTIME, true_ns(self._day) + round(off_s * 1e9))
            self._off_s = off_s
        if synchronised:
            timex = struct.pack("@Illlli", ADJ_MAXERROR | ADJ_STATUS, 0, 0, ERROR_US, 0, 0)
            if LIBC.adjtimex(ctypes.create_string_buffer(timex, 256)) < 0:
                raise OSError(ctypes.get_errno(), "adjtimex")
