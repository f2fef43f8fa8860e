"""Telemetry on disk: bounded, counted, and never in anybody's way."""

import os
import sqlite3
from pathlib import Path

import pytest

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
    history.give_way(0)
    before, size = history.samples, path.stat().st_size
    history.give_way(size // 2)
    assert path.stat().st_size < size * 0.6
    assert history.samples + history.evicted == before == 6000
    assert history.samples > 1000
    history.give_way(10 * MB)
    assert (history.samples, history.evicted) == (0, 6000)


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
    with sqlite3.connect(path) as db:
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
