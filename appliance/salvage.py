"""Reads what can still be read out of a damaged event store.

A broken page ends a walk through a table. So each range of ids is walked from below and from above, and what
lies between the two breaks is halved and walked again.
"""

import contextlib
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from appliance.priority import CLASSES, PRIORITY
from appliance.records import LARGEST_ID, Event

_LONGEST_S = 5.0
_MOST_TRIES = 400
_MOST_STARTS = 8
_MOST_IDS = 1 << 17
"""Of one start; where a walk from the end of a table fails, ids beyond are not looked for."""
_HEADER_BYTES = 100
_MOST_COPIED_BYTES = 1 << 30

Row = tuple[int, int, bytes]
"""(id, seq, payload)"""


class Found(NamedTuple):
    """One event. prio: its class where it was still on its way; None: it was in the journal."""

    prio: int | None
    id: int
    seq: int
    payload: bytes


def salvage(path: Path, newest_start: int) -> Iterator[Found]:
    """Every event that is whole, each once; for 5 s at most, the most important first.

    newest_start: no id in it has a larger start counter. The file is not changed. Nothing comes out of one
    that is no database of ours. A broken page of rows costs those rows, a broken page of the index above them
    what is below it.
    """
    end_s = time.monotonic() + _LONGEST_S
    decode = msgspec.json.Decoder(Event).decode
    with _readable(path) as db:
        for prio in (*CLASSES, None) if _has_our_tables(db) else ():
            for id_, seq, payload in _walk(db, prio, newest_start, end_s):
                if time.monotonic() > end_s:
                    return
                try:
                    event = decode(payload)
                except (msgspec.DecodeError, UnicodeDecodeError, TypeError):
                    continue
                if (event.id, event.seq) == (id_, seq) and prio in (None, PRIORITY[event.kind]):
                    yield Found(prio, id_, seq, payload)


def _has_our_tables(db: sqlite3.Connection) -> bool:
    """Where the schema cannot be read, nothing can."""
    try:
        for source in ("outbox", "journal"):
            db.execute(f"SELECT id, seq, payload FROM {source} LIMIT 0")  # noqa: S608
    except (sqlite3.Error, UnicodeDecodeError):
        return False
    return True


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[sqlite3.Connection]:
    """The file as SQLite will read it: one that is cut short as a copy, which is filled up with zeros."""
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES).ljust(_HEADER_BYTES, b"\0")
    whole_bytes = int.from_bytes(header[16:18], "big") * int.from_bytes(header[28:32], "big")
    copy = path.with_name(f"{path.name}.copy")
    source = path
    try:
        if path.stat().st_size < whole_bytes <= _MOST_COPIED_BYTES:
            source = copy
            shutil.copyfile(path, copy)
            os.truncate(copy, whole_bytes)
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(f"{path}-wal", f"{copy}-wal")
        with contextlib.closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True)) as db:
            db.text_factory = bytes  # a damaged column may claim to be text and not be
            yield db
    finally:
        for name in (copy.name, f"{copy.name}-wal", f"{copy.name}-shm"):
            copy.with_name(name).unlink(missing_ok=True)


def _walk(db: sqlite3.Connection, prio: int | None, newest: int, end_s: float) -> Iterator[Row]:
    """The rows of one class, or of the journal: from both ends, then between, newest starts first."""
    ends = _Range(0, LARGEST_ID)
    yield from ends.read(db, prio)
    if ends.whole:
        return
    last = min(newest, ends.high >> 32)
    for start in range(last, max(ends.low >> 32, last - _MOST_STARTS) - 1, -1):
        first = start << 32
        ranges = [_Range(max(ends.low, first), min(ends.high, first + _MOST_IDS))]
        tries = 0
        while ranges and tries < _MOST_TRIES and time.monotonic() < end_s:
            tries += 1
            part = ranges.pop()
            yield from part.read(db, prio)
            ranges += [] if part.whole else part.halves()


class _Range:
    """Ids between the two; what has been read leaves it. whole: all of it has been."""

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high
        self.whole = high - low < 2

    def read(self, db: sqlite3.Connection, prio: int | None) -> Iterator[Row]:
        """What can be read from its ends."""
        for descending in (False, True):
            if self.whole:
                return
            for row in _rows(db, prio, (self.low, self.high), descending=descending):
                if row is None:
                    self.whole = True
                    return
                if descending:
                    self.high = row[0]
                else:
                    self.low = row[0]
                yield row

    def halves(self) -> list["_Range"]:
        """The upper one first, to be read last: small ids are more likely."""
        if self.high - self.low <= 2:
            return []
        middle = (self.low + self.high) // 2
        return [_Range(middle, self.high), _Range(self.low, middle + 1)]


def _rows(
    db: sqlite3.Connection, prio: int | None, between: tuple[int, int], *, descending: bool
) -> Iterator[Row | None]:
    """Rows up to the first that cannot be read; None comes last where there is none such."""
    source, values = ("journal", between) if prio is None else ("outbox", (prio, *between))
    known = "" if prio is None else "prio = ? AND"
    order = "DESC" if descending else "ASC"
    query = f"SELECT id, seq, payload FROM {source} WHERE {known} id > ? AND id < ? ORDER BY id {order}"  # noqa: S608
    last = between[descending]
    try:
        for id_, seq, payload in db.execute(query, values):
            if not isinstance(id_, int) or (id_ >= last if descending else id_ <= last):
                return
            last = id_
            yield id_, seq, payload
    except UnicodeDecodeError:
        return
    except sqlite3.Error as fault:
        if fault.sqlite_errorcode & 0xFF == sqlite3.SQLITE_CORRUPT:
            return  # elsewhere there may be more; any other fault is one of the whole file
    yield None
