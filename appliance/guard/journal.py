"""The event log on disk: files of chained lines (`chain.py`), appended to and never changed.

Every verdict, trip and act goes in, with who and why; of the appliance's health what is critical. Files are
bounded in size and number: the oldest is deleted as a whole, and the log says so. `audit.py` verifies it.
"""

import contextlib
import itertools
import os
from collections.abc import Sequence
from pathlib import Path

from appliance import disk
from appliance.errors import StoreError
from appliance.guard import chain
from appliance.guard.chain import Head, Line
from appliance.records import Event, EventKind

FILE_BYTES = 1 << 18
"""A file that has reached this is followed by the next."""
MOST_FILES = 256


def belongs(event: Event) -> bool:
    """Whether an event goes into the log: all but the lesser health, which a loose plug tells all day."""
    return event.kind is not EventKind.HEALTH or event.severity == "critical"


def files(folder: Path) -> list[Path]:
    """The files of the log in `folder`, oldest first."""
    return sorted(path for path in folder.glob("??????.jsonl") if path.stem.isdecimal())


class Journal:
    """The author's side. One thread at a time.

    head: the last line that is durable. config_before: SHA-256 of the configuration in force at the end of
    the earlier run, "" if there was none. damage: what was found wrong, in words; the caller tells of it and
    clears it.

    Raises:
        StoreError: the folder cannot be written.
    """

    def __init__(self, folder: Path, config: str) -> None:
        """Open the log or begin one. config: SHA-256 of the configuration now."""
        self._folder = folder
        self._config = config
        self._file = -1
        self.head = Head()
        self.config_before = ""
        self.damage: list[str] = []
        try:
            self._open(self._resume() or self._next())
        except OSError as fault:
            raise StoreError(
                f"{folder}: the event log cannot be opened: {fault}; expected a folder that this process may "
                "write; check state_dir, its owner and the free space"
            ) from fault

    def append(self, events: Sequence[Event]) -> None:
        """Make events durable, all or none of them: what an attempt that failed wrote is overwritten.

        Raises:
            OSError: disk full, no rights.
        """
        if disturbed := self._disturbed():
            self._open(self._next())
            self.damage.append(f"{disturbed}: taken away or cut short by somebody; a new file goes on")
        surplus: list[Path] = []
        if self._size >= FILE_BYTES:
            self._open(self._next())
            surplus = files(self._folder)[:-MOST_FILES]
        new, head = self._deletion(surplus, events[0])
        for event in events:
            line, head = chain.link(head, self._config, event)
            new.append(line)
        self._write(b"".join(new))
        self.head = head
        for path in surplus:
            for part in self._folder.glob(f"{path.stem}.*"):
                with contextlib.suppress(OSError):  # it is surplus again when the next file begins
                    part.unlink()

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _resume(self) -> Path | None:
        """Find the end of the chain. Returns the file to go on with, None for a new one."""
        newest, sound = None, False
        for path in reversed(files(self._folder)):
            try:
                data = path.read_bytes()
            except OSError as fault:
                self.damage.append(f"{path}: {fault}; the log goes on from what can be read before it")
                newest = newest or path
                continue
            found = list(chain.lines(data))
            whole = [line for line in found if line.entry]
            if newest is None:
                newest = path
                sound = self._mended(path, data, found, whole)
            if whole and (last := whole[-1].entry):
                self.head, self.config_before = Head(last.seq, whole[-1].sha256), last.config
                break
        return newest if sound else None

    def _mended(self, path: Path, data: bytes, found: list[Line], whole: list[Line]) -> bool:
        """Whether the newest file can be written on; a torn end is taken off it, and kept."""
        good = whole[-1].end if whole else 0
        broken = next((line.number for line in found if not line.entry), None)
        if broken is None:
            return True
        if broken <= len(whole):
            self.damage.append(f"{path}:{broken}: not as it was written; it stays so, a new file goes on")
            return False
        names = (path.with_suffix(f".torn-{n}") for n in itertools.count())
        aside = next(name for name in names if not name.exists())
        disk.write(aside, data[good:])
        os.truncate(path, good)
        self.damage.append(f"{path}:{broken}: not written to its end; it is kept as {aside}")
        return True

    def _next(self) -> Path:
        """The name of a new file."""
        found = files(self._folder)
        return self._folder / f"{int(found[-1].stem) + 1 if found else 1:06d}.jsonl"

    def _open(self, path: Path) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        if self._file >= 0:
            os.close(self._file)
        self._file, self._path = file, path
        self._size = os.fstat(file).st_size
        disk.sync(self._folder)

    def _disturbed(self) -> Path | None:
        """The file, if somebody took it away, or some of it, while it is written to."""
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return self._path
        same = there.st_ino == os.fstat(self._file).st_ino and there.st_size >= self._size
        return None if same else self._path

    def _deletion(self, surplus: Sequence[Path], at: Event) -> tuple[list[bytes], Head]:
        """The line that says what is deleted, at the time of the event beside it; nothing if nothing is."""
        if not surplus:
            return [], self.head
        kept = files(self._folder)[len(surplus)].read_bytes()
        kept_from = next((line.entry.seq for line in chain.lines(kept) if line.entry), self.head.seq + 1)
        event = Event(
            EventKind.AUDIT,
            "journal.trimmed",
            "info",
            f"lines before {kept_from} deleted to make room",
            at.at_mono_ns,
            at.at_utc_ns,
            at.time_quality,
        )
        line, head = chain.link(self.head, self._config, event, kept_from)
        return [line], head

    def _write(self, data: bytes) -> None:
        os.ftruncate(self._file, self._size)
        written = 0
        while written < len(data):
            written += os.pwrite(self._file, data[written:], self._size + written)
        os.fsync(self._file)
        self._size += written
