"""The simulated machine's clock: real time, real time times a factor, or as fast as the process can."""

import math
import time

LONGEST_WAIT_S = 0.25
REAL = 1.0


class SimClock:
    """Maps machine time (seconds since the machine was switched on) to CLOCK_MONOTONIC.

    At speed 1.0 the stamps are the real clock. At any other speed a stamp is exactly `epoch_ns` + machine
    time: a scheduling hiccup of 10 ms must not look like 1 s of late samples at speed 100. A process that
    cannot keep up simply falls behind.
    """

    def __init__(self, speed: float = REAL, epoch_ns: int | None = None) -> None:
        """Start the clock.

        Args:
            speed: machine seconds per real second; 0 or inf = as fast as it can.
            epoch_ns: CLOCK_MONOTONIC at machine time 0, so that a restarted process joins a machine that went
                on without it; None = the machine is switched on now.

        Raises:
            ValueError: speed is negative or not a number.
        """
        if not speed >= 0.0:
            raise ValueError(
                f"speed {speed}: expected 0 (as fast as it can) or a positive factor; give 1.0 for real time"
            )
        self.speed = math.inf if speed == 0.0 else speed
        self.epoch_ns = time.monotonic_ns() if epoch_ns is None else epoch_ns
        self._joined_s = 0.0 if epoch_ns is None else self.now_s()

    def now_s(self) -> float:
        """Machine time now; 0 where it runs as fast as it can, for there is no now."""
        if math.isinf(self.speed):
            return 0.0
        return max(0, time.monotonic_ns() - self.epoch_ns) * 1e-9 * self.speed

    @property
    def real(self) -> bool:
        """True at speed 1.0."""
        return self.speed == REAL

    def first_s(self) -> float:
        """Machine time at which a source that starts now takes its first sample.

        In real time: now, because what was not sampled is gone. Accelerated: when this clock was made, so
        that a run depends on its seed alone and not on how long the process took to start.
        """
        return self.now_s() if self.real else self._joined_s

    def wait(self, machine_s: float) -> bool:
        """Wait until `machine_s` is due, at most 0.25 s of real time; True when it is due."""
        if math.isinf(self.speed):
            return True
        due_ns = self.epoch_ns + int(machine_s / self.speed * 1e9)
        rest_s = (due_ns - time.monotonic_ns()) * 1e-9
        if rest_s <= 0.0:
            return True
        time.sleep(min(rest_s, LONGEST_WAIT_S))
        return rest_s <= LONGEST_WAIT_S

    def stamp_ns(self, machine_s: float, late_s: float = 0.0) -> int:
        """Host time of something that happened at `machine_s`, ns.

        Real time: the real clock, now. Accelerated: epoch + machine_s + late_s (simulated transfer delay).
        """
        if self.real:
            return time.monotonic_ns()
        return self.epoch_ns + int((machine_s + max(0.0, late_s)) * 1e9)
