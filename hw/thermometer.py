"""What all thermometers share: their turn, their range, and a fresh look at the chip after every fault."""

from abc import ABC, abstractmethod

from hw.bus import Clock
from hw.pace import Pace
from hw.ports import PortError, Reading


class Thermometer(ABC):
    """hw.ports.Temperature on a part that is asked once a period. A driver says how to identify and measure.

    A reading that failed is tried again at the next `read`, not a period later, and the part is identified
    anew before it is believed again: it may have been exchanged meanwhile.
    """

    def __init__(self, part: str, range_degc: tuple[float, float], clock: Clock, period_s: float) -> None:
        """Take part.

        Args:
            part: what faults call it, with its place: "TMP117 at 0x48".
            range_degc: what the part can measure, from its datasheet; anything else is a fault.
            clock: the time it lives in.
            period_s: seconds between readings.
        """
        self.part = part
        self.period_s = period_s
        self._range_degc = range_degc
        self._clock = clock
        self._pace = Pace(clock, period_s)
        self._known = False

    def read(self) -> Reading | None:
        """The next reading, None while it is not due. Raises PortError."""
        if not self._pace.due():
            return None
        try:
            if not self._known:
                self.identify()
            degc = self.measure()
        except PortError as fault:
            self._known = False
            raise PortError(f"{self.part}: {fault}") from fault
        low, high = self._range_degc
        if not low <= degc <= high:
            self._known = False
            raise PortError(
                f"{self.part}: {degc:.2f} °C, expected {low:g} to {high:g} °C; check the wiring and the part"
            )
        self._known = True
        self._pace.taken()
        return Reading(degc, self._clock.now_ns())

    @abstractmethod
    def identify(self) -> None:
        """Make sure that the part is the one expected. Raises PortError without naming the part."""

    @abstractmethod
    def measure(self) -> float:
        """One temperature, °C. Raises PortError without naming the part."""
