"""Melexis MLX90614: infrared thermometer over SMBus, with a checksum (PEC) in every answer.

From its datasheet (3901090614) [not re-verified on a part]: RAM 0x06 ambient, 0x07 object 1; little-endian
word of 0.02 K, bit 15 = error. 100 kHz at most: give it a bus of its own. It works with the emissivity in its
EEPROM (1.0 from the factory): shiny metal reads too low.
"""

import logging

from hw.bus import Clock, I2c
from hw.i2c_thermometer import I2cThermometer, agreed
from hw.ports import PortError

log = logging.getLogger(__name__)

AMBIENT, OBJECT = 0x06, 0x07
ERROR_BIT = 0x8000
KELVIN_PER_COUNT, ZERO_DEGC_KELVIN = 0.02, 273.15
RANGE_DEGC = (-70.0, 380.0)
PEC_TRIES = 5
PEC_UNDRIVEN = 0xFF
"""The third byte of a chip that sends no PEC: nobody drives the line, the pull-ups do."""


def pec(message: bytes) -> int:
    """SMBus packet error code: CRC-8, polynomial 0x07, over every byte on the wire, addresses included."""
    crc = 0
    for byte in message:
        crc ^= byte
        for _ in range(8):
            crc = crc << 1 ^ 0x107 if crc & 0x80 else crc << 1
    return crc


class Mlx90614(I2cThermometer):
    """hw.ports.Temperature on the object (or the chip itself) that an MLX90614 sees."""

    def __init__(
        self,
        bus: I2c,
        clock: Clock,
        address: int = 0x5A,
        period_s: float = 1.0,
        *,
        ambient: bool = False,
        check_pec: bool = True,
    ) -> None:
        """Take part.

        Args:
            bus: where it is; at most 100 kHz.
            clock: the time it lives in.
            address: 0x5A from the factory.
            period_s: seconds between readings.
            ambient: the temperature of the chip instead of the object's.
            check_pec: whether an answer with a wrong PEC is refused.
        """
        super().__init__("MLX90614", bus, address, RANGE_DEGC, clock, period_s)
        command = AMBIENT if ambient else OBJECT
        self._sent = bytes([address << 1, command, address << 1 | 1])
        self._answer = bus.prepare(address, bytes([command]), 3)
        self._wanted = check_pec
        self.checks_pec = check_pec
        """Whether answers are being checked; False also where the chip was found to send no PEC."""

    def identify(self) -> None:
        """It has no id. Find out whether it sends a PEC; a chip without one is said once, as a warning."""
        if not self._wanted:
            return
        answers = [self._answer.run().tobytes() for _ in range(PEC_TRIES)]
        absent = all(answer[2] == PEC_UNDRIVEN != self._pec(answer) for answer in answers)
        words = {answer[:2] for answer in answers}
        if absent and b"\xff\xff" not in words:
            if self.checks_pec:
                log.warning(
                    "%s: sends no PEC (%d answers ended in 0xff), expected one; its readings are taken "
                    "unchecked. Set check_pec = false if the part has none",
                    self.part,
                    PEC_TRIES,
                )
            self.checks_pec = False
        else:
            self.checks_pec = True

    def measure(self) -> float:
        """The newest measurement."""
        answer = agreed(self._answer)  # one wrong byte in 256 has a right PEC
        if self.checks_pec and answer[2] != self._pec(answer):
            raise PortError(
                f"PEC {answer[2]:#04x} of {answer[:2].hex(' ')}, expected {self._pec(answer):#04x}; check "
                "the wiring and that the bus runs at 100 kHz or less"
            )
        word = int.from_bytes(answer[:2], "little")
        if word & ERROR_BIT:
            raise PortError(f"word {word:#06x} has its error bit set, expected a temperature; check the part")
        return word * KELVIN_PER_COUNT - ZERO_DEGC_KELVIN

    def _pec(self, answer: bytes) -> int:
        return pec(self._sent + answer[:2])
