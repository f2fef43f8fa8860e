"""Telemetry on disk: bounded, counted, and never in anybody's way."""

import contextlib
import os
import sqlite3
import time
from pathlib import Path

import pytest
from guard_end import STATE, Guard, score
from running import config, eventually, running

from appliance.plant_formats import Sparkplug
from appliance.uplink.history import History, Piece

MB = 1_000_000


def piece(n: int, samples: int = 60) -> Piece:
    """Sample ids from n * 1000; each line as long as a real one, and as hard to compress as random digits."""
    return Piece(
        n * 1000, "boot", [f"{n * 1000 + i}:{os.urandom(60).hex()}".encode() for i in range(samples)]
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


def test_pieces_come_back_whole_and_in_order_over_restarts(path):
    pieces = [piece(n) for n in range(3)]
    history = History(path, MB)
    for one in pieces:
        history.add(one)
    history.close()
    history = History(path, MB)
    assert history.samples == 180
    for one in pieces:
        assert history.oldest() == one
        history.delete(one)
    assert (history.oldest(), history.samples, history.evicted) == (None, 0, 0)


def test_the_bound_holds_and_what_goes_is_the_oldest_and_counted(path):
    history = History(path, 300_000)
    for n in range(100):
        history.add(piece(n))
    assert history.samples + history.evicted == 6000
    assert 0 < history.samples < 4000
    assert history.oldest().id == history.evicted // 60 * 1000
    assert path.stat().st_size < 350_000
    evicted = history.evicted
    history.close()
    assert History(path, 300_000).evicted == evicted


def test_it_gives_way_by_as_much_as_is_needed(path):
    history = History(path, 10 * MB)
    for n in range(100):
        history.add(piece(n))
    assert not history.give_way(0)
    before, size = history.samples, path.stat().st_size
    assert history.give_way(size // 2)
    assert path.stat().st_size < size * 0.6
    assert history.samples + history.evicted == before == 6000
    assert history.samples > 1000
    assert history.give_way(10 * MB)
    assert (history.samples, history.evicted) == (0, 6000)
    assert not history.give_way(10 * MB)


def test_room_of_what_was_delivered_is_given_before_any_sample(path):
    history = History(path, 10 * MB)
    for n in range(100):
        history.add(piece(n))
    for n in range(90):
        history.delete(piece(n))
    history.close()
    history = History(path, 10 * MB)
    size = path.stat().st_size
    assert history.give_way(size // 2)
    assert path.stat().st_size < size * 0.6
    assert (history.samples, history.evicted) == (600, 0)


@pytest.mark.parametrize("damage", ["rubbish", "cut", "page"])
def test_a_damaged_file_is_set_aside_and_the_next_piece_is_kept(path, damage):
    history = History(path, 10 * MB)
    for n in range(50):
        history.add(piece(n))
    history.close()
    content = path.read_bytes()
    if damage == "rubbish":
        path.write_bytes(b"no database" * 100)
    elif damage == "cut":
        os.truncate(path, len(content) // 2)
    else:
        path.write_bytes(content[:8192] + os.urandom(4096 * 8) + content[8192 + 4096 * 8 :])
    history = History(path, 10 * MB)
    new = piece(99)
    found = []
    history.add(new)
    while one := history.oldest():
        found.append(one.id)
        history.delete(one)
    history.add(new)
    assert history.oldest() == new
    assert found == sorted(set(found))


def test_a_damaged_piece_is_given_up_and_the_others_are_not(path):
    history = History(path, 10 * MB)
    for n in range(3):
        history.add(piece(n))
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE piece SET lines = ? WHERE id = 0", (b"\x00" * 100,))
    assert history.oldest().id == 1000
    assert (history.samples, history.evicted) == (120, 60)


def test_a_full_disk_costs_history_alone_and_every_sample_is_counted(path):
    history = History(path, 10 * MB)
    for n in range(10):
        history.add(piece(n))
    history._db.execute("PRAGMA max_page_count = 1")  # SQLite says the same as with a full disk
    for n in range(10, 40):
        history.add(piece(n))
    assert history.samples + history.evicted == 2400
    assert history.evicted >= 600
    assert history.oldest().id % 1000 == 0


def test_where_the_disk_runs_full_sparkplugs_samples_give_way_after_the_history(tmp_path, monkeypatch):
    free_mb = 1e6
    monkeypatch.setattr("appliance.uplink.process._DISK_S", 0.1)
    monkeypatch.setattr("appliance.uplink.process.disk_free_mb", lambda _: free_mb)
    way = config(tmp_path, 1, sparkplug=Sparkplug(enabled=True))
    files = way.history_path, tmp_path / "sparkplug.db"
    for file in files:
        history = History(file, 10 * MB)
        for n in range(20):
            history.add(piece(n))
        history.close()

    def kept() -> list[int]:
        found = []
        for file in files:
            with contextlib.closing(sqlite3.connect(file)) as db:
                found += db.execute("SELECT count(*) FROM piece").fetchone()
        return found

    with running(way):
        guard = Guard(tmp_path)
        guard.link.send(STATE)
        guard.link.send(score(1))  # it waits in memory, where it takes no disk
        time.sleep(0.3)
        assert kept() == [20, 20]
        free_mb = 0.0
        eventually(lambda: kept() == [0, 0])
        guard.close()
