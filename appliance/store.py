"""The event store: one SQLite file with the outbox (events on their way) and the journal (events gone out).

The guard is the sole author (`Store`), the uplink drains (`appliance.uplink.outbox`): two processes, one
WAL file.
Measured in power cuts (virtual machine, page cache lost): WAL with synchronous=FULL lost 0 of 2,128 events.
"""

import contextlib
import errno
import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from appliance import disk
from appliance.errors import StoreError
from appliance.priority import CLASSES, PRIORITY
from appliance.records import Event
from appliance.storage import Storage

PAGE_BYTES = 4096
"""A commit writes whole pages: 16.1 kB for an alarm. With 1024 it is 9.8 kB, but then payloads overflow
inside the index, and a page that is damaged costs all of a table instead of its own rows."""
_APPLICATION_ID = 0x50444D31
_BUSY_S = 5.0
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
"""The last: tables that are not ours any more, or a format unknown; our statements are sound."""
_MOST_STARTS = 1 << 21
"""Keeps ids below 2^53, the largest whole number that JavaScript consumers hold exactly."""
_SEED_EPOCH_S = 1_767_225_600
_SEED_STEP_S = 600
_MOST_SET_ASIDE = 9
_OUTBOX = """CREATE TABLE outbox(prio INTEGER NOT NULL, id INTEGER NOT NULL, seq INTEGER NOT NULL,
    payload BLOB NOT NULL, PRIMARY KEY (prio, id)) WITHOUT ROWID"""
_JOURNAL = "CREATE TABLE journal(id INTEGER PRIMARY KEY, seq INTEGER NOT NULL, payload BLOB NOT NULL)"
_TALLY = "CREATE TABLE tally(prio INTEGER PRIMARY KEY, evicted INTEGER NOT NULL, seq INTEGER NOT NULL)"
_COUNT = """INSERT INTO tally VALUES (?, ?, ?)
    ON CONFLICT DO UPDATE SET evicted = evicted + excluded.evicted, seq = excluded.seq"""
_SCHEMA = f"""
BEGIN IMMEDIATE;
PRAGMA application_id = {_APPLICATION_ID};
{_OUTBOX};
{_JOURNAL};
{_TALLY};
COMMIT;
"""
_EVICTED_AT_ONCE = 100
_ROOM = 0.95
"""Eviction makes more room than is needed at the moment, so that it is not for every event."""
_JOURNAL_LEAST = 100
_SEQ_GAP = 1000
"""Where it is not known how far `seq` had come before damage, it goes on at the next multiple: a hole."""


def is_damage(fault: sqlite3.Error) -> bool:
    """Whether the file itself is broken, as opposed to a full disk, a lock or a missing right."""
    return getattr(fault, "sqlite_errorcode", 0) & 0xFF in _DAMAGE


def damage_mark(path: Path) -> Path:
    """The file by which the uplink, which may not replace the store, asks the guard to set it aside."""
    return path.with_name(f"{path.name}.damaged")


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Opening, counting starts and setting aside are done by one process at a time."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
        os.fsync(handle)
    finally:
        os.close(handle)


def _next_start(path: Path) -> int:
    """Count one start of a process that gives ids; survives a damaged store, because it has its own file.

    Where that file is missing or unreadable the count begins from the wall clock, in steps of ten minutes
    since 2026, so that a replaced disk does not hand out ids that consumers have seen and would drop.
    """
    file = path.with_name(f"{path.name}.start")
    try:
        before = int(file.read_text("ascii"))
    except (OSError, ValueError):
        before = -1
    if not 0 <= before < _MOST_STARTS:
        before = max(0, int(time.time()) - _SEED_EPOCH_S) // _SEED_STEP_S
    number = b"%d" % (before + 1)
    try:
        disk.replace(file, number)
    except OSError as fault:
        if fault.errno != errno.ENOSPC or not file.exists():
            raise
        with file.open("r+b") as out:  # a full disk must not keep the guard from starting
            out.write(number)
            out.flush()
            os.fsync(out.fileno())
    return before + 1


def _connect(path: Path, synchronous: str) -> sqlite3.Connection:
    """A connection to a sound store of this schema; raises sqlite3.DatabaseError (`is_damage`) otherwise."""
    db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA synchronous = {synchronous}")
        db.execute("PRAGMA journal_size_limit = 4194304")
        db.execute("PRAGMA cache_size = -1000")
        db.execute("PRAGMA secure_delete = OFF")  # overwriting what is deleted wears the card
        _verify(db)
    except UnicodeDecodeError as fault:  # SQLite's own message quotes a schema that is not text any more
        db.close()
        raise _broken("the schema is no text") from fault
    except BaseException:
        db.close()
        raise
    return db


def _broken(verdict: str) -> sqlite3.DatabaseError:
    """A fault for which `is_damage` holds."""
    fault = sqlite3.DatabaseError(verdict)
    fault.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return fault


