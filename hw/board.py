"""Board profiles: which pins may carry the relay, where the buses are, which settings the board needs.

A profile is `hw/boards/<name>.toml`. It says how each line stands from reset until a program takes it,
because the relay hangs on it then: a safe line is pulled, at reset, to the level that de-energises.
"""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hw.gpio_lines import Line

FOLDER = Path(__file__).resolve().parent / "boards"
MODEL = Path("/sys/firmware/devicetree/base/model")
"""Not /proc/device-tree: a hardened service sees nothing of /proc but processes."""


class BoardError(ValueError):
    """A profile is wrong, or a pin is not fit for what it shall do."""


@dataclass(frozen=True, slots=True)
class Chip:
    """Lines of one GPIO chip on the header. refused: lines with another duty, and which."""

    label: str
    pulled_down: frozenset[int]
    pulled_up: frozenset[int]
    refused: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Port:
    """A bus or serial port. pins: in words; settings: lines of the boot configuration; use: what it suits."""

    path: str
    pins: str
    settings: tuple[str, ...]
    use: str


@dataclass(frozen=True, slots=True)
class Board:
    """One board. models: beginnings of the device tree's model; settings: boot configuration for the relay.

    active_w: power of the bare board at typical work, as its maker states it; 0 where it states none.
    held_by: kernel parameter that, when Y, keeps a released line at its last level; "" where there is none.
    """

    name: str
    models: tuple[str, ...]
    settings: tuple[str, ...]
    held_by: str
    active_w: float
    chips: tuple[Chip, ...]
    i2c: tuple[Port, ...]
    serial: tuple[Port, ...]

    def check_relay(self, line: Line, external_pull: str = "") -> None:
        """Refuse a line that would energise the relay between reset and the start of the program.

        Args:
            line: the relay's; its chip as the label in the profile.
            external_pull: the owner's word that a resistor outside outweighs the one inside the processor:
                "external pull-down fitted", for an active-low line "external pull-up fitted".

        Raises:
            BoardError: not on the header, another duty, or pulled to the wrong level without that word.
        """
        chip = self._chip_of(line, "relay", self._fit(line))
        safe, reset = "up" if line.active_low else "down", "up" if line.offset in chip.pulled_up else "down"
        word = f"external pull-{safe} fitted"
        if reset != safe and external_pull != word:
            raise BoardError(
                f"{self.name}: {line} is pulled {reset} at reset, which energises the relay at every boot; "
                f'use {self._fit(line)}, or fit a pull-{safe} of 2.2 kΩ and write external_pull = "{word}"'
            )

    def check_input(self, line: Line) -> None:
        """Refuse a line not on the header, or with another duty; how it is pulled at reset does not matter.

        Raises:
            BoardError: with the lines that fit.
        """
        lines = ((chip.label, chip.pulled_down | chip.pulled_up) for chip in self.chips)
        fit = "; ".join(f"{label} {', '.join(map(str, sorted(offsets)))}" for label, offsets in lines)
        self._chip_of(line, "input", f"one of {fit}")

    def _chip_of(self, line: Line, duty: str, fit: str) -> Chip:
        """The chip with this line, free for `duty`. fit: what to use instead. Raises BoardError."""
        chip = next((chip for chip in self.chips if chip.label == line.chip), None)
        if chip is None:
            labels = ", ".join(chip.label for chip in self.chips)
            raise BoardError(f"{self.name}: GPIO chip {line.chip!r} has no {duty} pins, expected {labels}")
        if why := chip.refused.get(line.offset):
            raise BoardError(f"{self.name}: {line}: {why}; use {fit}")
        if line.offset not in chip.pulled_down | chip.pulled_up:
            raise BoardError(f"{self.name}: {line} is not on the header; use {fit}")
        return chip

    def _fit(self, line: Line) -> str:
        fit = [
            f"{chip.label} {', '.join(map(str, sorted(lines)))}"
            for chip in self.chips
            if (lines := chip.pulled_up if line.active_low else chip.pulled_down)
        ]
        return "one of " + "; ".join(fit) if fit else "an active-high relay"

    def keeps_released_lines(self, root: Path = Path("/")) -> bool:
        """Whether the running kernel leaves a pin at its last level when the process that drove it dies."""
        parameter = root / self.held_by.lstrip("/")
        return bool(self.held_by) and parameter.is_file() and parameter.read_text().strip() in {"Y", "1"}


