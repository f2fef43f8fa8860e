"""A simulated shutdown relay that records its edges, and what an outside observer sees of it."""

import os
import time
from pathlib import Path
from typing import Literal

from hw.ports import PortError

Contact = Literal["sound", "welded", "open"]


class SimRelay:
    """hw.ports.Relay. Starts de-energised, as a real one does; only a change of level is an edge."""

    def __init__(self, edges: Path | None = None, contact: Contact = "sound") -> None:
        """Record edges in memory and, if `edges` is given, one JSON object a line in that file (appended).

        contact: what read-back sees: the coil's level, or a contact that is welded or never closes.

        The file is opened here: a write lies on the trip path and must be a single system call.

        Raises:
            PortError: the file cannot be opened.
        """
        self.edges: list[tuple[int, bool]] = []
        """(CLOCK_MONOTONIC ns, energised) of every edge."""
        self._energised = False
        self._contact = contact
        self._pid = os.getpid()
        self._fd: int | None = None
        if edges is not None:
            try:
                edges.parent.mkdir(parents=True, exist_ok=True)
                self._fd = os.open(edges, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            except OSError as fault:
                raise PortError(
                    f"{edges}: {fault.strerror}; expected a file to append to; correct the path"
                ) from fault

    def write(self, energised: bool) -> None:
        """Set the level. Raises PortError, and the level stays, if the edge cannot be recorded."""
        if energised == self._energised:
            return
        mono_ns = time.monotonic_ns()
        if self._fd is not None:
            word = b"true" if energised else b"false"
            line = b'{"mono_ns":%d,"energised":%b,"pid":%d}\n' % (mono_ns, word, self._pid)
            try:
                written = os.write(self._fd, line)
            except OSError as fault:
                raise PortError(
                    f"relay edge not written: {fault.strerror}; free the disk or mend the path"
                ) from fault
            if written != len(line):
                raise PortError(f"relay edge: {written} of {len(line)} bytes written; free the disk")
        self._energised = energised
        self.edges.append((mono_ns, energised))

    def read(self) -> bool:
        """Whether the contact is closed."""
        return self._energised if self._contact == "sound" else self._contact == "welded"


def observed_level(path: Path) -> bool:
    """The level an outside observer sees in an edge file: the last edge, or False once its writer is dead.

    Raises:
        PortError: the last line is not an edge.
    """
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return False
    if not lines:
        return False
    import json  # noqa: PLC0415  # 0.2 MB, and the guard only writes

    try:
        edge = json.loads(lines[-1])
        energised, pid = bool(edge["energised"]), int(edge["pid"])
    except (ValueError, KeyError, TypeError) as fault:
        raise PortError(f"{path}: last line {lines[-1]!r} is not an edge; remove the file") from fault
    return energised and _alive(pid)


def _alive(pid: int) -> bool:
    """True while it exists and is no zombie: the killed let go of their relay before being reaped."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}
