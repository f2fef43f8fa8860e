"""What can go wrong around the processes: a network of their own, a small disk, a wall clock, torn files."""

import contextlib
import os
import subprocess
from pathlib import Path

from appliance.store import PAGE_BYTES

YEAR_NS = 31_557_600 * 10**9


def run(*command: object) -> bool:
    """Whether it went well; not so where there is no such program."""
    try:
        return subprocess.run([*map(str, command)], check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


class Network:
    """A namespace with one link to the broker; needs root and iproute2.

    host: the broker's address in it. wrap: what runs a command in it.
    """

    def __init__(self) -> None:
        net = f"169.254.{1 + os.getpid() % 254}"
        self.host, self._guest = f"{net}.1", f"{net}.2"
        self._name = f"torture{os.getpid()}"
        self._link = f"tb{os.getpid()}"
        self.wrap = ["ip", "netns", "exec", self._name]

    def begin(self) -> bool:
        """Make it; whether that went well."""
        far = f"{self._link}g"[-15:]
        return (
            run("ip", "netns", "add", self._name)
            and run("ip", "link", "add", self._link, "type", "veth", "peer", "name", far, "netns", self._name)
            and run("ip", "addr", "add", f"{self.host}/30", "dev", self._link)
            and run("ip", "link", "set", self._link, "up")
            and run(*self.wrap, "ip", "addr", "add", f"{self._guest}/30", "dev", far)
            and run(*self.wrap, "ip", "link", "set", far, "up")
        )

    def down(self) -> None:
        """The cable is out."""
        run("ip", "link", "set", self._link, "down")

    def lose(self, percent: int) -> None:
        """So many packets vanish on their way; all of them: a connection that is open on one side."""
        run("tc", "qdisc", "replace", "dev", self._link, "root", "netem", "loss", f"{percent}%")

    def mend(self) -> None:
        run("tc", "qdisc", "del", "dev", self._link, "root")
        run("ip", "link", "set", self._link, "up")

    def end(self) -> None:
        run("ip", "link", "del", self._link)
        run("ip", "netns", "del", self._name)


class Disk:
    """A small file system for the state; needs root."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.folder = folder
        self._filler = folder / "filler"
        self._megabytes = megabytes

    def begin(self) -> bool:
        self.folder.mkdir(parents=True, exist_ok=True)
        return run("mount", "-t", "tmpfs", "-o", f"size={self._megabytes}m", "none", self.folder)

    def fill(self) -> None:
        """To the last byte."""
        with contextlib.suppress(OSError), self._filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"\0" * 1024)

    def mend(self) -> None:
        self._filler.unlink(missing_ok=True)

    def end(self) -> None:
        run("umount", "-l", self.folder)


def tear_log(store: Path, rubbish: bytes) -> None:
    """What a power cut leaves behind the last commit: half a frame."""
    wal = store.with_name(f"{store.name}-wal")
    if wal.exists() and wal.stat().st_size:
        with wal.open("ab") as file:
            file.write(rubbish)


def tear_page(store: Path, rubbish: bytes) -> bool:
    """A page that was being copied from the log into the file when the power went: the log still has it."""
    wal = store.with_name(f"{store.name}-wal")
    log = wal.read_bytes() if wal.exists() else b""
    committed: list[int] = []
    pages: list[int] = []
    for at in range(32, len(log) - PAGE_BYTES - 23, 24 + PAGE_BYTES):
        number, commit, salt = log[at : at + 4], log[at + 4 : at + 8], log[at + 8 : at + 16]
        if salt != log[16:24]:
            break
        pages.append(int.from_bytes(number, "big"))
        if any(commit):
            committed += pages
            pages = []
    known = [page for page in committed if 1 < page <= store.stat().st_size // PAGE_BYTES]
    if not known:
        return False
    with store.open("r+b") as file:
        file.seek((known[-1] - 1) * PAGE_BYTES)
        file.write(rubbish[:PAGE_BYTES])
    return True


def flip_page(store: Path, rubbish: bytes) -> None:
    """The last page of rows, committed long ago, is not what it was: the disk has lied."""
    with store.open("r+b") as file:
        file.seek((store.stat().st_size // PAGE_BYTES - 1) * PAGE_BYTES)
        file.write(rubbish[:PAGE_BYTES])
