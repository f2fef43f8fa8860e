"""The contacts of a configuration, opened; and each read often, with its bouncing taken out."""

from pathlib import Path

from appliance.errors import ApplianceError, ConfigError
from appliance.pins import AnyContact, GpioContact, Inputs, RpiGpioContact, SimContact
from hw import board
from hw.gpio_lines import GpioInput, Line
from hw.ports import Input, PortError
from hw.sim import contact as sim

PERIOD_S = 0.02
"""Seconds between two readings."""
STANDS_S = 0.05
"""A level counts after it stood so long."""


class Debounced:
    """One contact. active: the level that counts, None while not known. fault: why it cannot be read."""

    def __init__(self, port: Input) -> None:
        self._port = port
        self._level: bool | None = None
        self._since_s = 0.0
        self.active: bool | None = None
        self.fault = ""

    def read(self, now_s: float) -> bool:
        """Read it once; whether `active` or `fault` changed. A fault counts at once, a level later."""
        try:
            level = self._port.read()
        except PortError as fault:
            news = not self.fault
            self.fault, self.active, self._level = str(fault), None, None
            return news
        if level is not self._level:
            self._level, self._since_s = level, now_s
        if level is self.active or now_s - self._since_s < STANDS_S:
            return False
        self.fault, self.active = "", level
        return True


def open_inputs(inputs: Inputs, model: Path = board.MODEL) -> dict[str, Input]:
    """Take the line of each contact, pulled to the level of an open one: a broken wire is an open contact.

    Args:
        inputs: each contact's backend is the one named.
        model: where the kernel tells the board's name; an unknown board's pins are the owner's business.

    Raises:
        ConfigError: the line has another duty on this board.
        ApplianceError: package, chip or line cannot be had.
    """
    return {name: _opened(name, spec, model) for name, spec in inputs.wired.items()}


def _opened(name: str, spec: AnyContact, model: Path) -> Input:
    try:
        if isinstance(spec, SimContact):
            return sim.SimContact(spec.file)
        _check_pin(spec, model)
        if isinstance(spec, GpioContact):
            return GpioInput(
                Line(spec.chip, spec.line, spec.active_low, "pull-up" if spec.active_low else "pull-down")
            )
        from hw.rpi_gpio import RpiInput  # noqa: PLC0415 - the second backend, where it is named

        return RpiInput(spec.pin, active_low=spec.active_low, pull_up=spec.active_low)
    except board.BoardError as fault:
        raise ConfigError(f"inputs.{name}: {fault}") from fault
    except PortError as fault:
        raise ApplianceError(f"inputs.{name}: {fault}") from fault


def _check_pin(spec: GpioContact | RpiGpioContact, model: Path) -> None:
    name = board.this_board(model)
    if name is None:
        return
    here = board.load(name)
    if isinstance(spec, GpioContact):
        here.check_input(Line(spec.chip, spec.line))
    else:
        here.check_input(Line(here.chips[0].label, spec.pin))
