"""A simulated thermometer on the bearing housing of the simulated machine."""

import random
from collections.abc import Sequence

from hw.ports import PortError, Reading
from hw.sim.clock import SimClock
from hw.sim.rotor import Machine
from hw.sim.trouble import Trouble, active

STEP_DEGC = 0.0078125
NOISE_DEGC = 0.02
LATE_S = 1e-4
KINDS = ("stuck", "lost")


class SimThermometer:
    """hw.ports.Temperature on a simulated machine."""

    def __init__(
        self, machine: Machine, clock: SimClock, period_s: float = 1.0, troubles: Sequence[Trouble] = ()
    ) -> None:
        """Clamp it on; the first reading is due at once.

        Raises:
            ValueError: a trouble that a thermometer cannot have; it knows stuck and lost.
        """
        for trouble in troubles:
            if trouble.kind not in KINDS:
                raise ValueError(
                    f"thermometer trouble {trouble.kind!r}: expected one of {', '.join(KINDS)}; remove it"
                )
        self.period_s = period_s
        self._clock = clock
        self._thermal = machine.thermal()
        self._troubles = tuple(troubles)
        self._random = random.Random(machine.seed)
        self._due_s: float | None = None
        self._degc = 0.0

    def read(self) -> Reading | None:
        """The next reading; None when not due within 0.25 s. Raises PortError while `lost`."""
        due_s = self._clock.first_s() if self._due_s is None else self._due_s
        if not self._clock.wait(due_s):
            self._due_s = due_s
            return None
        self._due_s = due_s + self.period_s
        if active(self._troubles, "lost", due_s):
            self._due_s = max(self._due_s, self._clock.now_s())  # whoever asks again may rest long
            raise PortError(
                f"simulated thermometer: no answer at {due_s:.1f} s; expected a reading; check the wiring"
            )
        true_degc = self._thermal.degc(due_s) + self._random.gauss(0.0, NOISE_DEGC)
        if not active(self._troubles, "stuck", due_s):
            self._degc = round(true_degc / STEP_DEGC) * STEP_DEGC
        return Reading(self._degc, self._clock.stamp_ns(due_s, abs(self._random.gauss(0.0, LATE_S))))
