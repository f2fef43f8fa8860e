"""Relay and inputs by RPi.GPIO or its drop-in rpi-lgpio: the second backend, only where the config names it.

RPi.GPIO writes the registers itself (Pi 3, 4, Zero 2 W; not Pi 5): the kernel does not know of the line and
does not let it go when the process is killed, so the pin keeps its level. With it, wire a health toggle
(docs/WIRING.md) or use hw/gpio_lines.py. rpi-lgpio goes through the kernel and needs no such care.
"""

import importlib
import os
import tempfile
from typing import Any

from hw.ports import PortError


def _load() -> Any:
    """The module RPi.GPIO in BCM numbering, whoever provides it. Raises PortError."""
    # lgpio, below rpi-lgpio, makes a pipe in its working folder, which a service may not write to.
    os.environ.setdefault("LG_WD", tempfile.gettempdir())
    try:
        gpio = importlib.import_module("RPi.GPIO")
    except ImportError as fault:
        raise PortError(
            f"package RPi.GPIO cannot be loaded ({fault}); run: pip install rpi-lgpio "
            "(or RPi.GPIO, up to Pi 4), or set the relay's driver to gpio"
        ) from fault
    except (RuntimeError, OSError) as fault:
        raise PortError(_wrong_board(fault)) from fault
    gpio.setwarnings(False)
    gpio.setmode(gpio.BCM)
    return gpio


def _wrong_board(fault: Exception) -> str:
    hint = "it runs on Raspberry Pi only, and RPi.GPIO itself not on the Pi 5"
    return f"RPi.GPIO: {fault}: {hint}; install rpi-lgpio there, or set the relay's driver to gpio"


class RpiOutput:
    """hw.ports.Relay on one BCM pin."""

    def __init__(self, pin: int, *, active_low: bool = False, read_back: "RpiInput | None" = None) -> None:
        """Take the pin, de-energised: level first, then direction. Raises PortError.

        read_back: input that sees the contact or the coil; None: the level of the pin itself.
        """
        self._gpio = _load()
        self._pin = pin
        self._inverted = active_low
        self._read_back = read_back
        try:
            self._gpio.setup(pin, self._gpio.OUT, initial=int(active_low))
        except (RuntimeError, ValueError, OSError) as fault:
            raise PortError(f"BCM pin {pin}: {_wrong_board(fault)}") from fault

    def write(self, energised: bool) -> None:
        """Set the level. Raises PortError."""
        try:
            self._gpio.output(self._pin, energised != self._inverted)
        except (RuntimeError, OSError) as fault:
            raise PortError(f"BCM pin {self._pin}: not written: {fault}") from fault

    def read(self) -> bool:
        """What read-back sees. Raises PortError."""
        if self._read_back is not None:
            return self._read_back.read()
        return _level(self._gpio, self._pin, inverted=self._inverted)


class RpiInput:
    """hw.ports.Input on one BCM pin."""

    def __init__(self, pin: int, *, active_low: bool = False, pull_up: bool = False) -> None:
        """Take the pin as an input, pulled up or down inside the chip. Raises PortError."""
        self._gpio = _load()
        self._pin = pin
        self._inverted = active_low
        pull = self._gpio.PUD_UP if pull_up else self._gpio.PUD_DOWN
        try:
            self._gpio.setup(pin, self._gpio.IN, pull_up_down=pull)
        except (RuntimeError, ValueError, OSError) as fault:
            raise PortError(f"BCM pin {pin}: {_wrong_board(fault)}") from fault

    def read(self) -> bool:
        """Whether the pin is active. Raises PortError."""
        return _level(self._gpio, self._pin, inverted=self._inverted)


def _level(gpio: Any, pin: int, *, inverted: bool) -> bool:
    try:
        return bool(gpio.input(pin)) != inverted
    except (RuntimeError, OSError) as fault:
        raise PortError(f"BCM pin {pin}: not read: {fault}") from fault
