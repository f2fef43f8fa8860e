"""Events for a store, and what stands in its file."""

import contextlib
import sqlite3
from pathlib import Path

from appliance.records import Event, EventKind


def event(kind: EventKind = EventKind.ALARM, message: str = "m", **more: object) -> Event:
    return Event(
        kind=kind,
        type=f"{kind.value}.raised",
        severity="alarm",
        message=message,
        at_mono_ns=1,
        at_utc_ns=1_772_446_281_002_000_000,
        time_quality="ntp",
        **more,  # type: ignore[arg-type]
    )


def rows_of(path: Path) -> list[tuple[int, int]]:
    """(class, seq) of what is on its way, in the order in which it leaves."""
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        return db.execute("SELECT prio, seq FROM outbox ORDER BY prio, id").fetchall()
