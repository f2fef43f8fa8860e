"""Latch and events on disk: apart from each other, in order, and never in the way of who hands them over."""

import contextlib
import errno
import os
import sqlite3
import threading
import time
from collections.abc import Iterator

import msgspec
import pytest

from appliance import disk
from appliance.daemon import Daemon
from appliance.guard import durable
from appliance.guard import latch as latches
from appliance.guard.audit import verify
from appliance.guard.durable import Durable
from appliance.guard.journal import Journal, files
from appliance.guard.latch import Latch
from appliance.records import Event, EventKind


def event(message="m", kind=EventKind.ALARM):
    return Event(kind, "alarm.raised", "alarm", message, 1, time.time_ns(), "ntp")


def eventually(condition, within_s=5.0):
    end_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end_s, "did not happen in time"
        time.sleep(0.01)


class Kept:
    """A durable in a folder, with what it told."""

    def __init__(self, folder):
        self.folder = folder
        self.store, self.latch = folder / "events.db", folder / "latch.json"
        self.notes: list[tuple[EventKind, str, str, str]] = []
        self.stored: list[Event] = []
        self.journal = Journal(folder / "journal", "c" * 64)
        self.durable = Durable(
            self.store, self.journal, self.latch, lambda *note: self.notes.append(note), self.stored.append
        )
        self.daemon = Daemon("test")

    def messages(self):
        with contextlib.closing(sqlite3.connect(self.store)) as db:
            return [
                msgspec.json.decode(row[0])["message"]
                for row in db.execute("SELECT payload FROM outbox ORDER BY id")
            ]

    def logged(self):
        lines = (line for path in files(self.folder / "journal") for line in path.read_bytes().splitlines())
        return [msgspec.json.decode(line)["event"]["message"] for line in lines]


@pytest.fixture
def kept(tmp_path) -> Iterator[Kept]:
    one = Kept(tmp_path)
    yield one
    one.daemon.stop.set()
    for worker in one.daemon._workers:
        worker.join(8)
        assert worker.fault is None


def test_events_are_told_only_when_durable_and_in_order(kept):
    kept.durable.start(kept.daemon)
    for k in range(50):
        kept.durable.take(event(str(k)))
    eventually(lambda: len(kept.stored) == 50)
    assert [one.message for one in kept.stored] == kept.messages() == [str(k) for k in range(50)]
    assert [one.seq for one in kept.stored] == list(range(1, 51))
    assert kept.durable.accepted == 50
    assert kept.notes == []