def _verify(db: sqlite3.Connection) -> None:
    """Make the tables of a new file; refuse a broken file or the database of something else."""
    verdict = "ok"
    if db.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION_ID:
        if db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            verdict = "a database of something else"
        else:
            db.executescript(_SCHEMA)
    if verdict == "ok":
        verdict = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    tables = {row[0] for row in db.execute("SELECT CAST(sql AS BLOB) FROM sqlite_schema")}
    if verdict == "ok" and tables != {part.encode() for part in (_OUTBOX, _JOURNAL, _TALLY)}:
        verdict = "tables that are not ours any more"
    if verdict != "ok":
        raise _broken(verdict)


def open_database(path: Path, synchronous: str) -> tuple[sqlite3.Connection, int]:
    """Open the store at `path`, creating folder and file, and count a start.

    Returns the connection (autocommit) and the start counter: larger at every call by any process.

    Raises:
        StoreError: the path cannot be written.
        sqlite3.DatabaseError: the file is damaged (`is_damage`).
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path.parent):
            return _connect(path, synchronous), _next_start(path)
    except (OSError, sqlite3.Error) as fault:
        if isinstance(fault, sqlite3.Error) and is_damage(fault):
            raise
        raise StoreError(
            f"{path}: the event store cannot be opened: {fault}; expected a folder that this process "
            "may write; check state_dir, its owner and the free space"
        ) from fault


def _set_aside(path: Path) -> Path:
    """Rename a store with its WAL and SHM, for a person to look into; returns the new name.

    The caller has the lock of the folder.
    """
    names = [path.with_name(f"{path.name}.damaged-{n}") for n in range(1, _MOST_SET_ASIDE + 1)]
    aside = next((name for name in names if not name.exists()), names[-1])
    for part in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + part).replace(aside.with_name(aside.name + part))
    damage_mark(path).unlink(missing_ok=True)
    return aside


class Store:
    """The author's side. One thread at a time.

    start: this process's start counter, the upper half of every id it gives.
    set_aside: where damaged predecessors were put, by opening or by `accept`; empty if all is well.
        The caller reports and clears it. What could be read of them (`salvaged` events) is in the new store.
        `seq` goes on; where it is not known how far it had come, at the next thousand. Ids go on increasing.
    put_back: the file was deleted or replaced while in use, and is written again, whole. The caller reports
        and clears it.
    evicted: events that were never delivered because the bound was reached, since the store was made.

    Raises:
        StoreError: the path cannot be written.
    """

    def __init__(self, path: Path, most_bytes: int = Storage().events_bytes) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._given = self._seq = self.start = self.evicted = 0
        self.set_aside: list[Path] = []
        self.put_back = False
        self._aside: Path | None = None
        self.salvaged = 0
        if damage_mark(path).exists() and path.exists():
            self._begin_anew()
            return
        try:
            self._open()
        except sqlite3.DatabaseError:
            self._begin_anew()

    def accept(self, events: Sequence[Event]) -> list[Event]:
        """Make events durable in one transaction; returns them with `id` and `seq` given.

        Once it has returned they survive kill −9 and power cut. `seq` is contiguous over all events.
        Where the store has reached its bound, the oldest of the least important class makes room.

        Raises:
            StoreError: disk full, or locked for more than 5 s; none of these events is stored.
        """
        try:
            if self._aside or damage_mark(self._path).exists():
                self._begin_anew()
            elif self._is_gone():
                self._put_back()
            return self._insert(events)
        except sqlite3.DatabaseError as fault:
            if not (is_damage(fault) or self._may_only_be_read(fault)):
                raise self._refusal(fault) from fault
        self._begin_anew()
        try:
            return self._insert(events)
        except sqlite3.DatabaseError as fault:
            raise self._refusal(fault) from fault

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _open(self) -> None:
        self._db, start = open_database(self._path, "FULL")
        if start > self.start:  # else its file has gone with the folder, and no id may be given twice
            self.start, self._given = start, 0
        self._inode = self._path.stat().st_ino
        self._seq = max(self._seq, newest_seq(self._db))
        self.evicted = evicted(self._db)

    def _is_gone(self) -> bool:
        """Whether the path leads to another file than the one that is open, or to none."""
        try:
            return self._path.stat().st_ino != self._inode
        except OSError:
            return True

    def _put_back(self) -> None:
        """What is open can still be read, whatever became of its name: it gets its place again."""
        new = self._path.with_name(f"{self._path.name}.new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            new.unlink(missing_ok=True)
            with contextlib.closing(sqlite3.connect(new)) as copy:
                self._db.backup(copy)
            with _locked(self._path.parent):
                _set_aside(self._path)
                new.replace(self._path)
        except OSError as fault:
            raise StoreError(
                f"{self._path}: deleted or replaced while in use, and not put back: {fault}; expected a "
                "folder to write in; check state_dir, its owner and the free space"
            ) from fault
        before = self._db
        self._open()
        before.close()
        self.put_back = True

    def _may_only_be_read(self, fault: sqlite3.Error) -> bool:
        """Whether the file itself says so, in a byte that `quick_check` passes, and not a lack of rights."""
        refused = getattr(fault, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_READONLY
        return refused and os.access(self._path, os.W_OK)

    def _begin_anew(self) -> None:
        """A new file with what can be read of the damaged one, which is kept for a person to look into.

        Raises StoreError: there is no new file yet; the next event tries again.
        """
        gone, known = self.evicted, self._seq
        if self.start:
            self._db.close()
        if self._aside is None:
            with _locked(self._path.parent):
                self._aside = _set_aside(self._path)
            self.set_aside.append(self._aside)
        self._open()
        damaged, self._aside = self._aside, None
        with contextlib.suppress(OSError, sqlite3.Error):
            self.salvaged += self._take_back(damaged, gone, known)
        self.evicted = evicted(self._db)
        if not known:
            self._seq = -(-newest_seq(self._db) // _SEQ_GAP) * _SEQ_GAP

    def _take_back(self, damaged: Path, gone: int, known: int) -> int:
        """All that can be read, or nothing: it is still in the damaged file. Returns events on their way."""
        from appliance.salvage import salvage  # noqa: PLC0415 - a guard with a sound store spares 0.8 MB

        taken = 0
        with _locked(self._path.parent), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            for found in salvage(damaged, self.start):
                if found.prio is None:
                    self._db.execute("INSERT OR IGNORE INTO journal VALUES (?, ?, ?)", found[1:])
                else:
                    row = self._db.execute("INSERT OR IGNORE INTO outbox VALUES (?, ?, ?, ?)", found)
                    taken += row.rowcount
            self._db.execute(_COUNT, (CLASSES[-1], gone, known))
        return taken

    def _insert(self, events: Sequence[Event]) -> list[Event]:
        stored = [
            msgspec.structs.replace(event, id=(self.start << 32) | (self._given + n), seq=self._seq + n)
            for n, event in enumerate(events, start=1)
        ]
        rows = [(PRIORITY[event.kind], event.id, event.seq, msgspec.json.encode(event)) for event in stored]
        gone = 0
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            if self._used_bytes() > self._most_bytes:
                gone = self._make_room()
            self._db.executemany("INSERT INTO outbox VALUES (?, ?, ?, ?)", rows)
        self._given += len(events)
        self._seq += len(events)
        self.evicted += gone
        return stored

    def _used_bytes(self) -> int:
        pages, free, size = (
            self._db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def _make_room(self) -> int:
        """Delete what was delivered, then the oldest of the least important class; returns events evicted."""
        enough = self._most_bytes * _ROOM
        oldest = "DELETE FROM journal WHERE id IN (SELECT id FROM journal ORDER BY id LIMIT ?)"
        kept = self._db.execute("SELECT count(*) FROM journal").fetchone()[0]
        while self._used_bytes() > enough and kept > _JOURNAL_LEAST:
            kept -= self._db.execute(oldest, (min(_EVICTED_AT_ONCE, kept - _JOURNAL_LEAST),)).rowcount
        first = "SELECT id FROM outbox WHERE prio = ? ORDER BY id LIMIT ?"
        gone = 0
        for prio in reversed(CLASSES):
            of_class = 0
            while self._used_bytes() > enough:
                last = self._db.execute(first, (prio, _EVICTED_AT_ONCE)).fetchall()
                if not last:
                    break
                of_class += self._db.execute(
                    "DELETE FROM outbox WHERE prio = ? AND id <= ?", (prio, last[-1][0])
                ).rowcount
            if of_class:
                self._db.execute(_COUNT, (prio, of_class, self._seq))
            gone += of_class
        return gone

    def _refusal(self, fault: sqlite3.Error) -> StoreError:
        return StoreError(
            f"{self._path}: the event was not stored: {fault}; expected room and a free lock within "
            f"{_BUSY_S:.0f} s; check the free space of state_dir"
        )


def newest_seq(db: sqlite3.Connection) -> int:
    """The last `seq` that was given, whatever has left since."""
    newest = "SELECT seq FROM (SELECT seq FROM outbox WHERE prio = ? ORDER BY id DESC LIMIT 1)"
    seqs = [row[0] for prio in CLASSES for row in db.execute(newest, (prio,))]
    seqs += [row[0] for row in db.execute("SELECT seq FROM journal ORDER BY id DESC LIMIT 1")]
    seqs += [row[0] for row in db.execute("SELECT max(seq) FROM tally") if row[0]]
    return max(seqs, default=0)


def evicted(db: sqlite3.Connection) -> int:
    """Events that were never delivered because the store had reached its bound, since it was made."""
    total: int = db.execute("SELECT coalesce(sum(evicted), 0) FROM tally").fetchone()[0]
    return total
