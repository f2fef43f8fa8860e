"""Telemetry that could not be sent live, on disk until the broker is back: a file that the uplink owns.

Samples are kept in pieces of some sixty, compressed: a piece is written in one transaction, and evicted or
deleted as a whole. Losing the last minute in a power cut is accepted (synchronous=NORMAL); blocking an event
is not: whatever is wrong with this file, it is begun anew.
"""

import contextlib
import logging
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

log = logging.getLogger(__name__)

_APPLICATION_ID = 0x50444D32
_SCHEMA = f"""
BEGIN IMMEDIATE;
PRAGMA application_id = {_APPLICATION_ID};
CREATE TABLE piece(id INTEGER PRIMARY KEY, samples INTEGER NOT NULL, boot TEXT NOT NULL, lines BLOB NOT NULL);
CREATE TABLE tally(evicted INTEGER NOT NULL);
COMMIT;
"""
_ROOM = 0.98
_BUSY_S = 2.0


class Piece(NamedTuple):
    """Samples of one boot, as lines of JSON; id: of the first."""

    id: int
    boot: str
    lines: Sequence[bytes]


class History:
    """The pieces, oldest first.

    samples: how many are kept. evicted: how many were given up since the file was made, by whatever reason.
    """

    def __init__(self, path: Path, most_bytes: int) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self.samples = self.evicted = 0
        self._db: sqlite3.Connection | None = None
        try:
            self._open()
        except sqlite3.Error as fault:
            self._begin_anew(fault)

    def add(self, piece: Piece) -> None:
        """Keep a piece; where the bound is reached or the disk is full, the oldest go."""
        row = (piece.id, len(piece.lines), piece.boot, zlib.compress(b"\n".join(piece.lines)))
        try:
            with self._begun() as db:
                self._evict(db, self._most_bytes)
                db.execute("INSERT OR REPLACE INTO piece VALUES (?, ?, ?, ?)", row)
        except sqlite3.Error as fault:
            self._begin_anew(fault, more=len(piece.lines))
            return
        self.samples += len(piece.lines)

    def oldest(self) -> Piece | None:
        """The next to send; one that cannot be read is given up."""
        query = "SELECT id, boot, lines, samples FROM piece ORDER BY id LIMIT 1"
        try:
            while self._db and (row := self._db.execute(query).fetchone()):
                with contextlib.suppress(zlib.error, TypeError):
                    lines = zlib.decompress(row[2]).split(b"\n")
                    if len(lines) == row[3]:
                        return Piece(row[0], str(row[1]), lines)
                log.warning("%s: piece %d is damaged and given up", self._path, row[0])
                with self._begun() as db:
                    self._drop(db, row[0], row[3])
        except sqlite3.Error as fault:
            self._begin_anew(fault)
        return None

    def delete(self, piece: Piece) -> None:
        """It has been delivered."""
        try:
            if self._db and self._db.execute("DELETE FROM piece WHERE id = ?", (piece.id,)).rowcount:
                self.samples -= len(piece.lines)
        except sqlite3.Error as fault:
            self._begin_anew(fault)

    def give_way(self, needed_bytes: int) -> bool:
        """Shrink by so much: the disk is wanted for something more important. Unused pages go before samples.

        Returns whether there was something to give.
        """
        try:
            with self._begun() as db:
                before = _file_bytes(db)
                self._evict(db, max(0, before - needed_bytes))
            db.executescript("PRAGMA incremental_vacuum")  # execute() would free one page
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            return _file_bytes(db) < before
        except sqlite3.Error as fault:
            self._begin_anew(fault)
            return True

    def close(self) -> None:
        """Close the file."""
        if self._db:
            self._db.close()

    @contextlib.contextmanager
    def _begun(self) -> Iterator[sqlite3.Connection]:
        """A transaction; opens the file again where there was no room for it the last time."""
        if self._db is None:
            self._open()
        assert self._db
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db

    def _open(self) -> None:
        db = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("PRAGMA journal_size_limit = 1048576")
            db.execute("PRAGMA cache_size = -500")
            db.execute("PRAGMA secure_delete = OFF")
            if db.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION_ID:
                db.executescript(_SCHEMA)
                db.execute("INSERT INTO tally VALUES (?)", (self.evicted,))
            self.samples = db.execute("SELECT coalesce(sum(samples), 0) FROM piece").fetchone()[0]
            self.evicted = db.execute("SELECT evicted FROM tally").fetchone()[0]
        except BaseException:
            db.close()
            raise
        self._db = db

    def _evict(self, db: sqlite3.Connection, most_bytes: int) -> None:
        """Delete the oldest pieces until `most_bytes` are used at most."""
        enough = most_bytes if _used_bytes(db) <= most_bytes else most_bytes * _ROOM
        while _used_bytes(db) > enough:
            row = db.execute("SELECT id, samples FROM piece ORDER BY id LIMIT 1").fetchone()
            if row is None:
                return
            self._drop(db, *row)

    def _drop(self, db: sqlite3.Connection, id_: int, samples: int) -> None:
        db.execute("DELETE FROM piece WHERE id = ?", (id_,))
        db.execute("UPDATE tally SET evicted = evicted + ?", (samples,))
        self.samples -= samples
        self.evicted += samples

    def _begin_anew(self, fault: sqlite3.Error, more: int = 0) -> None:
        """Damaged, or the disk is full: without the file there is room, and nothing waits for it."""
        log.warning("%s: %s; begun anew, %d samples are given up", self._path, fault, self.samples + more)
        self.evicted += self.samples + more
        self.samples = 0
        self.close()
        self._db = None
        full = getattr(fault, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
        for part in ("", "-wal", "-shm"):
            file = self._path.with_name(self._path.name + part)
            with contextlib.suppress(OSError):
                if full or part:
                    file.unlink()
                else:
                    file.replace(file.with_name(f"{file.name}.damaged"))
        with contextlib.suppress(sqlite3.Error):
            self._open()


def _file_bytes(db: sqlite3.Connection) -> int:
    pages, size = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
    return int(pages * size)


def _used_bytes(db: sqlite3.Connection) -> int:
    pages, free, size = (
        db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)
