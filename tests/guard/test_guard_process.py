"""The guard as a real process on the simulated machine: start, trip, restart, end."""

import contextlib
import json
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from appliance_processes import Folder, NotifySocket, end, eventually, is_alive

from appliance.guard import latch as latches

COLD_START_S = 15.0
"""Ten times the budget: this machine may be busy."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    one = Folder(tmp_path)
    yield one
    one.close()


def energised(folder: Folder) -> None:
    eventually(folder.energised, COLD_START_S, "a closed relay")


def stored(folder: Folder) -> list[str]:
    with contextlib.closing(sqlite3.connect(folder.folder / "state" / "events.db")) as db:
        return [json.loads(row[0])["type"] for row in db.execute("SELECT payload FROM outbox ORDER BY id")]


def test_it_says_ready_when_it_protects_feeds_the_watchdog_and_drops_the_relay_at_the_end(folder, tmp_path):
    systemd = NotifySocket(tmp_path / "notify")
    guard = folder.start("guard", NOTIFY_SOCKET=str(systemd.path), WATCHDOG_USEC="1000000")
    energised(folder)
    eventually(lambda: systemd.count("READY=1"), 5.0, "READY=1")
    before = systemd.count("WATCHDOG=1")
    eventually(lambda: systemd.count("WATCHDOG=1") >= before + 5, 5.0, "the watchdog's food")
    assert not any("stalled" in message for _, message in systemd.said)
    status, took_s = end(guard)
    assert status == 0
    assert took_s < 5
    assert [message for _, message in systemd.said][-1] == "STOPPING=1"
    edges = [json.loads(line)["energised"] for line in folder.relay.read_text().splitlines()]
    assert edges == [True, False]  # dropped by itself, not only by its end
    assert not folder.energised()
    assert stored(folder) == ["boot", "relay.energised"]
    assert not (folder.folder / "run" / "guard.sock").exists()


def test_a_second_guard_on_the_same_machine_is_refused(folder):
    folder.start("guard")
    energised(folder)
    edges = folder.relay.read_text()
    second = folder.ask("guard")
    assert second.returncode == 1
    assert "another guard runs here" in second.stderr
    assert "Traceback" not in second.stderr
    assert folder.relay.read_text() == edges
    assert folder.ask("status").returncode == 0


def test_killed_it_drops_the_relay_at_once_and_protects_again_after_a_start(folder):
    guard = folder.start("guard")
    energised(folder)
    guard.kill()
    eventually(lambda: not folder.energised(), 0.5, "the drop")
    guard.wait()
    folder.start("guard")
    energised(folder)


def test_a_trip_survives_the_restart_and_needs_a_reset(folder):
    """Violent from 40 s of machine time on; the restarted guard finds a machine that runs quietly."""
    folder.write(fault=(40.0, 41.0))
    guard = folder.start("guard")
    energised(folder)
    eventually(lambda: not folder.energised(), 20.0, "the trip")
    assert guard.poll() is None
    latch = folder.folder / "state" / "latch.json"
    eventually(lambda: latches.read(latch)[0].tripped, 2.0, "the latch on disk")
    status = folder.ask("status")
    assert status.returncode == 2
    assert "TRIPPED" in status.stdout
    refusal = folder.ask("reset", "--who", "anna", "--why", "hope")
    assert refusal.returncode == 1
    assert "refused" in refusal.stdout
    assert not folder.energised()
    eventually(lambda: "trip.fired" in stored(folder), 3.0, "the stored trip")
    assert stored(folder).count("trip.fired") == 1
    guard.kill()
    guard.wait()
    folder.write()
    folder.start("guard")
    eventually(lambda: len([c for c in folder.state().channels if c.value is not None]) > 3, COLD_START_S)
    time.sleep(1.0)
    assert folder.state().tripped
    assert not folder.energised()
    accepted = folder.ask("reset", "--who", "anna", "--why", "bearing changed")
    assert accepted.returncode == 0, accepted.stdout + accepted.stderr
    assert folder.energised()
    eventually(lambda: not latches.read(latch)[0].tripped, 2.0, "the latch on disk")


def test_a_damaged_latch_is_a_trip_until_reset(folder):
    (folder.folder / "state").mkdir()
    (folder.folder / "state" / "latch.json").write_bytes(b"\0\0\0")
    guard = folder.start("guard")
    eventually(lambda: folder.state().clocks[0].blocks > 20, COLD_START_S)
    assert folder.state().tripped
    assert not folder.energised()
    assert (folder.folder / "state" / "latch.broken").read_bytes() == b"\0\0\0"
    eventually(lambda: "latch.unreadable" in stored(folder), 3.0)
    guard.kill()
    guard.wait()
    folder.start("guard")
    eventually(lambda: folder.state().clocks[0].blocks > 20, COLD_START_S)
    assert folder.state().tripped


def test_a_store_held_by_another_program_delays_neither_trip_nor_latch_nor_end(folder):
    folder.write(fault=(50.0, 51.0))
    guard = folder.start("guard")
    energised(folder)
    eventually(lambda: "relay.energised" in stored(folder), 5.0)
    with contextlib.closing(
        sqlite3.connect(folder.folder / "state" / "events.db", isolation_level=None)
    ) as other:
        other.execute("BEGIN EXCLUSIVE")
        eventually(lambda: not folder.energised(), 20.0, "the trip")
        eventually(lambda: latches.read(folder.folder / "state" / "latch.json")[0].tripped, 2.0, "the latch")
        assert folder.state().tripped
        status, took_s = end(guard)
        assert status == 0
        assert took_s < 5
    assert "trip.fired" not in stored(folder)  # it was locked out, and yet nothing waited for it


def test_events_wait_for_a_store_that_comes_back(folder):
    folder.write(fault=(50.0, 51.0))
    folder.start("guard")
    energised(folder)
    with contextlib.closing(
        sqlite3.connect(folder.folder / "state" / "events.db", isolation_level=None)
    ) as other:
        other.execute("BEGIN EXCLUSIVE")
        eventually(lambda: not folder.energised(), 20.0, "the trip")
        other.execute("ROLLBACK")
    eventually(lambda: "trip.fired" in stored(folder), 10.0, "the stored trip")


def test_a_state_folder_that_goes_away_does_not_stop_the_trip(folder):
    folder.write(fault=(40.0, 41.0))
    guard = folder.start("guard")
    energised(folder)
    state = folder.folder / "state"
    state.rename(folder.folder / "elsewhere")
    state.write_text("in the way")
    eventually(lambda: not folder.energised(), 20.0, "the trip")
    assert is_alive(guard.pid)
    assert folder.state().tripped
    status, took_s = end(guard)
    assert (status, took_s < 5) == (0, True)


def test_a_frozen_guard_starves_the_watchdog(folder, tmp_path):
    systemd = NotifySocket(tmp_path / "notify")
    guard = folder.start("guard", NOTIFY_SOCKET=str(systemd.path), WATCHDOG_USEC="400000")
    eventually(lambda: systemd.count("READY=1"), COLD_START_S)
    guard.send_signal(signal.SIGSTOP)
    time.sleep(0.2)
    said = len(systemd.said)
    time.sleep(0.6)
    assert len(systemd.said) == said
    guard.kill()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ('edges = "relay.jsonl"', "expected a file to append to"),
        ('run_dir = "run"', "set run_dir"),
    ],
)
def test_what_it_cannot_open_is_named_without_a_traceback(folder, settings, words):
    replaced = {
        'edges = "relay.jsonl"': 'edges = "."',
        'run_dir = "run"': f'run_dir = "{"r" * 120}"',
    }[settings]
    folder.config.write_text(folder.config.read_text().replace(settings, replaced))
    done = folder.ask("guard")
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr
