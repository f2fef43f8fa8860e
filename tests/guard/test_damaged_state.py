"""A bit turned over, or the end missing, anywhere in what the guard keeps: safe, told, kept, no crash."""

import contextlib
import hashlib
import itertools
import json
import os
import random
import shutil
import sqlite3
from pathlib import Path

import msgspec
import pytest
from appliance_processes import Folder, end, eventually
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mounted import BEGIN_NS, Guarded

from appliance.guard import latch as latches
from appliance.guard.audit import verify
from appliance.guard.channel import Channel, Setpoints
from appliance.guard.journal import Journal, files
from appliance.guard.latch import KeptBypass, Latch
from appliance.guard.rack import Rack, RackSpec, Tick
from appliance.guard.seal import seal
from appliance.guard.voting import TripGroup
from appliance.records import Event, EventKind, Level
from appliance.store import Store
from appliance.uplink.outbox import Outbox

SPEC = RackSpec(
    (Channel("de.peak", "m/s2", Setpoints(1.0, 2.0)),),
    (TripGroup("de.peak", 1, ("de.peak",)),),
    bypass_longest_ns=3_600_000_000_000,
    shelve_longest_ns=1_800_000_000_000,
)
FULL = Latch(
    tripped=False,
    channels=("de.peak",),
    groups=("de.peak",),
    latched={"de.peak": Level.ALERT},
    unacknowledged=("de.peak",),
    shelved_s={"de.peak": 100.0},
    bypass=KeptBypass("ann", "repair", 50.0),
    bypasses=7,
    proof_tested_utc_ns=1,
)


def event(message="m", kind=EventKind.ALARM):
    return Event(kind, "alarm.raised", "alarm", message, 1, 2, "ntp")


def resumed(latch: Latch) -> Rack:
    rack = Rack(SPEC, kept=latch)
    rack.step(BEGIN_NS, Tick())
    return rack


@pytest.fixture
def latch_file(tmp_path: Path) -> Path:
    path = tmp_path / "latch.json"
    latches.write(path, FULL)
    return path


def test_every_bit_of_the_latch_turned_over_is_a_trip_that_is_told(latch_file):
    whole = latch_file.read_bytes()
    with latch_file.open("r+b", buffering=0) as file:
        for at, bit in itertools.product(range(len(whole)), range(8)):
            os.pwrite(file.fileno(), bytes([whole[at] ^ 1 << bit]), at)
            latch, fault = latches.read(latch_file)
            assert latch == Latch(tripped=True), (at, bit)
            assert "tripped until reset" in fault
            os.pwrite(file.fileno(), whole[at : at + 1], at)
    assert latches.read(latch_file, lambda: 0) == (FULL, "")


def test_every_cut_of_the_latch_is_a_trip_that_is_told_and_kept(latch_file):
    whole = latch_file.read_bytes()
    for cut in reversed(range(len(whole))):
        os.truncate(latch_file, cut)
        latch, fault = latches.read(latch_file)
        assert latch == Latch(tripped=True)
        assert "tripped until reset" in fault
        assert latch_file.with_suffix(".broken").read_bytes() == whole[:cut]


@pytest.mark.parametrize("text", ["{}", '{"tripped":false}', '{"tripped":false,"sha256":""}'])
def test_a_latch_without_its_seal_is_a_trip(latch_file, text):
    latch_file.write_text(text)
    latch, fault = latches.read(latch_file)
    assert latch == Latch(tripped=True)
    assert "does not carry its own SHA-256" in fault


def test_a_latch_of_a_later_version_is_a_trip_and_says_why(latch_file):
    latch_file.write_bytes(seal(b'{"tripped":false,"sirens":3}'))
    latch, fault = latches.read(latch_file)
    assert latch == Latch(tripped=True)
    assert "unknown field `sirens`" in fault
    assert "expected a latch as this version writes it" in fault


@pytest.mark.parametrize(
    "text",
    [
        b'{"groups":["\xff\xfe"]}',
        b'{"saved_utc_ns":-1' + b"0" * 400 + b"}",
        b'{"bypasses":-1}',
        b'{"bypass":{"who":"a","why":"b","remaining_s":1e400}}',
        b'{"bypass":{"who":"a","why":"b","remaining_s":NaN}}',
        b'{"latched":{"de.peak":9}}',
        b'{"latched":' * 100_000,
        b"\xef\xbb\xbf{}",
    ],
)
def test_what_cannot_be_a_latch_is_a_trip(latch_file, text):
    latch_file.write_bytes(seal(text))
    latch, fault = latches.read(latch_file)
    assert latch == Latch(tripped=True)
    assert fault


@pytest.mark.parametrize("left_s", [1e300, 3601.0, 1e9])
def test_nothing_is_longer_than_may_be_asked_for(latch_file, left_s):
    held = msgspec.structs.replace(
        FULL, shelved_s={"de.peak": left_s}, bypass=KeptBypass("ann", "repair", left_s)
    )
    latches.write(latch_file, held)
    rack = resumed(latches.read(latch_file, lambda: 0)[0])
    assert rack.bypass().until_mono_ns == BEGIN_NS + SPEC.bypass_longest_ns
    assert rack.kept().shelved_s == {"de.peak": SPEC.shelve_longest_ns / 1e9}


