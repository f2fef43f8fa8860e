"""Reads the configuration file and lists all of its faults with their lines: found; expected; what to do."""

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import cast

from appliance.config import Config, Limit
from appliance.errors import ConfigError
from appliance.plausible import implausible
from appliance.sensors import RecordedVibration, driver
from appliance.toml_lines import Keys, key_lines, line_of
from appliance.toml_types import Conversion, Fault, dotted

_LARGEST_BYTES = 1 << 20


def load(path: Path) -> Config:
    """The configuration in the TOML file `path`; relative paths in it begin at the file's folder.

    Raises:
        ConfigError: all faults, one a line, in the order of the file:
            `file:line: key: found; expected; what to do`. Items of arrays are numbered from 0.
    """
    text = _read(path)
    try:
        raw = tomllib.loads(text)
        lines = key_lines(text)
    except RecursionError:
        raise ConfigError(
            f"{path}:1: arrays or tables nested too deeply; expected at most four levels"
        ) from None
    except ValueError as fault:  # TOMLDecodeError, or a whole number of more than 4300 digits
        raise ConfigError(_syntax(path, text, str(fault))) from None
    conversion = Conversion(path.absolute().parent)
    config = cast("Config", conversion.struct(Config, raw))
    faults = [
        *conversion.faults,
        *_first_causes(implausible(config), conversion.replaced),
    ]
    if faults:
        placed = sorted(((_line(lines, fault), fault) for fault in faults), key=lambda pair: pair[0])
        raise ConfigError(
            "\n".join(f"{path}:{line}: {dotted(fault.keys)}: {fault.message}" for line, fault in placed)
        )
    return config


def describe(config: Config) -> str:
    """What a sound configuration asks for, a line each: sensors, limits, broker, folders."""
    vibration = (
        f"{s.name} (recording {s.path})"
        if isinstance(s, RecordedVibration)
        else f"{s.name} ({driver(s)}, {s.rate_hz:g} Hz × {s.axes}, ±{s.range_g:.3g} g)"
        for s in config.vibration
    )
    temperature = (f"{s.name} ({driver(s)}, every {s.period_s:g} s)" for s in config.temperature)
    site, up = config.machine, config.uplink
    limits = {name: getattr(config.limits, name) for name in config.limits.__struct_fields__}
    return "\n".join(
        (
            f"machine: {site.site}/{site.area}/{site.asset}/{site.device}",
            f"vibration: {', '.join(vibration)}",
            f"temperature: {', '.join(temperature) or 'none'}",
            *(
                f"limit {name}: {_levels(limit)}"
                for name, limit in limits.items()
                if isinstance(limit, Limit)
            ),
            f"NOT OK: {config.limits.not_ok} after {config.limits.not_ok_delay_s:g} s",
            f"broker: {f'{up.host}:{up.port}' if up.enabled else 'none (uplink off)'}",
            f"state: {config.state_dir}, run: {config.run_dir}, on stop: {config.on_stop}",
        )
    )


def _levels(limit: Limit) -> str:
    levels = [
        f"{name} {value:g}" for name, value in (("Alert", limit.alert), ("Danger", limit.danger)) if value
    ]
    return f"{', '.join(levels)} after {limit.delay_s:g} s" if levels else "not watched"


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


def _line(lines: dict[Keys, int], fault: Fault) -> int:
    """The line of the first of the fault's places that the file holds."""
    for keys in (fault.keys, *fault.about):
        if keys in lines:
            return lines[keys]
    return line_of(lines, fault.keys)
