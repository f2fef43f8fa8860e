"""How fast late messages may leave: live ones must not wait, and a plant not come back all at once."""

import math
import random

_BURST_S = 0.05


class Pace:
    """Grants late messages. Times are the caller's monotonic seconds.

    rate_hz: so many a second; 0: as many as there are. spread_s: longest random wait after a connection.
    """

    def __init__(self, rate_hz: float, spread_s: float) -> None:
        self._rate_hz = rate_hz
        self._spread_s = spread_s
        self._begin_s = -math.inf
        self._granted = 0.0
        self._at_s = 0.0

    def connected(self, now_s: float, away_s: float) -> None:
        """Begin after a random wait, no longer than the connection was away."""
        self._begin_s = self._at_s = now_s + random.uniform(0.0, min(self._spread_s, away_s))
        self._granted = 0.0

    def allowed(self, now_s: float) -> int:
        """How many may leave now."""
        if now_s < self._begin_s:
            return 0
        if not self._rate_hz:
            return 1_000_000
        most = max(2.0, self._rate_hz * _BURST_S)
        self._granted = min(most, self._granted + (now_s - self._at_s) * self._rate_hz)
        self._at_s = now_s
        return int(self._granted)

    def used(self, count: int) -> None:
        """So many have left."""
        self._granted -= count

    def wait_s(self, now_s: float) -> float:
        """How long until some more may leave."""
        if now_s < self._begin_s:
            return self._begin_s - now_s
        return max(_BURST_S, 1.0 / self._rate_hz) if self._rate_hz else 0.0
