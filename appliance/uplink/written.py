"""How much the box writes to its disk a day, as the kernel counts it for each process and the disk."""

from collections import deque
from pathlib import Path

from appliance.records import GuardState
from appliance.wear import disk_written_bytes, written_bytes

_LOOK_S = 60.0
_KEPT = 1440
_DAY_S = 86_400.0


class Written:
    """Rates over the last day, or since the start. Times are the caller's monotonic seconds.

    folder: on the disk that is looked at. All rates are None in the first minute.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._look_s = 0.0
        self._guard_bytes = self._guard_total = 0
        self._seen: deque[tuple[float, int, int | None]] = deque(maxlen=_KEPT)

    def look(self, guard: GuardState | None, now_s: float) -> None:
        """Read the counters, once a minute. A guard that has started again counts from 0."""
        if now_s < self._look_s:
            return
        self._look_s = now_s + _LOOK_S
        if guard is not None:
            more = guard.written_bytes - self._guard_bytes
            if self._guard_bytes:  # what it wrote before we came is not ours to time
                self._guard_total += more if more >= 0 else guard.written_bytes
            self._guard_bytes = guard.written_bytes
        self._seen.append((now_s, self._guard_total + written_bytes(), disk_written_bytes(self._folder)))

    @property
    def mb_per_day(self) -> float | None:
        """By guard and uplink."""
        if len(self._seen) < 2:
            return None
        (then_s, before, _), (now_s, after, _) = self._seen[0], self._seen[-1]
        return (after - before) / 1e6 * _DAY_S / (now_s - then_s)

    @property
    def disk_mb_per_day(self) -> float | None:
        """By everybody, to that disk; None where it does not count."""
        if len(self._seen) < 2:
            return None
        (then_s, _, before), (now_s, _, after) = self._seen[0], self._seen[-1]
        if before is None or after is None:
            return None
        return (after - before) / 1e6 * _DAY_S / (now_s - then_s)

    @staticmethod
    def kb_per_event(guard: GuardState | None) -> float | None:
        """What the guard has written for each event that it has accepted."""
        if guard is None or not guard.events_accepted:
            return None
        return guard.written_bytes / 1e3 / guard.events_accepted
