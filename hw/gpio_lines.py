"""Relay, outputs and inputs on the kernel's GPIO lines, by libgpiod v2 (package gpiod; any board, Pi 5 too).

A line is requested with direction and level in one call, so that it never passes through the wrong level. It
is never given back by us: the request lives until the process ends, and then the kernel lets the line go.
What the pin does then is up to board and kernel; see hw/board.py and docs/WIRING.md.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hw.ports import PortError

if TYPE_CHECKING:
    from gpiod import LineRequest, LineSettings

CONSUMER = "appliance"
Bias = Literal["as-is", "disabled", "pull-up", "pull-down"]
_held: list["LineRequest"] = []
"""A request that is garbage-collected is a line let go."""


@dataclass(frozen=True, slots=True)
class Line:
    """One GPIO line. chip: label (`pinctrl-bcm2711`; stable) or path; active_low: active is the low level."""

    chip: str
    offset: int
    active_low: bool = False
    bias: Bias = "as-is"

    def __str__(self) -> str:
        return f"{self.chip} line {self.offset}"


class GpioOutput:
    """hw.ports.Relay on one line, with read-back through a second line where one is wired."""

    def __init__(self, line: Line, read_back: Line | None = None) -> None:
        """Take the line, de-energised.

        Args:
            line: drives the output; energised is its active level.
            read_back: input that sees the contact or the coil; None: the level of `line` itself, which proves
                the pin and nothing beyond it.

        Raises:
            PortError: package, chip or line cannot be had; in words.
        """
        from gpiod.line import Direction, Value  # noqa: PLC0415 - a board without GPIO needs no gpiod

        self._line = line
        self._on, self._off = Value.ACTIVE, Value.INACTIVE
        settings = _settings(line)
        settings.direction, settings.output_value = Direction.OUTPUT, Value.INACTIVE
        self._request = _request(line, settings)
        self._read_back = GpioInput(read_back) if read_back else None

    def write(self, energised: bool) -> None:
        """Set the level: one ioctl. Raises PortError."""
        try:
            self._request.set_value(self._line.offset, self._on if energised else self._off)
        except OSError as fault:
            raise PortError(f"{self._line}: not written: {fault.strerror}; check chip and driver") from fault

    def read(self) -> bool:
        """What read-back sees. Raises PortError."""
        if self._read_back is not None:
            return self._read_back.read()
        return _level(self._line, self._request)


class GpioInput:
    """hw.ports.Input: bypass key, start-up contact, reset button or a read-back contact."""

    def __init__(self, line: Line) -> None:
        """Take the line as an input. Raises PortError."""
        from gpiod.line import Direction  # noqa: PLC0415

        self._line = line
        settings = _settings(line)
        settings.direction = Direction.INPUT
        self._request = _request(line, settings)

    def read(self) -> bool:
        """Whether the line is active. Raises PortError."""
        return _level(self._line, self._request)


def _level(line: Line, request: "LineRequest") -> bool:
    from gpiod.line import Value  # noqa: PLC0415

    try:
        return request.get_value(line.offset) is Value.ACTIVE
    except OSError as fault:
        raise PortError(f"{line}: not read: {fault.strerror}; check chip and driver") from fault


def _settings(line: Line) -> "LineSettings":
    from gpiod import LineSettings  # noqa: PLC0415
    from gpiod import line as words  # noqa: PLC0415

    bias = {
        "as-is": words.Bias.AS_IS,
        "disabled": words.Bias.DISABLED,
        "pull-up": words.Bias.PULL_UP,
        "pull-down": words.Bias.PULL_DOWN,
    }[line.bias]
    return LineSettings(active_low=line.active_low, bias=bias)


def _request(line: Line, settings: "LineSettings") -> "LineRequest":
    import gpiod  # noqa: PLC0415

    path = chip_path(line.chip)
    try:
        request = gpiod.request_lines(path, consumer=CONSUMER, config={line.offset: settings})
    except (OSError, ValueError) as fault:
        raise PortError(f"{line} ({path}): {_why(path, line, fault)}") from fault
    _held.append(request)
    return request


def _why(path: str, line: Line, fault: OSError | ValueError) -> str:
    """The fault of a request in words: who holds the line, how many lines there are, who may."""
    import gpiod  # noqa: PLC0415

    if isinstance(fault, PermissionError):
        return "not permitted; put the service's user into the group gpio"
    try:
        with gpiod.Chip(path) as chip:
            count = chip.get_info().num_lines
            if line.offset >= count:
                return f"the chip has lines 0 to {count - 1}; correct the line's number"
            found = chip.get_line_info(line.offset)
            if found.used:
                return f"held by {found.consumer or 'the kernel'!r}; end it, or take another line"
    except OSError as other:
        return f"{other.strerror}, expected a GPIO chip; correct the chip"
    return f"{getattr(fault, 'strerror', None) or fault}; check bias and direction against the chip's driver"


def chip_path(chip: str) -> str:
    """Path of the chip with this label, name or path (/dev/gpiochip4 of one kernel is 0 of another).

    Raises:
        PortError: no gpiod, no such chip; lists those that are there.
    """
    try:
        import gpiod  # noqa: PLC0415
    except ImportError as fault:
        raise PortError(f"package gpiod cannot be loaded ({fault}); run: pip install 'gpiod>=2.1'") from fault
    if chip.startswith("/"):
        if not gpiod.is_gpiochip_device(chip):
            raise PortError(f"{chip}: not a GPIO chip; there are: {', '.join(_chips()) or 'none'}")
        return chip
    found = _chips()
    if chip not in found:
        raise PortError(f"GPIO chip {chip!r} is not on this machine; there are: {', '.join(found) or 'none'}")
    return found[chip]


def _chips() -> dict[str, str]:
    """Label and path of every chip that may be opened; of two with one label, the first."""
    import gpiod  # noqa: PLC0415

    found: dict[str, str] = {}
    for path in sorted(Path("/dev").glob("gpiochip*"), reverse=True):
        try:
            with gpiod.Chip(str(path)) as chip:
                found[chip.get_info().label] = str(path)
        except OSError as fault:
            found[f"{path.name} ({fault.strerror})"] = str(path)
    return dict(reversed(found.items()))
