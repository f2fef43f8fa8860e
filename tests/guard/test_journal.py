"""The event log on disk: chained over files and runs, bounded, mended after a power cut and a full disk."""

import errno
import hashlib
import json
import os

import pytest

from appliance.errors import StoreError
from appliance.guard import chain
from appliance.guard import journal as journals
from appliance.guard.audit import verify
from appliance.guard.chain import Head
from appliance.guard.journal import Journal, belongs, files
from appliance.records import Event, EventKind

CONFIG, OTHER = "c" * 64, "d" * 64


def event(message="m", kind=EventKind.AUDIT, severity="info", **more):
    return Event(kind, "trip.reset", severity, message, 5, 7, "ntp", **more)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "state" / "journal"


def written(folder):
    return [json.loads(line) for path in files(folder) for line in path.read_bytes().splitlines()]


def begun(folder, *messages):
    journal = Journal(folder, CONFIG)
    journal.append([event(message) for message in messages])
    journal.close()
    return files(folder)[-1]


def test_a_line_says_what_who_why_and_under_which_configuration(folder):
    journal = Journal(folder, CONFIG)
    journal.append([event("reset by anna", who="anna", why="bearing changed")])
    (line,) = written(folder)
    assert (line["seq"], line["previous"], line["config"]) == (1, "0" * 64, CONFIG)
    told = {"message": "reset by anna", "who": "anna", "why": "bearing changed"}
    assert told.items() <= line["event"].items()
    assert (line["event"]["at_mono_ns"], line["event"]["at_utc_ns"]) == (5, 7)
    assert journal.head == Head(1, line["sha256"])


def test_anybody_can_check_the_chain_with_a_hash_and_a_text_tool(folder):
    """The rule of docs/ALARMS.md, written down again without our code."""
    path = begun(folder, "a", 'b","sha256":"', "c\n\u2028ü")
    previous = "0" * 64
    for raw in path.read_bytes().splitlines():
        text, _, end = raw.rpartition(b',"sha256":"')
        assert hashlib.sha256(text + b"}").hexdigest().encode() == end[:-2]
        assert json.loads(raw)["previous"] == previous
        previous = end[:-2].decode()


def test_a_later_run_goes_on_with_the_chain_and_knows_the_configuration_before(folder):
    begun(folder, "a", "b")
    journal = Journal(folder, OTHER)
    assert journal.config_before == CONFIG
    journal.append([event("c")])
    assert [(line["seq"], line["config"]) for line in written(folder)] == [
        (1, CONFIG),
        (2, CONFIG),
        (3, OTHER),
    ]
    assert len(files(folder)) == 1
    assert journal.damage == []
    assert verify(folder).breaks == ()


def test_files_are_bounded_and_the_log_says_what_it_deleted(folder, monkeypatch):
    monkeypatch.setattr(journals, "FILE_BYTES", 2000)
    monkeypatch.setattr(journals, "MOST_FILES", 3)
    journal = Journal(folder, CONFIG)
    for k in range(60):
        journal.append([event(str(k))])
        assert len(files(folder)) <= 3
        assert all(path.stat().st_size < 3000 for path in files(folder))
        assert verify(folder, journal.head).breaks == ()
    lines = written(folder)
    assert lines[0]["seq"] > 1
    deletions = [line for line in lines if line["event"]["type"] == "journal.trimmed"]
    assert deletions[-1]["kept_from"] == lines[0]["seq"]
    assert [line["seq"] for line in lines] == list(range(lines[0]["seq"], journal.head.seq + 1))
    journal.close()
    assert Journal(folder, CONFIG).head == journal.head


def test_a_deletion_that_a_power_cut_prevented_comes_with_the_next_file(folder, monkeypatch):
    monkeypatch.setattr(journals, "FILE_BYTES", 1)
    monkeypatch.setattr(journals, "MOST_FILES", 2)
    journal = Journal(folder, CONFIG)
    for k in range(3):
        journal.append([event(str(k))])
    gone = folder / "000001.jsonl"
    assert not gone.exists()
    gone.write_bytes(chained(1))
    assert verify(folder).breaks == ()
    journal.append([event("next")])
    assert not gone.exists()
    assert len(files(folder)) == 2


def chained(count):
    """What the first `count` lines are that the log above begins with."""
    head, data = Head(), b""
    for k in range(count):
        line, head = chain.link(head, CONFIG, event(str(k)))
        data += line
    return data


@pytest.mark.parametrize("tail", [b"{", b"\0" * 700, b'{"seq":3,"previous":"'])
def test_a_torn_end_is_kept_aside_and_told_and_the_chain_goes_on(folder, tail):
    path = begun(folder, "a", "b")
    whole = path.read_bytes()
    path.write_bytes(whole + tail)
    journal = Journal(folder, CONFIG)
    (told,) = journal.damage
    assert f"{path}:3" in told
    assert (folder / "000001.torn-0").read_bytes() == tail
    assert path.read_bytes() == whole
    journal.append([event("c")])
    assert verify(folder).breaks == ()
    assert [line["event"]["message"] for line in written(folder)] == ["a", "b", "c"]
    path.write_bytes(path.read_bytes() + tail)
    assert Journal(folder, CONFIG).damage
    assert (folder / "000001.torn-1").read_bytes() == tail


