"""What is done to a log is found, with its file and line; an untouched one is sound."""

import itertools
import os
import random

import pytest

from appliance.errors import ApplianceError
from appliance.guard import chain
from appliance.guard import journal as journals
from appliance.guard.audit import verify
from appliance.guard.chain import Head
from appliance.guard.journal import Journal, files
from appliance.records import Event, EventKind

CONFIG = "c" * 64
FILES, LINES = 3, 12


def event(k):
    return Event(EventKind.ALARM, "alarm.raised", "alarm", f"message {k}", k, k, "ntp", who="anna", why="x")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three files of four lines."""
    monkeypatch.setattr(journals, "FILE_BYTES", 1400)
    journal = Journal(tmp_path, CONFIG)
    for k in range(LINES):
        journal.append([event(k)])
    journal.close()
    assert [len(lines_of(path)) for path in files(tmp_path)] == [LINES // FILES] * FILES
    return tmp_path


def lines_of(path):
    return path.read_bytes().splitlines(keepends=True)


def put(path, lines):
    path.write_bytes(b"".join(lines))


def broken(folder, known=None):
    return [(one.what, one.path.name, one.line) for one in verify(folder, known).breaks]


def test_an_untouched_log_is_sound(folder):
    audit = verify(folder)
    assert (audit.files, audit.entries, audit.first, audit.head.seq) == (FILES, LINES, 1, LINES)
    assert audit.breaks == verify(folder, audit.head).breaks == ()
    assert verify(folder, Head.parse(f"{audit.head.seq}:{audit.head.sha256.upper()}")).breaks == ()


def test_every_flipped_bit_is_found_in_its_line(folder):
    path = files(folder)[1]
    data = path.read_bytes()
    ends = list(itertools.accumulate(map(len, lines_of(path))))
    with path.open("r+b", buffering=0) as file:
        for at, byte in enumerate(data):
            os.pwrite(file.fileno(), bytes([byte ^ 1 << at % 8]), at)
            what, name, line = broken(folder)[0]
            assert (what in ("altered", "torn"), name) == (True, path.name)
            assert line == sum(end <= at for end in ends) + 1
            os.pwrite(file.fileno(), bytes([byte]), at)


def test_every_cut_is_found_but_that_of_whole_lines_at_the_end(folder):
    path = files(folder)[-1]
    data = path.read_bytes()
    head = verify(folder).head
    ends = {0, *itertools.accumulate(map(len, lines_of(path)))}
    for cut in reversed(range(len(data))):
        os.truncate(path, cut)
        assert bool(broken(folder)) is (cut not in ends)
        assert "truncated" in {one.what for one in verify(folder, head).breaks}


@pytest.mark.parametrize("n", range(FILES))
@pytest.mark.parametrize("k", range(LINES // FILES))
def test_every_line_that_is_taken_out_is_missed(folder, n, k):
    path = files(folder)[n]
    lines = lines_of(path)
    head = verify(folder).head
    put(path, lines[:k] + lines[k + 1 :])
    found = broken(folder, head)
    if (n, k) == (FILES - 1, len(lines) - 1):
        assert found == [("truncated", folder.name, 0)]
    else:
        assert [what for what, *_ in found] == ["removed"]


@pytest.mark.parametrize("n", range(FILES))
def test_a_whole_file_that_is_taken_out_is_missed(folder, n):
    head = verify(folder).head
    files(folder)[n].unlink()
    assert [what for what, *_ in broken(folder, head)] == ["truncated" if n == FILES - 1 else "removed"]


def test_lines_that_changed_places_are_told_as_such(folder):
    path = files(folder)[1]
    lines = lines_of(path)
    for a, b in itertools.combinations(range(len(lines)), 2):
        moved = list(lines)
        moved[a], moved[b] = moved[b], moved[a]
        put(path, moved)
        assert {what for what, *_ in broken(folder)} == {"reordered"}
        assert broken(folder)[0][1:] == (path.name, a + 1)


def test_a_line_put_in_twice_is_found(folder):
    path = files(folder)[1]
    lines = lines_of(path)
    put(path, [*lines[:2], lines[1], *lines[2:]])
    assert broken(folder)[0] == ("reordered", path.name, 3)


def test_a_line_forged_with_its_digest_is_betrayed_by_the_next(folder):
    path = files(folder)[1]
    lines = lines_of(path)
    before = next(line for line in chain.lines(lines[0]))
    forged, _ = chain.link(Head(before.entry.seq, before.sha256), CONFIG, event(999))
    put(path, [lines[0], forged, *lines[2:]])
    assert broken(folder) == [("altered", path.name, 3)]


def test_a_log_forged_from_a_line_to_its_end_is_betrayed_only_by_a_head_known_elsewhere(folder):
    known = verify(folder).head
    for path in files(folder):
        path.unlink()
    journal = Journal(folder, CONFIG)
    journal.append([event(k + 100) for k in range(LINES + 3)])
    assert broken(folder) == []
    assert broken(folder, known) == [("altered", "000001.jsonl", LINES)]


def test_a_head_from_before_the_oldest_line_proves_nothing_and_says_so(folder, monkeypatch):
    monkeypatch.setattr(journals, "MOST_FILES", 2)
    old = Head(2, chain.link(Head(1, "0" * 64), CONFIG, event(1))[1].sha256)
    Journal(folder, CONFIG).append([event(50)])
    assert broken(folder) == []
    (found,) = verify(folder, old).breaks
    assert "newer head" in found.words


def test_the_oldest_files_may_be_missing_only_where_the_log_deleted_them(folder, monkeypatch):
    monkeypatch.setattr(journals, "MOST_FILES", 2)
    journal = Journal(folder, CONFIG)
    for k in range(9):
        journal.append([event(k)])
    assert verify(folder).first > 1
    assert broken(folder) == []
    files(folder)[0].unlink()
    assert [what for what, *_ in broken(folder)] == ["removed"]


def test_no_log_is_no_sound_log(tmp_path):
    assert broken(tmp_path) == [("removed", tmp_path.name, 0)]
    assert broken(tmp_path / "nowhere") == [("removed", "nowhere", 0)]


def test_garbage_of_any_kind_is_found_and_never_a_traceback(folder):
    chance = random.Random(1)
    path = files(folder)[1]
    data = path.read_bytes()
    for _ in range(300):
        a, b = sorted(chance.sample(range(len(data)), 2))
        garbage = chance.randbytes(chance.choice((0, 1, 40)))
        path.write_bytes(data[:a] + garbage + data[b:])
        assert verify(folder).breaks


@pytest.mark.parametrize("text", ["", "7", "7:abc", ":" + "a" * 64, "-1:" + "a" * 64, "x:" + "a" * 64])
def test_what_is_no_head_is_refused(text):
    with pytest.raises(ApplianceError, match="SEQ:SHA256"):
        Head.parse(text)
