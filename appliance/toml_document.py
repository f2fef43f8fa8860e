"""One TOML file read as a type: every fault in it with the line where its key stands."""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Generic, TypeVar, cast

from appliance.errors import ConfigError
from appliance.toml_lines import Keys, key_lines, line_of
from appliance.toml_types import Conversion, Fault, dotted

_LARGEST_BYTES = 1 << 20
Kind = TypeVar("Kind")
Raw = Mapping[str, object]


class Document(Generic[Kind]):
    """A file and what it holds. Nothing of `content` may be believed before `require_sound` has passed."""

    def __init__(self, path: Path, kind: type[Kind], beneath: Callable[[Raw], Raw] = lambda _: {}) -> None:
        """Read it; relative paths in it begin at its folder.

        Args:
            path: the file.
            kind: what it is read as.
            beneath: from all that the file says, what it says where it is silent, key by key.

        Raises:
            ConfigError: it cannot be read, or is not TOML.
        """
        text = _read(path)
        try:
            raw = tomllib.loads(text)
            self._lines = key_lines(text)
        except RecursionError:
            raise ConfigError(
                f"{path}:1: arrays or tables nested too deeply; expected at most four levels"
            ) from None
        except ValueError as fault:  # TOMLDecodeError, or a whole number of more than 4300 digits
            raise ConfigError(_syntax(path, text, str(fault))) from None
        self._path = path
        self._conversion = Conversion(path.absolute().parent)
        self.content = cast("Kind", self._conversion.document(kind, _over(raw, beneath(raw))))

    def is_written(self, keys: Keys) -> bool:
        """Whether the file itself holds this key."""
        return keys in self._lines

    def require_sound(self, implausible: Iterable[Fault] = ()) -> None:
        """Raise all faults, one a line, in the order of the file.

        Args:
            implausible: faults between keys; those that follow from a value at fault itself are not told.

        Raises:
            ConfigError: `file:line: key: found; expected; what to do`. Items of arrays are numbered from 0.
        """
        conversion = self._conversion
        faults = [*conversion.faults, *_first_causes(implausible, conversion.replaced)]
        if faults:
            placed = sorted(((self._line(fault), fault) for fault in faults), key=lambda pair: pair[0])
            raise ConfigError("\n".join(self._told(line, fault) for line, fault in placed))

    def _told(self, line: int, fault: Fault) -> str:
        key = f"{dotted(fault.keys)}: " if fault.keys else ""
        return f"{self._path}:{line}: {key}{fault.message}"

    def _line(self, fault: Fault) -> int:
        """The line of the first of the fault's places that the file holds."""
        for keys in (fault.keys, *fault.about):
            if keys in self._lines:
                return self._lines[keys]
        return line_of(self._lines, fault.keys)


def _over(raw: Raw, beneath: Raw) -> Raw:
    """`beneath` with all that `raw` says in its place."""
    merged = dict(beneath)
    for name, mine in raw.items():
        under = beneath.get(name)
        both = isinstance(mine, dict) and isinstance(under, dict)
        merged[name] = _over(cast("Raw", mine), cast("Raw", under)) if both else mine
    return merged


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_BYTES + 1)
    except OSError as fault:
        raise ConfigError(
            f"{path}: cannot be read ({fault.strerror}); expected a TOML file; correct the path"
        ) from None
    if len(data) > _LARGEST_BYTES:
        raise ConfigError(f"{path}: more than {_LARGEST_BYTES} bytes; expected a few kB; give the right file")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as fault:
        line = data.count(b"\n", 0, fault.start) + 1
        raise ConfigError(f"{path}:{line}: not UTF-8; expected UTF-8 text; save the file as UTF-8") from None


def _syntax(path: Path, text: str, fault: str) -> str:
    place = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", fault)
    if place is None:
        return f"{path}:1: {fault}; expected TOML; correct the value"
    found = fault[: place.start()]
    if place[1] is None:
        line = text.rstrip("\n").count("\n") + 1
        return f"{path}:{line}: {found}; expected TOML to the end; close what is left open above"
    is_past_line_end = found.startswith("Illegal character '\\n'") and place[2] == "1"  # an open "string
    return f"{path}:{int(place[1]) - is_past_line_end}: {found}; expected TOML; correct this line or the last"


def _first_causes(faults: Iterable[Fault], replaced: set[Keys]) -> list[Fault]:
    """Those faults that do not follow from a value that is at fault itself."""

    def is_sound(keys: Keys) -> bool:
        return not any(keys[:n] in replaced for n in range(1, len(keys) + 1))

    return [fault for fault in faults if all(is_sound(keys) for keys in (fault.keys, *fault.about))]
