"""The time that simulated buses and the drivers on them live in."""

import time

from hw.sim.clock import SimClock


class MachineTime:
    """hw.bus.Clock on a simulated machine. One driver each: at a speed other than 1.0 its sleeps drive it.

    At speed 1.0 it is CLOCK_MONOTONIC. At any other speed it goes on only by what is slept, and waits for the
    machine's clock to catch up: a process that cannot keep up falls behind instead of losing samples.
    """

    def __init__(self, clock: SimClock, *, follows: bool = False) -> None:
        """Begin now. follows: time is the machine's own, slept or not; for parts that have no FIFO."""
        self._clock = clock
        self.real = clock.real or follows
        self._t_s = clock.first_s()

    @property
    def t_s(self) -> float:
        """Machine time, s."""
        return self._clock.now_s() if self.real else self._t_s

    def catch_up(self) -> None:
        """Go on to where the machine is by now: its time does not stand still while a caller rests."""
        self._t_s = max(self._t_s, self._clock.now_s())

    def now_ns(self) -> int:
        """Machine time on the host's time line, ns."""
        return self._clock.stamp_ns(self.t_s)

    def sleep(self, seconds: float) -> None:
        """Wait so long in machine time."""
        if self.real:
            time.sleep(max(0.0, seconds) / self._clock.speed)
            return
        self._t_s += max(0.0, seconds)
        while not self._clock.wait(self._t_s):
            pass
