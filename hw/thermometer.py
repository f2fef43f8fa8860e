"""What all thermometers share: their turn, their range, their power-on value, its identity each time."""

import math
from abc import ABC, abstractmethod

from hw.bus import Clock
from hw.pace import Pace
from hw.ports import PortError, Reading

NEIGHBOUR_K = 3.0
"""So near to the last reading, a value that also is the power-on value may be true."""


class Thermometer(ABC):
    """hw.ports.Temperature on a part that is asked once a period. A driver says how to identify and measure.

    The part is identified before every reading: it may have been exchanged, and it costs little.
    A reading that failed is tried again at the next `read`, not a period later.
    """

    def __init__(
        self,
        part: str,
        range_degc: tuple[float, float],
        clock: Clock,
        period_s: float,
        power_on_degc: float | None = None,
        converted_s: float = math.inf,
    ) -> None:
        """Take part.

        Args:
            part: what faults call it, with its place: "TMP117 at 0x48".
            range_degc: what the part can measure, from its datasheet; anything else is a fault.
            clock: the time it lives in.
            period_s: seconds between readings.
            power_on_degc: what it shows before its first conversion; believed only beside a neighbour,
                or where it has stood for longer than converted_s.
            converted_s: so long after power-on a part that converts by itself shows a conversion.
        """
        self.part = part
        self.period_s = period_s
        self._range_degc = range_degc
        self._power_on_degc = power_on_degc
        self._clock = clock
        self._pace = Pace(clock, period_s)
        self._converted_ns = converted_s * 1e9
        self._last_degc: float | None = None
        self._unconverted_ns: int | None = None  # since when it has shown the power-on value

    def read(self) -> Reading | None:
        """The next reading, None while it is not due. Raises PortError."""
        if not self._pace.due():
            return None
        try:
            degc = self._measured()
            self._judge(degc)
        except PortError as fault:
            self._last_degc = None
            raise PortError(f"{self.part}: {fault}") from fault
        self._last_degc = degc
        self._pace.taken()
        return Reading(degc, self._clock.now_ns())

    @abstractmethod
    def identify(self) -> None:
        """Make sure that the part is the one expected. Raises PortError without naming the part."""

    @abstractmethod
    def measure(self) -> float:
        """One temperature, °C. Raises PortError without naming the part."""

    def _measured(self) -> float:
        since_ns, self._unconverted_ns = self._unconverted_ns, None
        self.identify()
        degc = self.measure()
        if degc == self._power_on_degc:
            self._unconverted_ns = self._clock.now_ns() if since_ns is None else since_ns
        return degc

    def _judge(self, degc: float) -> None:
        alone = self._last_degc is None or abs(self._last_degc - degc) > NEIGHBOUR_K
        since_ns = self._unconverted_ns
        if since_ns is not None and alone and self._clock.now_ns() - since_ns < self._converted_ns:
            raise PortError(f"{degc:g} °C is its power-on value, expected a conversion; check its supply")
        low, high = self._range_degc
        if not low <= degc <= high:
            raise PortError(f"{degc:.2f} °C, expected {low:g} to {high:g} °C; check the wiring and the part")