def names() -> tuple[str, ...]:
    """The boards there are."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def this_board(model: Path = MODEL) -> str | None:
    """Name of the profile of the machine we run on, or None."""
    try:
        found = model.read_text(errors="replace").rstrip("\0\n")
    except OSError:
        return None
    return next((name for name in names() if found.startswith(load(name).models)), None)


def load(name: str, folder: Path = FOLDER) -> Board:
    """Read and check one profile. Raises BoardError."""
    path = folder / f"{name}.toml"
    try:
        table = tomllib.loads(path.read_text())
    except FileNotFoundError as fault:
        raise BoardError(f"{name!r} is not a board; one of {', '.join(names())}") from fault
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise BoardError(f"{path}: not TOML: {fault}") from fault
    read = _Table(table, str(path))
    board = Board(
        name=read.text("name"),
        models=read.texts("models"),
        settings=read.texts("settings"),
        held_by=read.text("held_by", ""),
        active_w=read.number("active_w", 0.0),
        chips=tuple(_chip(entry) for entry in read.tables("chip")),
        i2c=tuple(_port(entry) for entry in read.tables("i2c")),
        serial=tuple(_port(entry) for entry in read.tables("serial")),
    )
    read.finish()
    if not board.models or not board.chips:
        raise BoardError(f"{path}: models or chip empty, expected at least one of each")
    return board


def _chip(read: "_Table") -> Chip:
    chip = Chip(
        read.text("label"), read.lines("pulled_down"), read.lines("pulled_up"), read.reasons("refused")
    )
    read.finish()
    twice = (chip.pulled_down & chip.pulled_up) | ((chip.pulled_down | chip.pulled_up) & set(chip.refused))
    if twice:
        raise BoardError(f"{read.place}: {sorted(twice)} listed twice; a line is low, high or refused")
    return chip


def _port(read: "_Table") -> Port:
    port = Port(read.text("path"), read.text("pins"), read.texts("settings"), read.text("use"))
    read.finish()
    return port


class _Table:
    """Typed reading of a TOML table; `finish` refuses what was not asked for."""

    def __init__(self, table: dict[str, Any], place: str) -> None:
        self.place = place
        self._rest = dict(table)

    def _take(self, key: str, default: Any = None) -> Any:
        value = self._rest.pop(key, default)
        if value is None:
            raise BoardError(f"{self.place}: {key} is missing")
        return value

    def _wrong(self, key: str, value: object, expected: str) -> BoardError:
        return BoardError(f"{self.place}: {key}: {value!r}, expected {expected}")

    def text(self, key: str, default: str | None = None) -> str:
        value = self._take(key, default)
        if not isinstance(value, str):
            raise self._wrong(key, value, "a string")
        return value

    def number(self, key: str, default: float) -> float:
        value = self._take(key, default)
        if type(value) not in (int, float) or not 0 <= value < math.inf:
            raise self._wrong(key, value, "a number, 0 or more")
        return float(value)

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._take(key)
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self._wrong(key, value, "a list of strings")
        return tuple(value)

    def lines(self, key: str) -> frozenset[int]:
        value = self._take(key)
        if not isinstance(value, list) or not all(type(one) is int and one >= 0 for one in value):
            raise self._wrong(key, value, "a list of line numbers")
        return frozenset(value)

    def reasons(self, key: str) -> dict[int, str]:
        value = self._take(key, {})
        fit = isinstance(value, dict) and all(k.isdecimal() and isinstance(v, str) for k, v in value.items())
        if not fit:
            raise self._wrong(key, value, 'line = "why not"')
        return {int(number): why for number, why in value.items()}

    def tables(self, key: str) -> list["_Table"]:
        value = self._take(key)
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise self._wrong(key, value, f"[[{key}]] tables")
        return [_Table(one, f"{self.place}: {key}[{index}]") for index, one in enumerate(value)]

    def finish(self) -> None:
        if self._rest:
            raise BoardError(f"{self.place}: {', '.join(self._rest)}: not a key of a profile; remove it")