@pytest.mark.parametrize("left_s", [0.0, -1.0, -1e300])
def test_what_has_no_time_left_does_not_come_back(latch_file, left_s):
    held = msgspec.structs.replace(
        FULL, shelved_s={"de.peak": left_s}, bypass=KeptBypass("ann", "repair", left_s)
    )
    latches.write(latch_file, held)
    rack = resumed(latches.read(latch_file, lambda: 0)[0])
    assert rack.bypass() is None
    assert rack.kept().shelved_s == {}


def test_names_that_are_not_in_the_configuration_do_no_harm_and_the_trip_stands(latch_file):
    strange = Latch(
        tripped=True,
        channels=("gone", "de.peak"),
        groups=("gone",),
        latched={"gone": Level.DANGER},
        unacknowledged=("gone",),
        shelved_s={"gone": 5.0},
    )
    latches.write(latch_file, strange)
    rack = resumed(latches.read(latch_file)[0])
    assert rack.tripped
    assert not rack.interlock.energise
    guarded = Guarded(strange)
    guarded.run(1.0)
    assert not guarded.energised
    assert guarded.protection.state().tripped


NUMBERS = st.floats() | st.integers(-(1 << 80), 1 << 80)
TEXTS = st.text(max_size=5) | st.just("de.peak")
ANYTHING = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=4,
)
BYPASSES = st.fixed_dictionaries({"who": TEXTS, "why": TEXTS, "remaining_s": NUMBERS})
LATCHES = st.fixed_dictionaries(
    {},
    optional={
        "tripped": st.booleans() | ANYTHING,
        "channels": st.lists(TEXTS, max_size=3) | ANYTHING,
        "groups": st.lists(TEXTS, max_size=3) | ANYTHING,
        "latched": st.dictionaries(TEXTS, st.integers(-1, 3), max_size=3) | ANYTHING,
        "unacknowledged": st.lists(TEXTS, max_size=3) | ANYTHING,
        "shelved_s": st.dictionaries(TEXTS, NUMBERS, max_size=3) | ANYTHING,
        "bypass": BYPASSES | ANYTHING,
        "bypasses": NUMBERS | ANYTHING,
        "saved_utc_ns": NUMBERS | ANYTHING,
    },
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=LATCHES)
def test_whatever_the_latch_says_the_rack_stands_and_nothing_lasts_too_long(tmp_path, content):
    path = tmp_path / "latch.json"
    path.write_text(json.dumps(content))
    latch, fault = latches.read(path)
    assert latch.tripped or not fault
    rack = resumed(latch)
    assert rack.tripped is latch.tripped
    if rack.bypass():
        assert rack.bypass().until_mono_ns <= BEGIN_NS + SPEC.bypass_longest_ns
    assert all(left_s <= SPEC.shelve_longest_ns / 1e9 for left_s in rack.kept().shelved_s.values())
    latches.write(path, rack.kept())
    assert latches.read(path)[1] == ""


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
def test_a_latch_of_any_bytes_is_a_trip(tmp_path, content):
    path = tmp_path / "latch.json"
    path.write_bytes(content)
    assert latches.read(path)[0].tripped


@pytest.fixture
def sound_store(tmp_path: Path) -> Path:
    path = tmp_path / "sound" / "events.db"
    store = Store(path)
    store.accept([event(str(n)) for n in range(30)])
    outbox = Outbox(path)
    outbox.delivered([row.key for row in outbox.pending({}, 5)])
    outbox.close()
    store.close()
    assert [one.name for one in path.parent.glob("events.db*")] == [
        one.name for one in path.parent.glob("events.db*") if one.suffix in (".db", ".start")
    ]
    return path


def stores_again(path: Path) -> None:
    """A start on this file takes an event and keeps it; what it found damaged it has kept and tells."""
    before = path.read_bytes()
    store = Store(path)
    (accepted,) = store.accept([event("after")])
    store.close()
    for aside in store.set_aside:
        assert aside.read_bytes()[4096:] == before[4096:]
    with contextlib.closing(sqlite3.connect(path)) as db:
        rows = db.execute("SELECT payload FROM outbox WHERE id = ?", (accepted.id,)).fetchall()
    assert [msgspec.json.decode(row[0], type=Event) for row in rows] == [accepted]


@pytest.mark.parametrize("seed", range(4))
def test_a_store_with_a_bit_turned_over_anywhere_takes_events(sound_store, tmp_path, seed):
    whole = sound_store.read_bytes()
    chance = random.Random(seed)
    # The header and the schema byte by byte, over the four seeds; the rows in steps.
    places = [*range(seed, 100, 4), *range(3700 + seed, 4096, 4), *range(seed, len(whole), 701)]
    for at in places:
        folder = tmp_path / "turned"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(sound_store.parent, folder)
        path = folder / "events.db"
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << chance.randrange(8)]) + whole[at + 1 :])
        stores_again(path)


