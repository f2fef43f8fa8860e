"""A store whose file is damaged, deleted or torn: what is saved of it, and that no event waits for it."""

import contextlib
import errno
import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from stored import event, rows_of

from appliance import salvage
from appliance import store as store_module
from appliance.errors import StoreError
from appliance.records import EventKind
from appliance.store import PAGE_BYTES, Store, damage_mark
from appliance.uplink.outbox import Outbox


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "events.db"


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
