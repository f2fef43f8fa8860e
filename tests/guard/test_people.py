"""People and contacts at the guard as a real process: what they ask, what they turn, and every nonsense."""

import contextlib
import json
import math
import select
import socket
import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec
import pytest
from appliance_processes import Folder, eventually
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance import wire
from appliance.guard import latch as latches
from appliance.guard.latch import Latch
from appliance.records import Hello, MachineState
from appliance.requests import Acknowledge, Bypass, ProofTest, Reply, Request, Reset, Shelve

CONTACTS = """
[inputs]
bypass_key = { driver = "sim", file = "key" }
startup = { driver = "sim", file = "start-up" }
reset = { driver = "sim", file = "button" }
running = { driver = "sim", file = "running" }
[protection]
trip_multiply = 2.0
"""
YEAR_NS = 365 * 86_400 * 10**9


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    one = Folder(tmp_path)
    yield one
    one.close()


def guarded(folder: Folder, settings: str = "") -> None:
    """A guard that has begun to protect."""
    folder.config.write_text(folder.config.read_text() + settings)
    folder.start("guard")
    eventually(folder.energised, 15.0, "a closed relay")


def guarded_with_contacts(folder: Folder) -> None:
    """All contacts wired, and seen open."""
    guarded(folder, CONTACTS)
    eventually(lambda: folder.state().machine is MachineState.OFF, 3.0)


def events(folder: Folder, type_: str) -> list[dict[str, object]]:
    with contextlib.closing(sqlite3.connect(folder.folder / "state" / "events.db")) as db:
        rows = [json.loads(row[0]) for row in db.execute("SELECT payload FROM outbox ORDER BY id")]
    return [row for row in rows if row["type"] == type_]


def told(folder: Folder, type_: str, times: int = 1) -> dict[str, object]:
    """The latest event of a type, once it has been told so often."""
    eventually(lambda: len(events(folder, type_)) >= times, 5.0, type_)
    assert len(events(folder, type_)) == times
    return events(folder, type_)[-1]


def test_a_persons_bypass_acknowledgement_shelving_and_proof_test(folder):
    guarded(folder)
    done = folder.ask("bypass", "--who", "anna", "--why", "probe changed", "--for", "30m")
    assert (done.returncode, done.stdout) == (0, "done\n")
    begun = told(folder, "bypass.started")
    assert (begun["who"], begun["why"]) == ("anna", "probe changed")
    page = folder.ask("status").stdout
    assert "\nBYPASS   NO TRIP for 0 h 29 min " in page
    assert "more, by anna: probe changed" in page
    shown = json.loads(folder.ask("status", "--json").stdout)
    assert shown["bypass"]["who"] == "anna"
    assert folder.ask("bypass", "--who", "bob", "--why", "done", "--end").returncode == 0
    assert told(folder, "bypass.ended")["who"] == "bob"
    assert folder.state().bypass is None

    shelve = partial(folder.ask, "shelve", "--who", "anna")
    assert shelve("--why", "known", "--for", "2h", "de.rms").returncode == 0
    assert told(folder, "alarm.shelved")["channel"] == "de.rms"
    assert "SHELVED" in folder.ask("status").stdout
    assert shelve("--why", "repaired", "--end", "de.rms").returncode == 0
    assert folder.ask("acknowledge", "--who", "anna", "--comment", "seen", "de.rms").returncode == 0
    assert told(folder, "alarm.acknowledged")["why"] == "seen"

    edges = folder.relay.read_text()
    unsure = folder.ask("prooftest", "--who", "anna", "--why", "yearly", typed="y\n")
    assert (unsure.returncode, unsure.stdout) == (1, "nothing was asked of the guard\n")
    assert "the machine stops" in unsure.stderr
    assert folder.relay.read_text() == edges
    sure = folder.ask("prooftest", "--who", "anna", "--why", "yearly", typed="yes\n")
    assert (sure.returncode, sure.stdout) == (0, "proof test passed: the relay dropped\n")
    moved = [json.loads(line)["energised"] for line in folder.relay.read_text().splitlines()]
    assert moved[-2:] == [False, True]
    assert folder.energised()


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("bypass", "--who", "", "--why", "x", "--for", "1h"), "refused: who is empty"),
        (
            ("bypass", "--who", "anna", "--why", "x", "--for", "9h"),
            "refused: 32400 s; expected 0 (end it) to",
        ),
        (
            ("shelve", "--who", "anna", "--why", "x", "--for", "1h", "no.such"),
            "refused: no channel 'no.such'",
        ),
        (("acknowledge", "--who", "anna", "no.such"), "refused: no channel 'no.such'; one of de.peak"),
    ],
)
def test_what_is_refused_is_refused_in_words(one_guard, words, answer):
    done = one_guard.ask(*words)
    assert done.returncode == 1
    assert done.stdout.startswith(answer)
    assert done.stdout.count("\n") == 1


