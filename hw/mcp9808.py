"""Microchip MCP9808: ±0.5 °C over I2C.

Registers from the datasheet DS25095A [not re-verified on a part]: ambient temperature 0x05, 13-bit two's
complement, 1/16 °C a count, alert flags in the upper three bits; manufacturer 0x06, device and revision 0x07.
It converts by itself every 250 ms. Its addresses 0x18 and 0x19 are those of a LIS3DH too.
"""

from hw.bus import Clock, I2c
from hw.i2c_thermometer import I2cThermometer, agreed
from hw.ports import PortError

AMBIENT, MANUFACTURER, DEVICE = 0x05, 0x06, 0x07
MANUFACTURER_ID, DEVICE_ID = 0x0054, 0x04
DEGC_PER_COUNT = 0.0625
RANGE_DEGC = (-40.0, 125.0)
POWER_ON_DEGC, CONVERTED_S = 0.0, 0.5
"""Until its first conversion, 0.25 s, it shows what may also be true."""


class Mcp9808(I2cThermometer):
    """hw.ports.Temperature on an MCP9808."""

    def __init__(self, bus: I2c, clock: Clock, address: int = 0x18, period_s: float = 1.0) -> None:
        """address: 0x18 to 0x1F; period_s: at least 0.25 s, or the same conversion is read twice."""
        super().__init__("MCP9808", bus, address, RANGE_DEGC, clock, period_s, POWER_ON_DEGC, CONVERTED_S)
        self._manufacturer = bus.prepare(address, bytes([MANUFACTURER]), 2)
        self._device = bus.prepare(address, bytes([DEVICE]), 2)
        self._ambient = bus.prepare(address, bytes([AMBIENT]), 2)

    def identify(self) -> None:
        """Compare manufacturer and device; any revision will do."""
        manufacturer = int.from_bytes(self._manufacturer.run().tobytes(), "big")
        device = int.from_bytes(self._device.run().tobytes(), "big")
        if manufacturer != MANUFACTURER_ID or device >> 8 != DEVICE_ID:
            raise PortError(
                f"manufacturer {manufacturer:#06x} device {device:#06x}, expected {MANUFACTURER_ID:#06x} and "
                f"{DEVICE_ID:#04x}xx; check the address and the part (a LIS3DH may answer here too)"
            )

    def measure(self) -> float:
        """The newest conversion, without the alert flags."""
        word = int.from_bytes(agreed(self._ambient), "big")
        return ((word & 0x0FFF) - (word & 0x1000)) * DEGC_PER_COUNT
