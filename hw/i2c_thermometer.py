"""What thermometers on an I2C bus share: bytes that nothing checks are read twice, a stuck bus is freed."""

import contextlib
import math

from hw.bus import BusError, Clock, I2c, Transfer
from hw.ports import PortError, Reading
from hw.thermometer import Thermometer


class I2cThermometer(Thermometer):
    """A thermometer at a 7-bit address of a bus. After a fault of the bus it tries to free it."""

    def __init__(
        self,
        part: str,
        bus: I2c,
        address: int,
        range_degc: tuple[float, float],
        clock: Clock,
        period_s: float,
        power_on_degc: float | None = None,
        converted_s: float = math.inf,
    ) -> None:
        """See Thermometer; part: without its address."""
        super().__init__(f"{part} at {address:#04x}", range_degc, clock, period_s, power_on_degc, converted_s)
        self._bus = bus

    def read(self) -> Reading | None:
        """See Thermometer."""
        try:
            return super().read()
        except PortError as fault:
            if isinstance(fault.__cause__, BusError):
                with contextlib.suppress(BusError):  # the fault that is being told says enough
                    self._bus.recover()
            raise


def agreed(transfer: Transfer) -> bytes:
    """The answer that came twice in a row, of at most three: I2C itself has no checksum.

    Conversions are 0.1 s apart and more, so one of them changes the answer at most once. Raises PortError.
    """
    answers = [transfer.run().tobytes(), transfer.run().tobytes()]
    if answers[0] != answers[1]:
        answers.append(transfer.run().tobytes())
        if answers[1] != answers[2]:
            listed = ", ".join(answer.hex(" ") for answer in answers)
            raise PortError(
                f"answered {listed} to one question, expected the same; check wiring and pull-ups"
            )
    return answers[-1]
