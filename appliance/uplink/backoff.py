"""When to try again: appliances that lost the same broker together must not all come back together."""

import random

from appliance.uplink.reasons import Policy

_LONG_S = 120.0
_UNCHANGED_MOST_S = 900.0


class Backoff:
    """Full jitter: a wait drawn from 0 to a limit that doubles with each attempt."""

    def __init__(self, first_s: float, most_s: float) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._limit_s = first_s

    def first_s(self) -> float:
        """Seconds to wait after a start: the power came back to others too."""
        return random.uniform(0, self._first_s)

    def next_s(self, policy: Policy = Policy.BACK_OFF) -> float:
        """Seconds to wait before the next attempt."""
        if policy is Policy.WAIT_LONG:
            return random.uniform(_LONG_S / 2, _LONG_S)
        most_s = self._most_s if policy is Policy.BACK_OFF else max(self._most_s, _UNCHANGED_MOST_S)
        wait_s = random.uniform(0, min(self._limit_s, most_s))
        self._limit_s = min(self._limit_s * 2, most_s)
        return wait_s

    def reset(self) -> None:
        """Begin again with short waits: a connection has proved itself."""
        self._limit_s = self._first_s
