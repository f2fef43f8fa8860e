"""The shutdown output of a configuration, opened: which backend, on a pin fit for it."""

import logging
from pathlib import Path

from appliance.errors import ApplianceError, ConfigError
from appliance.pins import AnyRelay, GpioRelay, RpiGpioRelay, SimRelay
from hw import board
from hw.gpio_lines import GpioOutput, Line
from hw.ports import PortError, Relay
from hw.sim import relay as sim

log = logging.getLogger(__name__)


def open_relay(spec: AnyRelay, model: Path = board.MODEL) -> Relay:
    """Take the relay's line, de-energised.

    Args:
        spec: the backend is the one named; there is no other if it cannot be had.
        model: where the kernel tells the board's name; an unknown board's pins are the owner's business.

    Raises:
        ConfigError: the pin would energise the relay between reset and the start of the guard, or one of
            read-back or health toggle has another duty on this board.
        ApplianceError: package, chip or line cannot be had.
    """
    try:
        if not isinstance(spec, SimRelay):
            _check_pin(spec, model)
        return _opened(spec)
    except board.BoardError as fault:
        raise ConfigError(f"relay: {fault}") from fault
    except PortError as fault:
        raise ApplianceError(f"relay: {fault}") from fault


def open_health(spec: AnyRelay) -> Relay | None:
    """The line of the health toggle, low; None where none is configured. Raises ApplianceError."""
    if isinstance(spec, SimRelay) or spec.health is None:
        return None
    try:
        if isinstance(spec, GpioRelay):
            return GpioOutput(Line(spec.chip, spec.health))
        from hw.rpi_gpio import RpiOutput  # noqa: PLC0415 - the second backend, where it is named

        return RpiOutput(spec.health)
    except PortError as fault:
        raise ApplianceError(f"relay.health: {fault}") from fault


def _check_pin(spec: GpioRelay | RpiGpioRelay, model: Path) -> None:
    name = board.this_board(model)
    if name is None:
        return
    here = board.load(name)
    if isinstance(spec, GpioRelay):
        line = Line(spec.chip, spec.line, spec.active_low)
    else:
        line = Line(here.chips[0].label, spec.pin, spec.active_low)
    here.check_relay(line, spec.external_pull)
    for beside in (spec.read_back, spec.health):
        if beside is not None:
            here.check_input(Line(line.chip, beside))
    if kept := kept_line(model):
        log.warning("relay: %s", kept)


def kept_line(model: Path = board.MODEL, root: Path = Path("/")) -> str:
    """How this kernel would keep the relay energised when the guard dies, in words; "" where it lets go.

    Args:
        model: as for `open_relay`; of an unknown board nothing is said.
        root: of the running system.
    """
    name = board.this_board(model)
    if name is None or not (here := board.load(name)).keeps_released_lines(root):
        return ""
    return (
        f"this kernel leaves the line at its last level when the guard dies ({here.held_by}), expected it to "
        f"fall; set {', '.join(here.settings)} and restart, or wire the health toggle"
    )


def _opened(spec: AnyRelay) -> Relay:
    if isinstance(spec, GpioRelay):
        contact = None
        if spec.read_back is not None:
            contact = Line(spec.chip, spec.read_back, spec.read_back_active_low)
        return GpioOutput(Line(spec.chip, spec.line, spec.active_low), contact)
    if isinstance(spec, RpiGpioRelay):
        from hw.rpi_gpio import RpiInput, RpiOutput  # noqa: PLC0415 - the second backend, where it is named

        pin = None
        if spec.read_back is not None:
            pin = RpiInput(spec.read_back, active_low=spec.read_back_active_low)
        return RpiOutput(spec.pin, active_low=spec.active_low, read_back=pin)
    return sim.SimRelay(spec.edges, spec.contact)
