"""What a self-test found: one line each."""

from typing import Literal

from msgspec import Struct


class Finding(Struct, frozen=True):
    """One check. words: what was found; where it failed also what was expected and what to do."""

    what: str
    verdict: Literal["ok", "FAIL", "note"]
    words: str


def ok(what: str, words: str) -> Finding:
    """As it should be."""
    return Finding(what, "ok", words)


def fail(what: str, words: object) -> Finding:
    """A fault to mend."""
    return Finding(what, "FAIL", str(words))


def note(what: str, words: str) -> Finding:
    """Not checked, or no fault yet worth knowing."""
    return Finding(what, "note", words)