@pytest.fixture(scope="module")
def one_guard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folder]:
    """One guard for the tests that must leave it as it was."""
    one = Folder(tmp_path_factory.mktemp("one"))
    guarded(one)
    yield one
    one.close()


ODD = st.sampled_from([math.nan, math.inf, -math.inf, -1.0, 1e308, 28_800.5, 0.0])
TEXT = st.sampled_from(["", " ", "anna", "de.peak", "no.such", "\0", "\x1b[2J", "ä" * 20_000]) | st.text()
NONSENSE: st.SearchStrategy[Request] = st.one_of(
    st.builds(Reset, TEXT, TEXT),
    st.builds(Bypass, TEXT, TEXT, ODD),
    st.builds(Acknowledge, TEXT, TEXT, TEXT),
    st.builds(Shelve, TEXT, TEXT, TEXT, ODD),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(NONSENSE)
def test_nonsense_is_answered_in_words_and_moves_nothing(one_guard, request_):
    edges = one_guard.relay.read_text()
    reply = asked(one_guard, request_)
    sound = all(
        text.strip() or name == "comment"
        for name, text in msgspec.structs.asdict(request_).items()
        if isinstance(text, str)
    )
    assert isinstance(reply, Reply)
    assert reply.message.isprintable()
    assert len(reply.message) < 1000
    assert reply.ok or reply.message.startswith("refused: ")
    assert sound or not reply.ok
    assert not isinstance(request_, Bypass) or not reply.ok or request_.duration_s == 0.0
    assert one_guard.relay.read_text() == edges


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\xff" * 1000,
        msgspec.msgpack.encode({"type": "Bypass", "who": "anna", "why": "x", "duration_s": "long"}),
        msgspec.msgpack.encode({"type": "Bypass", "who": 1, "why": "x", "duration_s": 1.0}),
        msgspec.msgpack.encode({"type": "Reset", "who": "anna"}),
        msgspec.msgpack.encode({"type": "Energise"}),
        wire.encode(Reset("a" * 1_000_000, "b" * 1_000_000)),
        wire.encode(ProofTest("", "why")),
    ],
    ids=["empty", "noise", "a text for a time", "a number for a name", "half", "unknown", "2 MB", "no name"],
)
def test_a_packet_that_is_no_request_shows_its_sender_the_door_and_moves_nothing(one_guard, packet):
    edges = one_guard.relay.read_text()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20)
        sock.connect(str(one_guard.folder / "run" / "guard.sock"))
        sock.send(wire.encode(Hello("status")))
        with contextlib.suppress(BrokenPipeError):
            sock.send(packet)
        sock.settimeout(5.0)
        while heard := sock.recv(1 << 20):
            if isinstance(reply := msgspec.msgpack.decode(heard, type=wire.Message), Reply):
                assert reply == Reply(ok=False, message="refused: who is empty; expected it in words; say it")
                break
    assert one_guard.state().bypass is None
    assert one_guard.relay.read_text() == edges


def asked(folder: Folder, request: Request) -> Reply:
    link = folder.connect()
    try:
        link.send(request)
        while True:
            assert select.select([link], [], [], 5.0)[0], "no answer"
            if isinstance(message := link.receive(), Reply):
                return message
    finally:
        link.close()


