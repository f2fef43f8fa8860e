"""The event store: ids, order, room, and what survives restarts, kill −9 and refusal."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from stored import event, rows_of

from appliance.errors import StoreError
from appliance.records import Contribution, Event, EventKind
from appliance.store import Store, damage_mark
from appliance.uplink import outbox as outbox_module
from appliance.uplink.outbox import Outbox


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "events.db"


def test_ids_increase_and_seq_is_contiguous_over_restarts(path):
    accepted = []
    for _ in range(3):
        store = Store(path)
        accepted += store.accept([event(), event(EventKind.TRIP)]) + store.accept([event(EventKind.AUDIT)])
        assert accepted[-1].id >> 32 == store.start
        store.close()
    assert [e.seq for e in accepted] == list(range(1, 10))
    ids = [e.id for e in accepted]
    assert ids == sorted(set(ids))
    assert ids[-1] < 2**53


def test_seq_goes_on_when_everything_has_left_the_outbox(path):
    store = Store(path)
    store.accept([event(), event(EventKind.TRIP)])
    store.close()
    outbox = Outbox(path)
    outbox.delivered([row.key for row in outbox.pending({}, 10)])
    assert outbox.backlog() == 0
    assert Store(path).accept([event()])[0].seq == 3


def test_the_stored_payload_is_the_whole_record(path):
    full = event(
        channel="de.rms",
        value=1.5,
        limit=1.0,
        unit="m/s2",
        top=(Contribution("f", "axis x", 0.5, 2.0),),
        model="a",
    )
    accepted = Store(path).accept([full])[0]
    row = Outbox(path).pending({}, 1)[0]
    assert msgspec.json.decode(row.payload, type=Event) == accepted
    assert row.key == (1, accepted.id)


def test_pending_is_in_order_of_class_then_id_and_a_trip_overtakes(path):
    store, outbox = Store(path), Outbox(path)
    order = [EventKind.AUDIT, EventKind.ALARM, EventKind.HEALTH, EventKind.TRIP, EventKind.ALARM]
    store.accept([event(kind) for kind in order])
    first = outbox.pending({}, 2)
    assert [row.key[0] for row in first] == [0, 1]
    cursor = {row.key[0]: row.key[1] for row in first}
    late = store.accept([event(EventKind.TRIP)])[0]
    rest = outbox.pending(cursor, 10)
    assert rest[0].key == (0, late.id)
    assert [row.key[0] for row in rest] == [0, 1, 2, 2]
    assert rest == sorted(rest)
    assert outbox.row(rest[1].key) == rest[1]
    assert outbox.row((0, 5)) is None


def test_the_journal_keeps_the_newest(path, monkeypatch):
    monkeypatch.setattr(outbox_module, "JOURNAL_ROWS", 7)
    store, outbox = Store(path), Outbox(path)
    ids = [e.id for e in store.accept([event() for _ in range(20)])]
    for key in [row.key for row in outbox.pending({}, 20)]:
        outbox.delivered([key])
    outbox.delivered([(1, ids[0])])
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        assert [row[0] for row in db.execute("SELECT id FROM journal ORDER BY id")] == ids[-7:]


WRITER = """
import sys
from pathlib import Path
from appliance.store import Store
from stored import event
store = Store(Path(sys.argv[1]))
while True:
    for e in store.accept([event(), event()]):
        print(e.id, e.seq, flush=True)
