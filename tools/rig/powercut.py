"""Power cuts: a PC that accepts alerts is killed again and again; after each start it looks for them.

The PC's memory and the page cache in it are gone with it; what its disk was told to write is kept by the
host, so a disk that loses what it says is written is not played.
"""

import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import boot
import vm
from kernel import HERE, RigError

DISK_MB = 256
LONGEST_S = 4.0
"""A cut comes so long after the first alert, or earlier."""
START_S = 240.0
ACCEPTED = re.compile(r"accepted (\d+) (\S+) \.$")
"""A line with its end: the last one may be cut too."""
FOUND = re.compile(r"found (\d+) alerts, lost (\d+), log breaks (\d+)$")


class PowerCutError(Exception):
    """Raised at the moment of the cut: boot.boot kills the machine."""


class Plug:
    """Hears the console: notes what was accepted and what was found, and pulls the plug when it is time."""

    def __init__(self, reported: Path) -> None:
        self._reported = reported
        self.accepted = 0
        self.found: tuple[int, int, int] | None = None
        self.cut_s: float | None = None

    def begin(self, run_s: float | None) -> None:
        """A start. run_s: None to let it go on to its end."""
        self._run_s, self.cut_s, self.found = run_s, None, None

    def hear(self, line: str) -> None:
        if match := FOUND.match(line):
            self.found = (int(match[1]), int(match[2]), int(match[3]))
        elif match := ACCEPTED.match(line):
            with self._reported.open("a") as file:
                file.write(f"{match[1]} {match[2]}\n")
            self.accepted += 1
            if self._run_s is not None and self.cut_s is None:
                self.cut_s = time.monotonic() + self._run_s
        if self.cut_s is not None and time.monotonic() >= self.cut_s:
            raise PowerCutError


def run(cuts: int) -> int:
    """0 if no alert that was reported accepted was lost in any of the cuts. Raises RigError."""
    with tempfile.TemporaryDirectory(prefix="powercut-") as scratch:
        reported, disk = Path(scratch, "reported"), Path(scratch, "disk")
        reported.touch()
        _format(disk)
        plug = Plug(reported)
        machine = replace(vm.build(), disk=disk)
        argv = [sys.executable, "-u", str(HERE / "powercut_guest.py"), str(reported)]
        worst = 0
        for cut in range(cuts + 1):
            plug.begin(random.uniform(0.0, LONGEST_S) if cut < cuts else None)
            words = [*argv, "check"] if cut == cuts else argv
            try:
                outcome = boot.boot(machine, words, {}, START_S, plug.hear)
            except PowerCutError:
                outcome = None
            if plug.found is None or (outcome and outcome.status != 0):
                raise RigError(f"the PC did not come up:\n{outcome.output[-2000:] if outcome else ''}")
            found, lost, breaks = plug.found
            worst += lost + breaks
            after = f"after {cut} cuts" if cut else "before the first"
            print(f"powercut: {after}: {found} alerts, {lost} lost, {breaks} log breaks", flush=True)
        print(f"{cuts} power cuts: reported accepted {plug.accepted}, found {found}, lost {worst}")
        return int(worst > 0)


def _format(disk: Path) -> None:
    with disk.open("wb") as file:
        file.truncate(DISK_MB << 20)
    program = shutil.which("mkfs.ext4", path="/usr/sbin:/sbin:/usr/bin")
    if program is None:
        raise RigError("mkfs.ext4 is not on this machine; run: apt-get install e2fsprogs")
    subprocess.run([program, "-q", "-F", str(disk)], check=True)