def test_the_key_bypasses_while_it_is_turned(folder):
    guarded_with_contacts(folder)
    (folder.folder / "key").touch()
    begun = told(folder, "bypass.started")
    assert begun["who"] == "bypass key"
    assert folder.state().bypass.who == "bypass key"
    (folder.folder / "key").unlink()
    assert told(folder, "bypass.ended")["why"] == "key turned back"
    assert folder.state().bypass is None


def test_start_up_asks_for_multiply_and_running_says_what_the_machine_does(folder):
    guarded_with_contacts(folder)
    (folder.folder / "start-up").touch()
    eventually(lambda: folder.state().multiplying, 3.0, "multiply")
    assert "vibration setpoints are multiplied" in folder.ask("status").stdout
    (folder.folder / "running").touch()
    eventually(lambda: folder.state().machine is MachineState.RUNNING, 3.0)
    (folder.folder / "start-up").unlink()
    eventually(lambda: not folder.state().multiplying, 3.0, "the end of multiply")


def test_a_contact_that_cannot_be_read_bypasses_nothing_and_is_told_of_once(folder):
    guarded_with_contacts(folder)
    key, running = folder.folder / "key", folder.folder / "running"
    key.touch()
    running.touch()
    told(folder, "bypass.started")
    eventually(lambda: folder.state().machine is MachineState.RUNNING, 3.0)
    for contact in (key, running):
        contact.unlink()
        contact.symlink_to(contact)
    eventually(lambda: folder.state().machine is MachineState.UNKNOWN, 3.0)
    assert told(folder, "bypass.ended")
    assert told(folder, "contact.lost", 2)["severity"] == "warning"
    assert {str(event["message"]).split()[1] for event in events(folder, "contact.lost")} == {
        "bypass_key",
        "running",
    }
    for contact in (key, running):
        contact.unlink()
        contact.touch()
    told(folder, "contact.restored", 2)
    eventually(lambda: folder.state().machine is MachineState.RUNNING, 3.0)
    assert folder.state().bypass is None  # it must be turned anew
    assert folder.energised()


def test_the_button_resets(folder):
    (folder.folder / "state").mkdir()
    latches.write(folder.folder / "state" / "latch.json", Latch(tripped=True, proof_tested_utc_ns=1))
    folder.config.write_text(folder.config.read_text() + CONTACTS)
    folder.start("guard")
    eventually(lambda: folder.state().reasons == ("tripped: latched until reset",), 15.0, "a judged machine")
    page = folder.ask("status").stdout
    assert "\nbecause  tripped: latched until reset\n" in page
    (folder.folder / "button").touch()
    eventually(folder.energised, 3.0, "a closed relay")
    assert told(folder, "trip.reset")["who"] == "reset button"


def test_a_proof_test_that_is_due_is_told_of_at_the_start(folder):
    state = folder.folder / "state"
    state.mkdir()
    latches.write(state / "latch.json", Latch(proof_tested_utc_ns=1_700_000_000 * 10**9 - YEAR_NS))
    guarded(folder)
    due = told(folder, "proof_test.due")
    assert (due["kind"], due["severity"]) == ("health", "warning")
    assert "no proof test of the relay for 365 days; run `appliance prooftest`" in str(due["message"])
    assert "\ntest     proof test of the relay is due" in folder.ask("status").stdout
    assert folder.ask("prooftest", "--who", "a", "--why", "b", typed="yes\n").returncode == 0
    assert not folder.state().proof_test_due
    told(folder, "proof_test.due")


def test_the_time_to_the_first_proof_test_runs_from_the_first_boot(folder):
    guarded(folder)
    latch = folder.folder / "state" / "latch.json"
    eventually(latch.exists, 3.0)
    first = latches.read(latch)[0].proof_tested_utc_ns
    assert first > 1_700_000_000 * 10**9
    folder.started[0].kill()
    folder.started[0].wait()
    guarded(folder)
    assert latches.read(latch)[0].proof_tested_utc_ns == first
    assert not folder.state().proof_test_due
    assert events(folder, "proof_test.due") == []
