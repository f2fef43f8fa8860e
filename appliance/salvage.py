"""Reads what can still be read out of a damaged event store.

A broken page ends a walk through a table. So each range of ids is walked from below and from above, and what
lies between the two breaks is halved and walked again.
"""

import contextlib
import os
import shutil
import sqlite3
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from appliance.priority import CLASSES, PRIORITY
from appliance.records import Event

_LONGEST_S = 5.0
_MOST_TRIES = 500
_HEADER_BYTES = 100
_MOST_COPIED_BYTES = 1 << 30
_LARGEST_ID = 2**53

Row = tuple[int, int, bytes]
"""(id, seq, payload)"""


class Found(NamedTuple):
    """One event. prio: its class where it was still on its way; None: it was in the journal."""

    prio: int | None
    id: int
    seq: int
    payload: bytes


def salvage(path: Path) -> Iterator[Found]:
    """Every event that is whole, each once; for 5 s at most, the most important first.

    The file is not changed. Nothing comes out of one that is no database of ours. A broken page of rows costs
    those rows, a broken page of the index above them what is below it.
    """
    end_s = time.monotonic() + _LONGEST_S
    decode = msgspec.json.Decoder(Event).decode
    with _readable(path) as db:
        for prio in (*CLASSES, None):
            for id_, seq, payload in _walk(db, prio, end_s):
                try:
                    event = decode(payload)
                except (msgspec.DecodeError, UnicodeDecodeError, TypeError):
                    continue
                if (event.id, event.seq) == (id_, seq) and prio in (None, PRIORITY[event.kind]):
                    yield Found(prio, id_, seq, payload)


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
            yield db
    finally:
        for name in (copy.name, f"{copy.name}-wal", f"{copy.name}-shm"):
            copy.with_name(name).unlink(missing_ok=True)


def _walk(db: sqlite3.Connection, prio: int | None, end_s: float) -> Iterator[Row]:
    """The rows of one class, or of the journal, from both ends of ever smaller ranges of ids."""
    ranges = deque([(0, _LARGEST_ID)])
    tries = 0
    while ranges and tries < _MOST_TRIES and time.monotonic() < end_s:
        tries += 1
        low, high = ranges.popleft()
        for descending in (False, True):
            whole = False
            for row in _rows(db, prio, (low, high), descending=descending):
                whole = row is None
                if row is not None:
                    low, high = (low, row[0]) if descending else (row[0], high)
                    yield row
            if whole:
                break
        else:
            middle = (low + high) // 2
            ranges += [(low, middle + 1), (middle, high)] if high - low > 2 else []


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
    except (sqlite3.Error, UnicodeDecodeError):
        return
    yield None
