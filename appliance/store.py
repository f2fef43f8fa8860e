"""The event store: one SQLite file with the outbox (events on their way) and the journal (events gone out).

The guard is the sole author (`Store`), the uplink drains (`appliance.uplink.outbox`): two processes, one
WAL file.
Measured in power cuts (virtual machine, page cache lost): WAL with synchronous=FULL lost 0 of 2,128 events.
"""

import contextlib
import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from appliance.errors import StoreError
from appliance.records import Event, EventKind

PRIORITY = {EventKind.TRIP: 0, EventKind.ALARM: 1, EventKind.HEALTH: 2, EventKind.AUDIT: 2}
"""Drain class of an event: smaller leaves first; in `id` order within a class."""
CLASSES = sorted(set(PRIORITY.values()))

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
_SCHEMA = f"""
BEGIN IMMEDIATE;
PRAGMA application_id = {_APPLICATION_ID};
{_OUTBOX};
{_JOURNAL};
COMMIT;
"""


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
    draft = file.with_suffix(".new")
    with draft.open("w", encoding="ascii") as out:
        out.write(str(before + 1))
        out.flush()
        os.fsync(out.fileno())
    draft.replace(file)
    return before + 1


def _connect(path: Path, synchronous: str) -> sqlite3.Connection:
    """A connection to a sound store of this schema; raises sqlite3.DatabaseError (`is_damage`) otherwise."""
    db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA synchronous = {synchronous}")
        db.execute("PRAGMA journal_size_limit = 4194304")
        db.execute("PRAGMA cache_size = -1000")
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
    if verdict == "ok" and tables != {_OUTBOX.encode(), _JOURNAL.encode()}:
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
    """Rename a damaged store with its WAL and SHM, for a person to look into; returns the new name."""
    with _locked(path.parent):
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
        The caller reports and clears it. In the new store `seq` begins at 1 again; ids go on increasing.

    Raises:
        StoreError: the path cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._given = 0
        self.set_aside: list[Path] = []
        if damage_mark(path).exists() and path.exists():
            self.set_aside.append(_set_aside(path))
        try:
            self._open()
        except sqlite3.DatabaseError:
            self.set_aside.append(_set_aside(path))
            self._open()

    def accept(self, events: Sequence[Event]) -> list[Event]:
        """Make events durable in one transaction; returns them with `id` and `seq` given.

        Once it has returned they survive kill −9 and power cut. `seq` is contiguous over all events.

        Raises:
            StoreError: disk full, or locked for more than 5 s; none of these events is stored.
        """
        try:
            if damage_mark(self._path).exists():
                self._begin_anew()
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
        self._db, self.start = open_database(self._path, "FULL")
        newest = "SELECT seq FROM (SELECT seq FROM outbox WHERE prio = ? ORDER BY id DESC LIMIT 1)"
        seqs = [row[0] for prio in CLASSES for row in self._db.execute(newest, (prio,))]
        seqs += [row[0] for row in self._db.execute("SELECT seq FROM journal ORDER BY id DESC LIMIT 1")]
        self._seq = max(seqs, default=0)
        self._given = 0

    def _may_only_be_read(self, fault: sqlite3.Error) -> bool:
        """Whether the file itself says so, in a byte that `quick_check` passes, and not a lack of rights."""
        refused = getattr(fault, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_READONLY
        return refused and os.access(self._path, os.W_OK)

    def _begin_anew(self) -> None:
        self._db.close()
        self.set_aside.append(_set_aside(self._path))
        self._open()

    def _insert(self, events: Sequence[Event]) -> list[Event]:
        stored = [
            msgspec.structs.replace(event, id=(self.start << 32) | (self._given + n), seq=self._seq + n)
            for n, event in enumerate(events, start=1)
        ]
        rows = [(PRIORITY[event.kind], event.id, event.seq, msgspec.json.encode(event)) for event in stored]
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("INSERT INTO outbox VALUES (?, ?, ?, ?)", rows)
        self._given += len(events)
        self._seq += len(events)
        return stored

    def _refusal(self, fault: sqlite3.Error) -> StoreError:
        return StoreError(
            f"{self._path}: the event was not stored: {fault}; expected room and a free lock within "
            f"{_BUSY_S:.0f} s; check the free space of state_dir"
        )
