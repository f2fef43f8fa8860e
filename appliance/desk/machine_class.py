"""The kind of machine that a configuration does not name yet: asked for, shown, and written into the file."""

import os
import sys
import tempfile
from pathlib import Path

from appliance import check, preset, severity
from appliance.config import Config
from appliance.desk.screen import Screen
from appliance.errors import ApplianceError
from appliance.toml_lines import key_lines

_EXAMPLE = "pump, 15-300 kW, rigid"


def choose(path: Path, config: Config, starts: str, screen: Screen) -> Config:
    """Ask for the preset of a configuration that has none; what the file says when that is done.

    starts: when a file that was changed takes effect, in words. Where nobody is at a terminal it only shows.
    """
    for line in _choices():
        print(f"  {line}")
    chosen = _asked(screen)
    if not chosen:
        screen.line("none chosen: no zones, and limits of velocity only where the file sets some")
        return config
    print(f'  The file needs:\n\n      [machine]\n      preset = "{chosen}"\n')
    if not _agreed(f"  Write it into {path.name} now? (yes/no) "):
        screen.line("not written; write it yourself and start again")
        return config
    try:
        written = write(path, chosen)
    except (ApplianceError, OSError) as fault:
        screen.line(f"not written: {fault}")
        return config
    screen.line(f"written; it holds {starts}")
    return written


def write(path: Path, chosen: str) -> Config:
    """Set `machine.preset` in a file that has none, its comments kept, in one step; the new configuration.

    Raises:
        ConfigError: the file would hold faults with it; it is left as it was.
        ApplianceError: its [machine] cannot be added to line by line; it is left as it was.
        OSError: it cannot be written; it is left as it was.
    """
    before = check.load(path)
    text = _with(path.read_text(), f'preset = "{chosen}"')
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".toml", dir=path.absolute().parent)
    draft = Path(name)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        after = check.load(draft)
        if after.machine.preset != chosen or after.vibration != before.vibration:
            raise ApplianceError(f"{path}: [machine] is written in a way we do not add to; add it by hand")
        draft.chmod(path.stat().st_mode & 0o777)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return after


def _with(text: str, line: str) -> str:
    """The text with a line more in [machine]: behind its header, or in a table of its own at the end."""
    at = key_lines(text).get(("machine",))
    lines = text.splitlines()
    if at is None:
        return "\n".join([*lines, "", "[machine]", line, ""])
    return "\n".join([*lines[:at], line, *lines[at:], ""])


def _choices() -> list[str]:
    kinds = ", ".join(preset.LONGEST_START_S)
    zones = [
        f"  {one.machine:22s} {' / '.join(f'{edge:g}' for edge in one.edges_mms)} mm/s"
        for one in severity.table()
    ]
    return [
        "[machine] preset is not set. It gives severity zones, and limits of velocity.",
        f"Kind, then power and support. Kinds: {kinds}.",
        "Power and support, or class, with the zones A/B, B/C, C/D:",
        *zones,
        f"As on the nameplate and under the feet, for example: {_EXAMPLE}",
    ]


def _asked(screen: Screen) -> str:
    """A preset, as typed; "" for none."""
    if not sys.stdin.isatty():
        return ""
    while True:
        print("  preset (empty: none): ", end="", flush=True)
        text = " ".join(sys.stdin.readline().split())
        if not text or preset.find(text):
            return text
        screen.line(preset.fault(text))


def _agreed(question: str) -> bool:
    print(question, end="", flush=True)
    return sys.stdin.readline().strip().lower() == "yes"