def test_a_store_cut_short_anywhere_takes_events(sound_store, tmp_path):
    whole = sound_store.read_bytes()
    for cut in range(0, len(whole), 397):
        folder = tmp_path / "cut"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(sound_store.parent, folder)
        os.truncate(folder / "events.db", cut)
        stores_again(folder / "events.db")


@pytest.mark.parametrize("schema", [b"CREATE", b"TABLE", b"payload", b"BLOB"])
def test_a_store_whose_tables_are_not_ours_any_more_is_set_aside(sound_store, schema):
    """SQLite may quote it in its message, which Python then cannot decode."""
    whole = sound_store.read_bytes()
    sound_store.write_bytes(whole.replace(schema, schema[:-1] + b"\xc5"))
    store = Store(sound_store)
    assert [one.name for one in store.set_aside] == ["events.db.damaged-1"]
    store.close()


def test_a_store_that_may_only_be_read_by_its_header_is_set_aside(sound_store):
    with sound_store.open("r+b") as file:
        file.seek(18)
        file.write(b"\x22")
    store = Store(sound_store)
    store.accept([event()])
    assert [one.name for one in store.set_aside] == ["events.db.damaged-1"]
    store.close()


def test_a_log_with_a_bit_turned_over_anywhere_goes_on_and_keeps_what_was_there(tmp_path):
    folder = tmp_path / "journal"
    journal = Journal(folder, "c" * 64)
    journal.append([event(str(n)) for n in range(3)])
    journal.close()
    whole = files(folder)[0].read_bytes()
    for at in range(0, len(whole), 5):
        for path in folder.iterdir():
            path.unlink()
        turned = whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :]
        (folder / "000001.jsonl").write_bytes(turned)
        journal = Journal(folder, "c" * 64)
        assert len(journal.damage) == 1
        journal.append([event("after")])
        journal.close()
        kept = b"".join(path.read_bytes() for path in sorted(folder.iterdir()))
        assert (
            turned in kept
            or turned == (folder / "000001.jsonl").read_bytes()[: len(turned)]
            or (
                (folder / "000001.torn-0").read_bytes()
                == turned[-(folder / "000001.torn-0").stat().st_size :]
            )
        )
        assert verify(folder).head == journal.head
        assert [one.what for one in verify(folder).breaks] in ([], ["altered"])


@pytest.fixture
def folder(tmp_path: Path):
    one = Folder(tmp_path)
    yield one
    one.close()


def stored(folder: Folder) -> dict[str, str]:
    with contextlib.closing(sqlite3.connect(folder.folder / "state" / "events.db")) as db:
        rows = [json.loads(row[0]) for row in db.execute("SELECT payload FROM outbox ORDER BY id")]
    return {row["type"]: row["message"] for row in rows}


def logged(folder: Folder) -> dict[str, dict[str, str]]:
    lines = [json.loads(raw) for path in files(folder.folder / "state" / "journal") for raw in path.open()]
    return {line["event"]["type"]: line["event"] for line in lines}


def test_a_guard_whose_every_file_is_damaged_protects_tells_and_keeps_them(folder):
    guard = folder.start("guard")
    eventually(folder.energised, 15.0)
    assert end(guard)[0] == 0
    state = folder.folder / "state"
    log = files(state / "journal")[0]
    torn = log.read_bytes()[:-20]
    log.write_bytes(torn)
    (state / "events.db").write_bytes(b"no database" * 500)
    (state / "latch.json").write_bytes(b'{"tripped":false,"channels":["\xff"]}')
    folder.config.write_text(folder.config.read_text() + "# seen\n")
    guard = folder.start("guard")
    eventually(lambda: folder.state().clocks[0].blocks > 20, 15.0)
    told = {"latch.unreadable", "store.damaged", "journal.damaged", "boot", "config.changed"}
    eventually(lambda: told <= set(stored(folder)), 5.0, "the events")
    assert told <= set(logged(folder))
    assert folder.state().tripped
    assert not folder.energised()
    assert (state / "latch.broken").exists()
    assert (state / "events.db.damaged-1").read_bytes() == b"no database" * 500
    assert torn.endswith((state / "journal" / "000001.torn-0").read_bytes())
    assert logged(folder)["config.changed"]["who"].startswith("owner of the file: ")
    in_force = hashlib.sha256(folder.config.read_bytes()).hexdigest()
    assert in_force[:12] in logged(folder)["boot"]["message"]
    last = files(state / "journal")[-1].read_bytes().splitlines()[-1]
    assert json.loads(last)["config"] == in_force
    head = folder.state()
    assert verify(state / "journal").breaks == ()
    assert head.log_seq >= len(told)
    accepted = folder.ask("reset", "--who", "anna", "--why", "looked at it")
    assert accepted.returncode == 0, accepted.stdout
    eventually(lambda: "trip.reset" in logged(folder), 5.0)
    assert (logged(folder)["trip.reset"]["who"], logged(folder)["trip.reset"]["why"]) == (
        "anna",
        "looked at it",
    )
    eventually(lambda: folder.state().log_seq > head.log_seq, 3.0)
    assert end(guard)[0] == 0
    assert "Traceback" not in folder.log("guard")
