"""The lines of the event log: each carries the digest of the line before it. Pure.

A line is one JSON object, sealed (`seal.py`): one that was changed does not fit its own digest, one that was
taken out, put in or moved does not fit its neighbours.
"""

import io
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from appliance.errors import ApplianceError
from appliance.guard.seal import digest, seal, unseal
from appliance.records import Event

BEGINNING = "0" * 64
"""What the first line of a log has for the digest of the line before it."""


class Head(NamedTuple):
    """The end of a chain: number and digest of its last line. Who knows it notices a log cut short."""

    seq: int = 0
    sha256: str = BEGINNING

    @classmethod
    def parse(cls, text: str) -> "Head":
        """From SEQ:SHA256, as the plant was told it. Raises ApplianceError."""
        seq, _, sha256 = text.partition(":")
        if not (seq.isdecimal() and len(sha256) == len(BEGINNING)):
            raise ApplianceError(f"{text!r} is no head of a log; expected SEQ:SHA256, as 1203:9f86…0a08")
        return cls(int(seq), sha256.lower())


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line. previous: digest of the line before it. config: SHA-256 of the configuration in force.

    event: JSON of `records.Event`. kept_from: files with lines before this one were deleted to make room.
    """

    seq: int
    previous: str
    config: str
    event: msgspec.Raw
    kept_from: int = 0


class Line(NamedTuple):
    """A line as it was found. end: offset behind it. entry, sha256: None, "" where it is not as written."""

    number: int
    end: int
    entry: Entry | None
    sha256: str


def link(head: Head, config: str, event: Event, kept_from: int = 0) -> tuple[bytes, Head]:
    """The line that continues the chain, with its line feed; and the chain's new head."""
    entry = Entry(head.seq + 1, head.sha256, config, msgspec.Raw(msgspec.json.encode(event)), kept_from)
    text = msgspec.json.encode(entry)
    return seal(text) + b"\n", Head(entry.seq, digest(text))


def lines(data: bytes) -> Iterator[Line]:
    """The lines of one file. A last one without its line feed was not written to its end."""
    end = 0
    for number, raw in enumerate(io.BytesIO(data), 1):
        end += len(raw)
        text = unseal(raw[:-1]) if raw.endswith(b"\n") else None
        entry = None if text is None else _entry(text)
        yield Line(number, end, entry, digest(text) if text and entry else "")


def _entry(text: bytes) -> Entry | None:
    try:
        return msgspec.json.decode(text, type=Entry)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
