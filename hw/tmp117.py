"""TI TMP117 and TMP119: ±0.1 °C over I2C.

Registers and codes from the datasheet SNOSD82 (TMP117) [not re-verified on a part]: temperature 0x00, 7.8125
m°C a count, big-endian; device id 0x0F. After power-on it converts once a second by itself.
"""

from hw.bus import Clock, I2c
from hw.i2c_thermometer import I2cThermometer, agreed
from hw.ports import PortError

TEMPERATURE, DEVICE_ID = 0x00, 0x0F
DEGC_PER_COUNT = 0.0078125
IDS = {0x0117: "TMP117", 0x2117: "TMP119"}
POWER_ON_DEGC = -256.0
"""0x8000: what the register holds before the first conversion."""
RANGE_DEGC = (-55.0, 150.0)


class Tmp117(I2cThermometer):
    """hw.ports.Temperature on a TMP117 or TMP119."""

    def __init__(self, bus: I2c, clock: Clock, address: int = 0x48, period_s: float = 1.0) -> None:
        """address: 0x48 to 0x4B; period_s: at least 1 s, or the same conversion is read twice."""
        super().__init__("TMP117", bus, address, RANGE_DEGC, clock, period_s, POWER_ON_DEGC)
        self._id = bus.prepare(address, bytes([DEVICE_ID]), 2)
        self._temperature = bus.prepare(address, bytes([TEMPERATURE]), 2)

    def identify(self) -> None:
        """Compare the device id."""
        found = int.from_bytes(self._id.run().tobytes(), "big")
        if found not in IDS:
            expected = " or ".join(f"{code:#06x} ({name})" for code, name in IDS.items())
            raise PortError(f"device id {found:#06x}, expected {expected}; check the address and the part")

    def measure(self) -> float:
        """The newest conversion."""
        return int.from_bytes(agreed(self._temperature), "big", signed=True) * DEGC_PER_COUNT
