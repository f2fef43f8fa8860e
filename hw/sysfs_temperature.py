"""Any temperature that a kernel driver offers as a file: hwmon, IIO or thermal zone."""

import glob
from pathlib import Path

from hw.bus import Clock
from hw.ports import PortError
from hw.thermometer import Thermometer

RANGE_DEGC = (-200.0, 1000.0)
"""From a platinum probe in the cold to a thermocouple; the guard's own range is narrower."""
PAGE = 4096
"""The kernel's files of one value are no longer; what a wrong path leads to may be."""


def millidegc(path: Path) -> float:
    """The one number in a file of the kernel. Raises PortError: no file, no answer, not a number."""
    try:
        with path.open("rb") as file:
            text = file.read(PAGE).decode("ascii", "replace").strip()
    except OSError as fault:
        reason = fault.strerror or fault
        raise PortError(f"{path}: {reason}, expected a temperature; check the wiring and the path") from fault
    try:
        return float(text)
    except ValueError:
        raise PortError(f"{path}: {text[:40]!r}, expected a number of m°C; check the path") from None


class SysfsTemperature(Thermometer):
    """hw.ports.Temperature on a kernel file in m°C, or on an IIO `in_temp_raw` with scale and offset."""

    def __init__(self, pattern: str, clock: Clock, period_s: float = 1.0) -> None:
        """Take part.

        Args:
            pattern: path of the file. The number in hwmon3 changes from boot to boot: write the path of the
                chip with a star, /sys/bus/i2c/devices/1-0048/hwmon/hwmon*/temp1_input. It must fit one file.
            clock: the time it lives in.
            period_s: seconds between readings.
        """
        super().__init__(f"temperature {pattern}", RANGE_DEGC, clock, period_s)
        self._pattern = pattern
        self._path = Path(pattern)

    def identify(self) -> None:
        """Find the one file that fits."""
        found = sorted(glob.glob(self._pattern))  # noqa: PTH207 - an absolute pattern; Path.glob takes none
        if len(found) != 1:
            raise PortError(
                f"fits {len(found)} files ({', '.join(found) or 'none'}), expected one; check wiring and path"
            )
        self._path = Path(found[0])

    def measure(self) -> float:
        """Read it; an IIO raw value is (raw + offset) · scale m°C, offset 0 where the kernel gives none."""
        value = millidegc(self._path)
        if not self._path.name.endswith("_raw"):
            return value / 1000.0
        stem = str(self._path).removesuffix("raw")
        offset = Path(stem + "offset")
        shifted = value + (millidegc(offset) if offset.exists() else 0.0)
        return shifted * millidegc(Path(stem + "scale")) / 1000.0
