"""When the next reading of a slow sensor is due."""

from hw.bus import Clock

LONGEST_WAIT_S = 0.25


class Pace:
    """One reading a period; the first is due at once. Turns that were missed are not made up for."""

    def __init__(self, clock: Clock, period_s: float) -> None:
        """Raises ValueError where period_s is not positive."""
        if not period_s > 0.0:
            raise ValueError(f"period_s {period_s}: expected seconds between readings, above 0; set it")
        self._clock = clock
        self._period_ns = round(period_s * 1e9)
        self._due_ns: int | None = None

    def due(self) -> bool:
        """Wait for the next turn, at most 0.25 s; whether it has come. It stays due until `taken`."""
        now_ns = self._clock.now_ns()
        if self._due_ns is None:
            self._due_ns = now_ns
        rest_s = (self._due_ns - now_ns) * 1e-9
        if rest_s > 0.0:
            self._clock.sleep(min(rest_s, LONGEST_WAIT_S))
        return rest_s <= LONGEST_WAIT_S

    def taken(self) -> None:
        """The turn was used; the next comes a period after it was due."""
        now_ns = self._clock.now_ns()
        due_ns = (now_ns if self._due_ns is None else self._due_ns) + self._period_ns
        self._due_ns = due_ns if due_ns > now_ns else now_ns + self._period_ns