def test_torn_in_its_first_byte_again_and_again_it_keeps_every_end(folder):
    folder.mkdir(parents=True)
    for n in range(5):
        (folder / "000001.jsonl").write_bytes(b"{")
        journal = Journal(folder, CONFIG)
        journal.close()
        assert (folder / f"000001.torn-{n}").read_bytes() == b"{"


def test_torn_anywhere_it_goes_on(folder):
    path = begun(folder, "a", "b")
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for cut in sorted({*range(0, len(whole), 9), first - 1, first, first + 1, len(whole) - 1}):
        path.write_bytes(whole[:cut])
        journal = Journal(folder, CONFIG)
        assert journal.head.seq == (1 if cut >= first else 0)
        assert bool(journal.damage) is (cut not in (0, first))
        journal.append([event("c")])
        journal.close()
        assert verify(folder).breaks == ()


def test_a_file_that_is_torn_from_its_first_byte_continues_the_one_before(folder, monkeypatch):
    monkeypatch.setattr(journals, "FILE_BYTES", 1)
    begun(folder, "a")
    second = begun(folder, "b")
    assert second.name == "000002.jsonl"
    second.write_bytes(b"\0\0\0")
    journal = Journal(folder, CONFIG)
    journal.append([event("c")])
    assert journal.head.seq == 2
    assert second.read_bytes().endswith(b"\n")
    assert verify(folder).breaks == ()


def test_a_line_altered_inside_stays_as_it_is_and_a_new_file_goes_on(folder):
    path = begun(folder, "a", "b", "c")
    altered = path.read_bytes().replace(b'"b"', b'"B"')
    path.write_bytes(altered)
    journal = Journal(folder, CONFIG)
    (told,) = journal.damage
    assert f"{path}:2" in told
    journal.append([event("d")])
    assert path.read_bytes() == altered
    assert [one.name for one in files(folder)] == ["000001.jsonl", "000002.jsonl"]
    (found,) = verify(folder).breaks
    assert (found.what, found.path, found.line) == ("altered", path, 2)


def test_a_file_that_cannot_be_read_is_left_and_a_new_one_goes_on(folder, monkeypatch):
    monkeypatch.setattr(journals, "FILE_BYTES", 1)
    begun(folder, "a")
    second = begun(folder, "b")
    second.unlink()
    second.mkdir()
    journal = Journal(folder, CONFIG)
    assert str(second) in journal.damage[0]
    journal.append([event("c")])
    assert files(folder)[-1].name == "000003.jsonl"
    assert [found.what for found in verify(folder).breaks] == ["unreadable"]


def test_what_others_put_into_the_folder_is_let_alone(folder):
    begun(folder, "a")
    for name in ("notes.jsonl", "000001.jsonl~", "zzzzzz.jsonl"):
        (folder / name).write_text("mine")
    journal = Journal(folder, CONFIG)
    journal.append([event("b")])
    assert (folder / "notes.jsonl").read_text() == "mine"
    assert verify(folder).breaks == ()


@pytest.mark.parametrize("harm", ["unlinked", "folder removed", "cut short"])
def test_a_file_that_is_harmed_while_it_is_written_to_is_told_and_a_new_one_goes_on(folder, harm):
    journal = Journal(folder, CONFIG)
    journal.append([event("a"), event("b")])
    if harm == "cut short":
        os.truncate(files(folder)[0], 10)
    else:
        files(folder)[0].unlink()
    if harm == "folder removed":
        folder.rmdir()
    journal.append([event("c")])
    assert "taken away or cut short" in journal.damage[0]
    journal.append([event("d")])
    assert len(journal.damage) == 1
    assert [json.loads(line)["seq"] for line in files(folder)[-1].read_bytes().splitlines()] == [3, 4]
    assert verify(folder).breaks


def test_an_attempt_on_a_full_disk_leaves_no_half_line_behind(folder, monkeypatch):
    journal = Journal(folder, CONFIG)
    journal.append([event("a")])
    real = os.pwrite

    def full(file, data, offset):
        if offset > 700:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(file, data[:100], offset)

    monkeypatch.setattr(os, "pwrite", full)
    for _ in range(2):
        with pytest.raises(OSError, match="No space"):
            journal.append([event("b"), event("c")])
    assert journal.head.seq == 1
    monkeypatch.setattr(os, "pwrite", real)
    journal.append([event("b")])
    assert [line["event"]["message"] for line in written(folder)] == ["a", "b"]
    assert verify(folder).breaks == ()


def test_a_folder_that_cannot_be_made_is_refused_with_words(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="event log cannot be opened"):
        Journal(tmp_path / "file" / "journal", CONFIG)


def test_what_belongs_into_the_log():
    assert all(belongs(event(kind=kind)) for kind in EventKind if kind is not EventKind.HEALTH)
    assert belongs(event(kind=EventKind.HEALTH, severity="critical"))
    assert not belongs(event(kind=EventKind.HEALTH, severity="warning"))
