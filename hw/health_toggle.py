"""The health toggle: a square wave that only a moving program makes, for a charge pump."""

import time
from collections.abc import Callable

from hw.ports import Relay


class HealthToggle:
    """Turns a line over while its owner calls `beat`; no thread could go on without the owner."""

    def __init__(
        self, line: Relay, period_s: float = 0.2, now_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        """Start with the line as it is (de-energised).

        Args:
            line: the output; any hw.ports.Relay.
            period_s: of the square wave when beaten often enough; a slower owner makes a slower wave.
            now_ns: the clock.

        Raises:
            ValueError: period not positive.
        """
        if period_s <= 0:
            raise ValueError(f"period {period_s} s, expected above 0")
        self._line = line
        self._half_ns = round(period_s * 5e8)
        self._now_ns = now_ns
        self._level = False
        self._due_ns = now_ns()

    def beat(self) -> None:
        """The owner is well: turn the line over if half a period has passed. Raises PortError."""
        now_ns = self._now_ns()
        if now_ns < self._due_ns:
            return
        self._line.write(not self._level)
        self._level = not self._level
        # From now, not from when it was due: a stall is not made up for by a burst of edges.
        self._due_ns = now_ns + self._half_ns
