"""GPIO lines of the kernel's own simulator, gpio-sim, and what stands on them seen from the other side."""

import functools
import itertools
import os
from dataclasses import dataclass
from pathlib import Path

CONFIGFS = Path("/sys/kernel/config/gpio-sim")
HERE = CONFIGFS.is_dir() and os.access(CONFIGFS, os.W_OK)
ABSENT = "no gpio-sim in this kernel; run: tools/rig/rig run"
LINES = 64


@dataclass(frozen=True)
class Wire:
    """One line. chip: its label; path: of the chip; place: the simulator's folder of the line."""

    chip: str
    path: str
    offset: int
    place: Path

    def level(self) -> bool:
        return (self.place / "value").read_text().strip() == "1"

    def pull(self, *, up: bool) -> None:
        """What a resistor, or a contact, does to a line that is not driven."""
        (self.place / "pull").write_text("pull-up" if up else "pull-down")


@functools.cache
def _bank() -> tuple[str, Path]:
    """Path of one chip, and the simulator's folder; it lives as long as the kernel."""
    device = CONFIGFS / f"bench{os.getpid()}"
    bank = device / "bank0"
    bank.mkdir(parents=True)
    (bank / "num_lines").write_text(str(LINES))
    (bank / "label").write_text(label())
    (device / "live").write_text("1")
    chip = (bank / "chip_name").read_text().strip()
    name = (device / "dev_name").read_text().strip()
    return f"/dev/{chip}", Path("/sys/devices/platform") / name / chip


def label() -> str:
    return f"bench-{os.getpid()}"


_offsets = itertools.count()


def wire() -> Wire:
    """A line that no test has had, pulled down: what is taken by this process is not given back."""
    path, folder = _bank()
    offset = next(_offsets)
    assert offset < LINES, "more lines asked for than the simulated chip has; raise LINES"
    return Wire(label(), path, offset, folder / f"sim_gpio{offset}")


def guard_config(wire: Wire, folder: Path, health: Wire | None = None) -> str:
    """A guard on the simulated machine with its relay, and a health toggle, on these lines."""
    return (
        f'state_dir = "{folder}/state"\nrun_dir = "{folder}/run"\n'
        f'[relay]\ndriver = "gpio"\nchip = "{wire.chip}"\nline = {wire.offset}\n'
        + (f"health = {health.offset}\n" if health else "")
    )