"""


def test_kill_9_of_the_author_loses_nothing_accepted(path):
    tests = Path(__file__).resolve().parent
    env = {**os.environ, "PYTHONPATH": f"{tests}:{tests.parent}"}
    accepted = []
    for n in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, env=env
        ) as writer:
            lines = [writer.stdout.readline() for _ in range(20 + 7 * n)]
            writer.send_signal(signal.SIGKILL)
            lines += [line for line in writer.stdout.read().splitlines(keepends=True) if line.endswith(b"\n")]
        accepted += [tuple(map(int, line.split())) for line in lines if len(line.split()) == 2]
    stored = {
        (row.key[1], msgspec.json.decode(row.payload, type=Event).seq)
        for row in Outbox(path).pending({}, 10**6)
    }
    assert set(accepted) <= stored
    assert sorted(seq for _, seq in stored) == list(range(1, len(stored) + 1))


def test_ids_go_on_when_store_and_counter_are_both_gone(path):
    store = Store(path)
    old = store.accept([event()])[0]
    start_file = path.with_name("events.db.start")
    assert int(start_file.read_text()) == store.start
    start_file.write_text("9" * 30)
    assert Store(path).start >= store.start
    assert old.id >> 32 > 40_000  # seeded from the wall clock, not from 1


def test_a_path_that_cannot_be_written_is_refused_with_what_to_do(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="check state_dir"):
        Store(tmp_path / "file" / "events.db")
    (tmp_path / "events.db").mkdir()
    with pytest.raises(StoreError, match="cannot be opened"):
        Store(tmp_path / "events.db")


def test_a_full_disk_is_refused_and_nothing_half_written(path):
    store = Store(path)
    store.accept([event()])
    store._db.execute("PRAGMA max_page_count = 6")
    with pytest.raises(StoreError, match="free space"):
        store.accept([event(message="x" * 200) for _ in range(500)])
    store._db.execute("PRAGMA max_page_count = 100000")
    assert store.accept([event()])[0].seq == 2
    assert Outbox(path).backlog() == 2


def test_a_full_store_evicts_the_oldest_of_the_least_important_and_counts_each(path):
    store = Store(path, most_bytes=300_000)
    kinds = [EventKind.HEALTH, EventKind.ALARM, EventKind.TRIP, EventKind.AUDIT]
    accepted: dict[int, int] = {}
    for n in range(600):
        for one in store.accept([event(kind, "x" * 100) for kind in kinds[: 3 + n % 2]]):
            accepted[one.seq] = {"trip": 0, "alarm": 1}.get(one.kind.value, 2)
    left = rows_of(path)
    assert store.evicted == len(accepted) - len(left) > 1000
    by_class = {prio: [seq for of, seq in left if of == prio] for prio in (0, 1, 2)}
    assert by_class[0] == [seq for seq, prio in accepted.items() if prio == 0]  # no trip is gone
    alarms = [seq for seq, prio in accepted.items() if prio == 1]
    assert 0 < len(by_class[1]) < len(alarms)
    assert by_class[1] == alarms[-len(by_class[1]) :]  # the newest are left
    assert len(by_class[2]) < 100  # those that came since room was made
    assert path.stat().st_size < 400_000
    store.close()
    again = Store(path)
    assert again.evicted == len(accepted) - len(left)
    assert again.accept([event()])[0].seq == len(accepted) + 1


def test_trips_are_evicted_only_when_nothing_else_is_left(path):
    store = Store(path, most_bytes=150_000)
    alarms = store.accept([event(message="x" * 100) for _ in range(50)])
    store.accept([event(EventKind.TRIP, "x" * 100) for _ in range(1000)])
    last = store.accept([event(EventKind.TRIP)])[0]
    gone = store.evicted
    damage_mark(path).touch()
    store.accept([event(EventKind.TRIP)])
    assert store.evicted >= gone  # damage does not make it forget
    last = store.accept([event(EventKind.TRIP)])[0]
    left = rows_of(path)
    assert {prio for prio, _ in left} == {0}
    assert left[-1] == (0, last.seq)
    assert store.evicted == len(alarms) + 1003 - len(left) > len(alarms)


def test_what_was_delivered_makes_room_before_anything_is_evicted(path):
    store, outbox = Store(path, most_bytes=300_000), Outbox(path)
    for _ in range(20):
        store.accept([event(message="x" * 100) for _ in range(100)])
        outbox.delivered([row.key for row in outbox.pending({}, 100)])
    assert store.evicted == 0
    assert store.accept([event()])[0].seq == 2001
