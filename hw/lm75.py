"""LM75 and its kin (LM75A/B, TMP75, TMP102): the cheap thermometers without an id register.

Nobody can tell over the bus which of them answers: a reading can only be plausible. All hold the temperature
 in register 0x00 as a big-endian two's complement word of 1/256 °C of which the upper bits count.
"""

from hw.bus import Clock, I2c
from hw.i2c_thermometer import I2cThermometer, agreed
from hw.ports import PortError

TEMPERATURE = 0x00
BITS = {9: "LM75", 11: "LM75B", 12: "TMP102"}
RANGE_DEGC = (-55.0, 125.0)
POWER_ON_DEGC, CONVERTED_S = 0.0, 0.5
"""Until its first conversion, 0.3 s at most, it shows what may also be true."""


class Lm75(I2cThermometer):
    """hw.ports.Temperature on an LM75, LM75A/B, TMP75 or TMP102."""

    def __init__(
        self, bus: I2c, clock: Clock, address: int = 0x48, period_s: float = 1.0, bits: int = 9
    ) -> None:
        """Take part.

        Args:
            bus: where it is.
            clock: the time it lives in.
            address: 0x48 to 0x4F.
            period_s: at least 0.3 s, or the same conversion is read twice.
            bits: of the temperature: 9 (LM75), 11 (LM75A/B), 12 (TMP102, TMP75).

        Raises:
            ValueError: another number of bits.
        """
        if bits not in BITS:
            raise ValueError(f"bits {bits}: expected one of {', '.join(map(str, BITS))}; see the datasheet")
        super().__init__(BITS[bits], bus, address, RANGE_DEGC, clock, period_s, POWER_ON_DEGC, CONVERTED_S)
        self._bits = bits
        self._temperature = bus.prepare(address, bytes([TEMPERATURE]), 2)

    def identify(self) -> None:
        """There is nothing to identify it by."""

    def measure(self) -> float:
        """The newest conversion."""
        word = int.from_bytes(agreed(self._temperature), "big", signed=True)
        # Of a TMP102 the lower four bits are always zero: a bus that floats high shows here.
        if self._bits == 12 and word & 0x000F:
            raise PortError(
                f"{word & 0xFFFF:#06x}: the lower 4 bits are not zero, expected a TMP102 in its 12-bit mode; "
                "check the part, or set bits"
            )
        unused = 16 - self._bits
        return (word >> unused << unused) / 256.0
