"""Verifies the event log: whether a line was altered, removed or moved, and whether its end is missing.

A log that was cut short, or written anew by somebody who computes digests, is whole in itself: that shows
only against a head known elsewhere. The appliance tells its head to the plant in topic `health`.
"""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from appliance.guard import chain
from appliance.guard.chain import BEGINNING, Head
from appliance.guard.journal import files

What = Literal["altered", "removed", "reordered", "torn", "truncated", "unreadable"]


class Break(NamedTuple):
    """What is wrong and where. line: from 1; 0 for a whole file or folder."""

    what: What
    path: Path
    line: int
    words: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}: {self.words}"


class Audit(NamedTuple):
    """What was found; sound if there is no break. first: the oldest line's number, 0 for an empty log."""

    files: int
    entries: int
    first: int
    head: Head
    breaks: tuple[Break, ...]


class _Mark(NamedTuple):
    """What links one line to its neighbours."""

    path: Path
    line: int
    head: Head
    previous: str
    kept_from: int


def verify(folder: Path, known: Head | None = None) -> Audit:
    """Read the whole log in `folder`. known: a head that the plant was told at some time.

    A line that a running guard is just writing reads as torn: verify again.
    """
    marks: list[_Mark] = []
    breaks: list[Break] = []
    after_break: set[int] = set()
    for found in _everything(folder):
        if isinstance(found, _Mark):
            marks.append(found)
        else:
            breaks.append(found)
            after_break.add(len(marks))
    breaks += _beginning(folder, marks, broken=0 in after_break)
    breaks += _links(marks, after_break)
    head = marks[-1].head if marks else Head()
    if known:
        breaks += _against(folder, marks, known)
    first = marks[0].head.seq if marks else 0
    return Audit(len(files(folder)), len(marks), first, head, tuple(breaks))


def _everything(folder: Path) -> Iterator[_Mark | Break]:
    for path in files(folder):
        try:
            data = path.read_bytes()
        except OSError as fault:
            yield Break("unreadable", path, 0, str(fault))
            continue
        for number, end, entry, sha256 in chain.lines(data):
            if entry:
                yield _Mark(path, number, Head(entry.seq, sha256), entry.previous, entry.kept_from)
            elif end == len(data) and not data.endswith(b"\n"):
                yield Break("torn", path, number, "not written to its end; a start of the guard mends it")
            else:
                yield Break("altered", path, number, "does not fit its own SHA-256")


def _beginning(folder: Path, marks: Sequence[_Mark], *, broken: bool) -> Iterator[Break]:
    """What is missing before the first line, unless the log says itself that it was deleted."""
    if not marks:
        if not broken:
            yield Break("removed", folder, 0, "no log here")
        return
    first = marks[0]
    if first.head.seq == 1 and first.previous != BEGINNING:
        yield Break("altered", first.path, first.line, "says it continues another log")
    if first.head.seq > max(1, *(mark.kept_from for mark in marks)) and not broken:
        words = f"the log begins with {first.head.seq}, and nowhere says that the lines before were deleted"
        yield Break("removed", first.path, first.line, words)


def _links(marks: Sequence[_Mark], after_break: set[int]) -> Iterator[Break]:
    """Whether each line continues the one before; behind a break that was told already, it need not."""
    present = {mark.head.seq for mark in marks}
    for n, (before, mark) in enumerate(itertools.pairwise(marks), 1):
        expected, seq = before.head.seq + 1, mark.head.seq
        where = (mark.path, mark.line)
        if seq < expected:
            yield Break("reordered", *where, f"{seq} comes after {before.head.seq}")
        elif n in after_break:
            continue
        elif seq > expected and expected in present:
            yield Break("reordered", *where, f"{seq} comes where {expected} is expected")
        elif seq > expected:
            yield Break("removed", *where, f"lines {expected} to {seq - 1} are missing before it")
        elif mark.previous != before.head.sha256:
            yield Break(
                "altered", *where, f"the line before it, {before.head.seq}, is not the one it continues"
            )


def _against(folder: Path, marks: Sequence[_Mark], known: Head) -> Iterator[Break]:
    """Whether the log still holds what the plant was told was its end."""
    same = [mark for mark in marks if mark.head.seq == known.seq]
    last = marks[-1].head.seq if marks else 0
    if known.seq > last:
        yield Break("truncated", folder, 0, f"the log ends with {last}; {known.seq} was its end once")
    elif not same:
        yield Break("removed", folder, 0, f"{known.seq} is not in the log any more; give a newer head")
    elif same[0].head.sha256 != known.sha256:
        words = f"{known.seq} is not the line that was the end of the log once"
        yield Break("altered", same[0].path, same[0].line, words)
