"""What hangs on pins: the relay and the contacts. Tables of the configuration."""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from appliance.sensors import Whole


class SimRelay(Struct, forbid_unknown_fields=True, frozen=True, tag_field="driver", tag="sim"):
    """A relay that records its edges in `edges` (one JSON object a line), or only in memory."""

    edges: Path | None = None
    """File that gets a line for each change of the relay; left out: kept in memory."""
    contact: Literal["sound", "welded", "open"] = "sound"
    """What read-back sees: a contact that follows, that stays closed, or that stays open."""


PullWord = Literal["", "external pull-down fitted", "external pull-up fitted"]


class GpioRelay(Struct, forbid_unknown_fields=True, frozen=True, tag_field="driver", tag="gpio"):
    """A relay on a GPIO line of the kernel (libgpiod); any board. Wiring and pins: docs/WIRING.md."""

    chip: Annotated[str, Meta(min_length=1)]
    """Label of the GPIO chip (Pi 3, Zero 2 W: pinctrl-bcm2835; Pi 4: pinctrl-bcm2711; Pi 5: pinctrl-rp1)."""
    line: Whole
    """Line of the chip that drives the relay; on a Pi the GPIO number."""
    active_low: bool = False
    """Whether the low level energises the relay."""
    read_back: Whole | None = None
    """Line of the same chip that sees the relay's own contact; left out: the pin's own level is read."""
    read_back_active_low: bool = False
    """Whether the contact pulls its line low when the relay is energised."""
    health: Whole | None = None
    """Line of the same chip that carries a square wave while every vibration sensor's thread moves."""
    external_pull: PullWord = ""
    """Your word that a resistor outside holds the relay off on a line that the board pulls the other way."""


class RpiGpioRelay(Struct, forbid_unknown_fields=True, frozen=True, tag_field="driver", tag="rpi_gpio"):
    """A relay through RPi.GPIO (up to Pi 4; wire a health toggle, the kernel drops nothing) or rpi-lgpio."""

    pin: Whole
    """GPIO number (BCM) of the pin that drives the relay."""
    active_low: bool = False
    """Whether the low level energises the relay."""
    read_back: Whole | None = None
    """GPIO number of the pin that sees the relay's own contact; left out: the pin's own level is read."""
    read_back_active_low: bool = False
    """Whether the contact pulls its pin low when the relay is energised."""
    health: Whole | None = None
    """GPIO number of the pin that carries a square wave while every vibration sensor's thread moves."""
    external_pull: PullWord = ""
    """Your word that a resistor outside holds the relay off on a pin that the board pulls the other way."""


AnyRelay = SimRelay | GpioRelay | RpiGpioRelay


class SimContact(Struct, forbid_unknown_fields=True, frozen=True, tag_field="driver", tag="sim"):
    """A contact that is closed while a file exists: for desks, demonstrations and tests."""

    file: Path
    """Closed while this file exists."""


class GpioContact(Struct, forbid_unknown_fields=True, frozen=True, tag_field="driver", tag="gpio"):
    """A contact on a GPIO line of the kernel (libgpiod), pulled in the chip to the level of an open one."""

    chip: Annotated[str, Meta(min_length=1)]
    """Label of the GPIO chip, as for the relay."""
    line: Whole
    """Line of the chip that sees the contact; on a Pi the GPIO number."""
    active_low: bool = True
    """Whether closed is the low level: a contact to GND, the line pulled up. False: to 3.3 V, pulled down."""


class RpiGpioContact(Struct, forbid_unknown_fields=True, frozen=True, tag_field="driver", tag="rpi_gpio"):
    """A contact through RPi.GPIO (up to Pi 4) or rpi-lgpio, pulled to the level of an open one."""

    pin: Whole
    """GPIO number (BCM) of the pin that sees the contact."""
    active_low: bool = True
    """Whether closed is the low level: a contact to GND, the pin pulled up. False: to 3.3 V, pulled down."""


AnyContact = SimContact | GpioContact | RpiGpioContact


class Inputs(Struct, forbid_unknown_fields=True, frozen=True):
    """Contacts, each a table with its driver. One that breaks or cannot be read counts as open."""

    bypass_key: AnyContact | None = None
    """Closed: trips are bypassed, for protection.bypass_longest_s at most."""
    startup: AnyContact | None = None
    """Closed: the machine starts, trip multiply is asked for; left out: the models say so."""
    reset: AnyContact | None = None
    """A button; pressed: as `appliance reset`."""
    running: AnyContact | None = None
    """Closed: the machine runs, open: it is off; left out: the models say so."""

    @property
    def wired(self) -> dict[str, AnyContact]:
        """Those that there are, by name."""
        found = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: spec for name, spec in found.items() if spec is not None}
