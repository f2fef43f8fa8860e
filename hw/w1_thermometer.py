"""DS18B20 and its kin on a 1-Wire bus, through the kernel's w1_therm.

The kernel checks the CRC, converts (750 ms at 12 bits, inside the read) and says m°C in a file.
"""

from pathlib import Path

from hw.bus import Clock
from hw.ports import PortError
from hw.sysfs_temperature import millidegc
from hw.thermometer import Thermometer

DEVICES = Path("/sys/bus/w1/devices")
POWER_ON_DEGC = 85.0
"""What the scratchpad holds after power-on: a conversion that never took place reads as 85 °C."""
RANGE_DEGC = (-55.0, 125.0)


class W1Thermometer(Thermometer):
    """hw.ports.Temperature on one DS18B20."""

    def __init__(self, serial: str, clock: Clock, period_s: float = 5.0, devices: Path = DEVICES) -> None:
        """Take part.

        Args:
            serial: its folder's name, 28-xxxxxxxxxxxx; it is burnt into the part, so it is stable.
            clock: the time it lives in.
            period_s: seconds between readings; a conversion takes 0.75 s.
            devices: the kernel's folder of 1-Wire parts.
        """
        super().__init__(f"1-Wire thermometer {serial}", RANGE_DEGC, clock, period_s, POWER_ON_DEGC)
        self._devices = devices
        self._serial = serial

    def identify(self) -> None:
        """See that the kernel knows it; the message names those that it does know."""
        if not (self._devices / self._serial).exists():
            present = ", ".join(sorted(x.name for x in self._devices.glob("[0-9a-f][0-9a-f]-*"))) or "none"
            raise PortError(
                f"not on the bus, expected it in {self._devices}; present: {present}. Check the wiring, the "
                "pull-up and dtoverlay=w1-gpio"
            )

    def measure(self) -> float:
        """Convert and read."""
        return millidegc(self._devices / self._serial / "temperature") / 1000.0
