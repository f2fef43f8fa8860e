"""The drain's side of the event store: what is on its way to the plant, and the journal of what went out."""

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from appliance.errors import StoreError
from appliance.priority import CLASSES
from appliance.records import LARGEST_ID, Event
from appliance.store import damage_mark, evicted, is_damage, newest_seq, open_database

JOURNAL_ROWS = 10_000

Key = tuple[int, int]
"""(class, id): the order in which events leave."""


class Row(NamedTuple):
    """One stored event. payload: JSON of `appliance.records.Event`."""

    key: Key
    payload: bytes


class Outbox:
    """Events that have not been delivered yet, in order of class, then id.

    start: this process's start counter.

    Raises:
        StoreError: the path cannot be written, or the file is damaged. In that case the guard has been asked
            to set it aside, and the caller tries again later.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._db, self.start = open_database(path, "NORMAL")
        except sqlite3.DatabaseError as fault:
            raise self._failure(fault) from fault
        self._inode = path.stat().st_ino
        self._version = -1
        self._rows: int = self._all("SELECT count(*) FROM outbox")[0][0]
        self._counted = self._counts()
        self._journal_rows: int = self._all("SELECT count(*) FROM journal")[0][0]

    @property
    def replaced(self) -> bool:
        """Whether the guard has begun a new file; this one must then be closed and opened again."""
        try:
            return self._path.stat().st_ino != self._inode
        except FileNotFoundError:
            return True

    @property
    def changed(self) -> bool:
        """Whether the guard has written since this was asked the last time."""
        version: int = self._all("PRAGMA data_version")[0][0]
        changed, self._version = version != self._version, version
        return changed

    def pending(
        self,
        after: Mapping[int, int],
        limit: int,
        *,
        last: int = LARGEST_ID,
        classes: Sequence[int] = CLASSES,
    ) -> list[Row]:
        """The next rows, at most `limit`: of each class those with an id above `after[class]`, to `last`."""
        query = "SELECT id, payload FROM outbox WHERE prio = ? AND id > ? AND id <= ? ORDER BY id LIMIT ?"
        rows: list[Row] = []
        for prio in classes:
            if len(rows) < limit:
                found = self._all(query, (prio, after.get(prio, 0), last, limit - len(rows)))
                rows += [Row((prio, id_), payload) for id_, payload in found]
        return rows

    def row(self, key: Key) -> Row | None:
        """One row that is still in the outbox."""
        found = self._all("SELECT payload FROM outbox WHERE prio = ? AND id = ?", key)
        return Row(key, found[0][0]) if found else None

    def newest_id(self) -> int:
        """The largest id in the outbox; 0 if it is empty."""
        query = "SELECT max(id) FROM outbox WHERE prio = ?"
        return max(self._all(query, (prio,))[0][0] or 0 for prio in CLASSES)

    def oldest(self) -> Row | None:
        """The row that waits longest."""
        rows = [row for prio in CLASSES for row in self._first(prio)]
        return min(rows, key=lambda row: row.key[1], default=None)

    def kept(self, from_seq: int, to_seq: int, after_id: int, limit: int) -> list[Row]:
        """Delivered events of this range that the journal still has, by id, those above `after_id`."""
        query = "SELECT id, payload FROM journal WHERE id > ? AND seq BETWEEN ? AND ? ORDER BY id LIMIT ?"
        found = self._all(query, (after_id, from_seq, to_seq, limit))
        return [Row((CLASSES[-1], id_), payload) for id_, payload in found]

    def count_kept(self, from_seq: int, to_seq: int) -> int:
        """How many `kept` has of this range."""
        query = "SELECT count(*) FROM journal WHERE seq BETWEEN ? AND ?"
        rows: int = self._all(query, (from_seq, to_seq))[0][0]
        return rows

    def evidence_of(self, id_: int) -> str:
        """What the event of this id calls its evidence; "" where there is none, or no such event."""
        rows = self._all("SELECT payload FROM journal WHERE id = ?", (id_,))
        for prio in CLASSES:
            rows += self._all("SELECT payload FROM outbox WHERE prio = ? AND id = ?", (prio, id_))
        try:
            return msgspec.json.decode(rows[0][0], type=Event).evidence if rows else ""
        except (msgspec.DecodeError, UnicodeDecodeError):
            return ""

    def delivered(self, keys: Sequence[Key]) -> bool:
        """Move rows to the journal, which keeps the latest 10 000. Losing this write costs a duplicate.

        Returns whether there was room on the disk for it; if not, try again later.
        """
        copy = "INSERT OR IGNORE INTO journal SELECT id, seq, payload FROM outbox WHERE prio = ? AND id = ?"
        trim = "DELETE FROM journal WHERE id IN (SELECT id FROM journal ORDER BY id LIMIT ?)"
        try:
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                copied = self._db.executemany(copy, keys).rowcount
                gone = self._db.executemany("DELETE FROM outbox WHERE prio = ? AND id = ?", keys).rowcount
                surplus = max(0, self._journal_rows + copied - JOURNAL_ROWS)
                trimmed = self._db.execute(trim, (surplus,)).rowcount if surplus else 0
        except sqlite3.DatabaseError as fault:
            if getattr(fault, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
                return False
            raise self._failure(fault) from fault
        self._journal_rows += copied - trimmed
        self._rows -= gone
        return True

    def backlog(self) -> int:
        """Rows in the outbox; counted once, for a scan of a large one takes too long."""
        before, self._counted = self._counted, self._counts()
        accepted, evicted_ = (now - then for now, then in zip(self._counted, before, strict=True))
        self._rows += accepted - evicted_
        return max(0, self._rows)

    def evicted(self) -> int:
        """Events that were never delivered because the store had reached its bound."""
        return self._counts()[1]

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _first(self, prio: int) -> list[Row]:
        query = "SELECT id, payload FROM outbox WHERE prio = ? ORDER BY id LIMIT 1"
        return [Row((prio, id_), payload) for id_, payload in self._all(query, (prio,))]

    def _counts(self) -> tuple[int, int]:
        """How many events were ever accepted, and how many evicted."""
        try:
            return newest_seq(self._db), evicted(self._db)
        except sqlite3.DatabaseError as fault:
            raise self._failure(fault) from fault

    def _all(self, query: str, values: Sequence[int] = ()) -> list[Any]:
        try:
            return self._db.execute(query, values).fetchall()
        except sqlite3.DatabaseError as fault:
            raise self._failure(fault) from fault

    def _failure(self, fault: sqlite3.Error) -> StoreError:
        if is_damage(fault):
            damage_mark(self._path).touch()
        return StoreError(
            f"{self._path}: the outbox cannot be used: {fault}; expected the guard's event store; "
            "a damaged one is set aside by the guard at its next event or start"
        )