def test_the_latch_does_not_wait_for_the_store(kept):
    """Another program holds the store; a restart must know of the trip all the same."""
    kept.durable.start(kept.daemon)
    with contextlib.closing(sqlite3.connect(kept.store, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        kept.durable.take(event("waits"))
        time.sleep(0.3)
        began_s = time.monotonic()
        kept.durable.take(Latch(tripped=True, channels=("de.peak",)))
        assert time.monotonic() - began_s < 0.05
        eventually(lambda: latches.read(kept.latch)[0].tripped, 2.0)
        assert kept.stored == []
    eventually(lambda: kept.messages() == ["waits"], 8.0)


def test_what_the_memory_cannot_hold_is_lost_and_told_but_no_latch(tmp_path, monkeypatch):
    monkeypatch.setattr(durable, "_MOST_WAITING", 5)
    kept = Kept(tmp_path)
    for k in range(9):
        kept.durable.take(event(str(k)))
    kept.durable.take(Latch(tripped=True))
    kept.durable.start(kept.daemon)
    eventually(lambda: latches.read(kept.latch)[0].tripped)
    eventually(lambda: kept.notes)
    assert kept.messages() == ["0", "1", "2", "3", "4"]
    assert [(note[1], note[2].split()[0]) for note in kept.notes] == [("events.lost", "4")]
    kept.daemon.stop.set()


def test_a_latch_that_cannot_be_written_is_told_once_and_tried_again(kept):
    disk.draft_of(kept.latch).mkdir()  # where the draft of the latch has to go
    kept.durable.start(kept.daemon)
    kept.durable.take(Latch(tripped=True))
    time.sleep(1.2)
    assert [(note[1], note[3]) for note in kept.notes] == [("latch.unwritten", "critical")]
    assert not kept.latch.exists()
    disk.draft_of(kept.latch).rmdir()
    eventually(lambda: latches.read(kept.latch) == (Latch(tripped=True), ""))


def test_the_newest_latch_wins(kept):
    disk.draft_of(kept.latch).mkdir()
    kept.durable.start(kept.daemon)
    for latch in (Latch(tripped=True), Latch(), Latch(tripped=True, channels=("b",)), Latch()):
        kept.durable.take(latch)
    time.sleep(0.3)
    disk.draft_of(kept.latch).rmdir()
    kept.durable.take(Latch(tripped=True, channels=("last",)))
    eventually(lambda: latches.read(kept.latch)[0].channels == ("last",))
    time.sleep(0.7)
    assert latches.read(kept.latch)[0].channels == ("last",)


def test_a_damaged_store_is_told(kept):
    kept.durable.start(kept.daemon)
    kept.durable.take(event("before"))
    eventually(lambda: kept.stored)
    kept.store.with_name("events.db.damaged").touch()  # as the uplink does
    kept.durable.take(event("after"))
    eventually(lambda: kept.notes)
    assert kept.notes[0][1] == "store.damaged"
    assert "begun anew with 1 events" in kept.notes[0][2]
    assert "events.db.damaged-1" in kept.notes[0][2]
    assert kept.messages() == ["before", "after"]


def test_evictions_are_told_once_with_their_number(kept, monkeypatch):
    kept.durable._store._most_bytes = 100_000
    kept.durable.start(kept.daemon)
    for n in range(3000):
        kept.durable.take(event(f"{n:0100}"))
        if n % 100 == 0:
            eventually(lambda n=n: kept.durable.accepted > n)
    eventually(lambda: kept.durable.accepted == 3000)
    told = [note for note in kept.notes if note[1] == "buffer.evicted"]
    assert len(told) == 1
    assert "events evicted so far" in told[0][2]
    monkeypatch.setattr(durable, "_TELL_EVICTIONS_S", 0.0)
    kept.durable.take(event())
    eventually(lambda: len([note for note in kept.notes if note[1] == "buffer.evicted"]) == 2)
    left = len(kept.messages())
    assert f"{3001 - left} events evicted" in kept.notes[-1][2]


@pytest.fixture
def full_disk(monkeypatch):
    """Takes nothing that the event log writes until it is cleared."""
    full = threading.Event()
    full.set()
    real = os.pwrite

    def write(file, data, offset):
        if full.is_set():
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(file, data, offset)

    monkeypatch.setattr(os, "pwrite", write)
    return full


def test_the_log_holds_what_belongs_there_before_it_is_told(kept):
    kept.durable.start(kept.daemon)
    for k in range(20):
        kept.durable.take(event(str(k)))
        eventually(lambda k=k: len(kept.stored) == k + 1)
        assert kept.logged() == [str(n) for n in range(k + 1)]
    kept.durable.take(event("chatter", EventKind.HEALTH))
    eventually(lambda: len(kept.stored) == 21)
    assert len(kept.logged()) == kept.durable.head.seq == 20


def test_events_wait_for_a_full_log_and_the_plant_hears_them_all_the_same(kept, full_disk):
    kept.durable.start(kept.daemon)
    for k in range(250):
        kept.durable.take(event(str(k)))
    eventually(lambda: kept.stored and kept.notes)
    time.sleep(1.2)
    assert [(note[1], note[3]) for note in kept.notes] == [("journal.unwritten", "critical")]
    assert kept.logged() == []
    full_disk.clear()
    kept.durable.take(event("after"))
    eventually(lambda: len(kept.logged()) == 251)
    eventually(lambda: len(kept.messages()) == 251)
    assert kept.logged() == [*(str(k) for k in range(250)), "after"] == kept.messages()
    assert verify(kept.folder / "journal", kept.durable.head).breaks == ()


def test_what_waits_for_too_long_for_the_log_is_counted_and_told(tmp_path, monkeypatch, full_disk):
    monkeypatch.setattr(durable, "_MOST_WAITING", 5)
    kept = Kept(tmp_path)
    kept.durable.start(kept.daemon)
    for k in range(9):
        kept.durable.take(event(str(k)))
        eventually(lambda k=k: len(kept.stored) == k + 1, 8.0)
    full_disk.clear()
    eventually(lambda: len(kept.notes) == 2)
    assert [(note[1], note[2].split()[0]) for note in kept.notes][1] == ("journal.incomplete", "4")
    assert kept.logged() == ["0", "1", "2", "3", "4"]
    kept.daemon.stop.set()


def test_a_log_mended_at_the_start_is_told(tmp_path):
    begun = Kept(tmp_path)
    begun.journal.append([event("a")])
    begun.durable.close()
    log = tmp_path / "journal" / "000001.jsonl"
    log.write_bytes(log.read_bytes() + b'{"half')
    kept = Kept(tmp_path)
    kept.durable.start(kept.daemon)
    eventually(lambda: kept.notes)
    assert [(note[1], note[3]) for note in kept.notes] == [("journal.damaged", "critical")]
    kept.daemon.stop.set()


def test_the_end_writes_what_is_still_waiting(kept):
    kept.durable.start(kept.daemon)
    kept.daemon.stop.set()
    for worker in kept.daemon._workers:
        worker.join(5)
    kept.durable.take(event("very late"))
    kept.durable.close()
    assert kept.messages() == ["very late"]


def test_the_end_does_not_wait_for_a_store_that_does_not_answer(kept):
    kept.durable.start(kept.daemon)
    with contextlib.closing(sqlite3.connect(kept.store, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        kept.durable.take(event("waits"))
        time.sleep(0.4)
        kept.daemon.stop.set()
        began_s = time.monotonic()
        kept.durable.close()
        assert time.monotonic() - began_s < 0.5
