"""The event store under restarts, kill −9, damage and refusal."""

import contextlib
import errno
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from appliance import salvage
from appliance import store as store_module
from appliance.errors import StoreError
from appliance.records import Contribution, Event, EventKind
from appliance.store import PAGE_BYTES, Store, damage_mark
from appliance.uplink import outbox as outbox_module
from appliance.uplink.outbox import Outbox


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
from tests_event import event
store = Store(Path(sys.argv[1]))
while True:
    for e in store.accept([event(), event()]):
        print(e.id, e.seq, flush=True)
"""


def test_kill_9_of_the_author_loses_nothing_accepted(path, tmp_path):
    (tmp_path / "tests_event.py").write_text(Path(__file__).read_text(encoding="utf-8"), encoding="utf-8")
    root = Path(__file__).resolve().parent.parent
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}:{root}"}
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


def damage_header(path: Path) -> None:
    path.write_bytes(b"not a database at all" * 400)


def damage_middle(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096 * 2 :] = os.urandom(len(data) - 4096 * 2)
    path.write_bytes(data)


def damage_foreign(path: Path) -> None:
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE something(else_)")


@pytest.mark.parametrize("damage", [damage_header, damage_middle, damage_foreign])
def test_a_damaged_store_is_set_aside_and_never_blocks_an_event(path, damage):
    store = Store(path)
    before = store.accept([event() for _ in range(50)])
    store.close()
    damage(path)
    with pytest.raises(StoreError, match=r"events\.db: the outbox cannot be used"):
        Outbox(path)
    store = Store(path)
    assert len(store.set_aside) == 1
    assert store.set_aside[0].exists()
    after = store.accept([event()])[0]
    assert after.id > before[-1].id
    assert not damage_mark(path).exists()
    assert [row.key[1] for row in Outbox(path).pending({}, 10)] == [after.id]


def test_damage_found_by_the_drain_is_set_aside_at_the_next_event(path):
    store, outbox = Store(path), Outbox(path)
    old = store.accept([event()])[0]
    assert not outbox.replaced
    damage_mark(path).touch()
    new = store.accept([event()])[0]
    assert store.set_aside == [path.with_name("events.db.damaged-1")]
    assert new.id > old.id
    assert outbox.replaced
    assert [row.key[1] for row in Outbox(path).pending({}, 10)] == [old.id, new.id]
    assert (store.salvaged, new.seq) == (1, 2)
    assert [row.key[1] for row in Outbox(store.set_aside[0]).pending({}, 10)] == [old.id]


def test_damage_under_an_open_store_does_not_lose_the_event_at_hand(path):
    store = Store(path)
    store.accept([event() for _ in range(50)])
    store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store._db.execute("PRAGMA shrink_memory")
    damage_middle(path)
    new = store.accept([event()])[0]
    assert len(store.set_aside) == 1
    assert [row.key[1] for row in Outbox(path).pending({}, 10)] == [new.id]


def deleted(path):
    for file in path.parent.glob("events.db*"):
        file.unlink()


def deleted_and_begun_by_the_drain(path):
    deleted(path)
    Outbox(path).close()


def replaced_by_another(path):
    other = path.with_name("other.db")
    Store(other).close()
    other.replace(path)


def replaced_by_rubbish(path):
    path.with_name("copy").write_bytes(b"no database" * 1000)
    path.with_name("copy").replace(path)


def gone_with_its_folder(path):
    shutil.rmtree(path.parent)


@pytest.mark.parametrize(
    "act",
    [
        deleted,
        deleted_and_begun_by_the_drain,
        replaced_by_another,
        replaced_by_rubbish,
        gone_with_its_folder,
    ],
)
def test_a_store_that_is_deleted_or_replaced_while_in_use_loses_nothing(path, act):
    store, outbox = Store(path), Outbox(path)
    accepted = store.accept([event(), event(), event(EventKind.TRIP)])
    outbox.delivered([outbox.pending({}, 1)[0].key])
    act(path)
    assert outbox.replaced
    accepted += store.accept([event()])
    assert store.put_back
    after = Outbox(path)
    assert [row.key[1] for row in after.pending({}, 10)] == [
        e.id for e in accepted if e.kind is not EventKind.TRIP
    ]
    assert [row.key[1] for row in after.kept(1, 99, 0, 99)] == [accepted[2].id]
    assert [e.seq for e in accepted][:3] == [1, 2, 3]
    assert accepted[3].seq > 3
    outbox.close()
    store.close()
    assert Store(path).set_aside == []
    assert after.pending({}, 10)


def test_a_deleted_store_for_which_there_is_no_room_is_put_back_once_there_is(path, monkeypatch):
    store = Store(path)
    accepted = store.accept([event()])
    deleted(path)
    monkeypatch.setattr(Path, "replace", refusing)
    with pytest.raises(StoreError, match=r"not put back: .*no room; expected a folder"):
        store.accept([event()])
    monkeypatch.undo()
    accepted += store.accept([event()])
    assert [row.key[1] for row in Outbox(path).pending({}, 10)] == [e.id for e in accepted]


def refusing(*_: object) -> None:
    raise OSError(errno.ENOSPC, "no room")


def test_many_damaged_stores_do_not_fill_the_disk(path):
    store = Store(path)
    for _ in range(12):
        damage_mark(path).touch()
        store.accept([event()])
    assert len({p.name for p in store.set_aside}) == 9


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


def rows_of(path: Path) -> list[tuple[int, int]]:
    """(class, seq) of what is on its way, in the order in which it leaves."""
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        return db.execute("SELECT prio, seq FROM outbox ORDER BY prio, id").fetchall()


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


def fill(path: Path, rows: int) -> dict[int, int]:
    """Events of all kinds in the file itself, none in the WAL: id -> seq."""
    store = Store(path)
    kinds = list(EventKind)
    accepted = {e.id: e.seq for n in range(rows) for e in store.accept([event(kinds[n % 4], "x" * 100)])}
    store.close()
    return accepted


@pytest.mark.parametrize("seed", range(6))
def test_a_damaged_page_costs_no_more_than_the_rows_below_it(path, seed):
    """One page of the file overwritten: all rows that were elsewhere are in the new store."""
    accepted = fill(path, 800)
    pages = path.stat().st_size // PAGE_BYTES
    page = 5 + seed * (pages - 5) // 6  # the first hold the schema and the roots
    with path.open("r+b") as file:
        file.seek(page * PAGE_BYTES)
        file.write(os.urandom(PAGE_BYTES))
    store = Store(path)
    new = store.accept([event()])[0]
    assert len(store.set_aside) == 1
    left = {row.key[1] for row in Outbox(path).pending({}, 10**6)} - {new.id}
    assert left <= accepted.keys()
    assert store.salvaged == len(left) >= len(accepted) - (200 if seed == 3 else 15)  # 3: a page of the index
    assert new.seq == 1001  # a hole says that something may be missing
    assert new.id > max(left)


def test_a_file_cut_short_gives_back_what_is_before_the_cut(path):
    accepted = fill(path, 800)
    os.truncate(path, path.stat().st_size * 3 // 4)
    store = Store(path)
    assert store.accept([event()])[0].seq == 1001
    left = {row.key[1]: row.key[0] for row in Outbox(path).pending({}, 10**6)}
    assert store.salvaged == len(left) - 1 > 100  # the index lay behind the cut
    assert len(left.keys() & accepted.keys()) == store.salvaged


def test_a_torn_end_of_the_log_loses_nothing_that_was_accepted_before_it(path):
    """What a power cut leaves behind the last commit: half a frame, or rubbish."""
    store = Store(path)
    accepted = [e.seq for _ in range(20) for e in store.accept([event()])]
    wal = path.with_name("events.db-wal")
    copied = wal.read_bytes()
    for tail in (os.urandom(PAGE_BYTES + 24), copied[32 : 32 + 2000], b"\0" * 9000):
        copy = path.parent / "copy" / "events.db"
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(path.read_bytes())
        copy.with_name("events.db-wal").write_bytes(copied + tail)
        again = Store(copy)
        assert again.set_aside == []
        assert [seq for _, seq in rows_of(copy)] == accepted
        again.close()


def test_a_damaged_row_that_claims_to_be_text_costs_only_itself(path):
    store = Store(path)
    store.accept([event() for _ in range(10)])
    store._db.execute("UPDATE outbox SET payload = CAST(x'ff7b22' AS TEXT) WHERE seq = 5")
    damage_mark(path).touch()
    store.accept([event()])
    assert [seq for _, seq in rows_of(path)] == [1, 2, 3, 4, 6, 7, 8, 9, 10, 11]


def test_salvage_ends_in_time_and_the_event_at_hand_is_stored(path, monkeypatch):
    """A guard that is held up for too long drops the relay."""
    fill(path, 20)
    monkeypatch.setattr(salvage, "_LONGEST_S", 0.0)
    damage_mark(path).touch()
    store = Store(path)
    store.accept([event()])
    assert store.salvaged == 0
    assert len(rows_of(path)) == 1


def test_a_salvage_that_finds_no_room_says_so_and_keeps_the_file(path, monkeypatch):
    store = Store(path)
    store.accept([event() for _ in range(10)])
    real = salvage.salvage

    def ends_on_a_full_disk(*about):
        yield from real(*about)
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(salvage, "salvage", ends_on_a_full_disk)
    damage_mark(path).touch()
    store.accept([event()])
    assert store.salvaged == 0
    assert [seq for _, seq in rows_of(path)] == [11]
    assert len(rows_of(store.set_aside[0])) == 10


def test_a_store_that_could_not_be_begun_anew_is_once_there_is_room(path, monkeypatch):
    store = Store(path)
    store.accept([event() for _ in range(10)])

    def full(*_):
        raise StoreError("no room")

    damage_mark(path).touch()
    with monkeypatch.context() as patch:
        patch.setattr(store_module, "open_database", full)
        for _ in range(2):
            with pytest.raises(StoreError, match="no room"):
                store.accept([event()])
    assert store.accept([event()])[0].seq == 11
    assert (len(store.set_aside), store.salvaged) == (1, 10)
    assert len(rows_of(path)) == 11
