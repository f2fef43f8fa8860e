"""The host's own time."""

import time


class MonoClock:
    """hw.bus.Clock: CLOCK_MONOTONIC."""

    def now_ns(self) -> int:
        """Nanoseconds since some start that does not change while the host runs."""
        return time.monotonic_ns()

    def sleep(self, seconds: float) -> None:
        """Wait so long."""
        time.sleep(seconds)
