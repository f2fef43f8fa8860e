"""The contract of `cmd/{name}` and `rsp/{name}`: what the plant may say, and what it is answered.

A command is one flat JSON object; a key that its type does not know is refused.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from appliance.remote import Command as Name

MOST_BYTES = 4096
"""Of a payload, but one that carries a model."""
MOST_BYTES_OF_MODEL = 90_112
MOST_MISSING = 500

Token = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9._:-]{1,64}$", description="the caller's own, in the answer")
]
Who = Annotated[str, Meta(min_length=1, max_length=80, description="person or system, in its own words")]
Channel = Annotated[str, Meta(min_length=1, max_length=80, examples=["de.velocity"])]
Words = Annotated[str, Meta(max_length=200)]
Why = Annotated[str, Meta(min_length=1, max_length=200)]
Seq = Annotated[int, Meta(ge=1, le=2**53 - 1)]
EvidenceName = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,119}$", description="`wave` of an event")
]
UploadId = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}$", description="`upload` of its manifest and answer")]


class Command(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every command says. id: a new one for each; repeated, it is answered again, not done again."""

    id: Token
    who: Who

    def __post_init__(self) -> None:
        """Raises ValueError: a text that cannot be printed."""
        for name in self.__struct_fields__:
            text = getattr(self, name)
            if isinstance(text, str) and not text.isprintable():
                raise ValueError(f"`{name}` is {text!a}; expected text that can be printed, on one line")


class Ping(Command, frozen=True, kw_only=True):
    """Answer me."""


class Rebirth(Command, frozen=True, kw_only=True):
    """Tell everything retained again."""


class Ack(Command, frozen=True, kw_only=True):
    """Somebody has seen the alarm of this channel."""

    channel: Channel
    comment: Words = ""


class ShelveAlert(Command, frozen=True, kw_only=True):
    """Announce no Alert of this channel for so long; 0 ends it. Danger is told and trips as ever."""

    channel: Channel
    why: Why
    duration_s: Annotated[float, Meta(ge=0, le=604_800)]


class LearnNormal(Command, frozen=True, kw_only=True):
    """Learn normal again, accept a new operating condition as normal, or cancel. No sensor: every one."""

    act: Literal["again", "accept", "cancel"]
    why: Why
    sensor: Annotated[str, Meta(max_length=80)] = ""


class OfferModel(Command, frozen=True, kw_only=True):
    """Try a model in shadow: the delta of a bundle that a trusted key has signed (docs/MODELS.md), base64."""

    sensor: Annotated[str, Meta(min_length=1, max_length=80)]
    why: Why
    delta: Annotated[bytes, Meta(min_length=1, max_length=65_536)]


class ResetTrip(Command, frozen=True, kw_only=True):
    """Clear the latch of the trip. Refused while its condition stands."""

    why: Why


class ReplayEvents(Command, frozen=True, kw_only=True):
    """Send the events of this range again, `backfill` true, those that are still kept."""

    from_seq: Seq
    to_seq: Seq

    def __post_init__(self) -> None:
        """Raises ValueError: the range is empty."""
        super().__post_init__()
        if self.to_seq < self.from_seq:
            raise ValueError(f"`to_seq` {self.to_seq} is below `from_seq` {self.from_seq}; expected a range")


class SendEvidence(Command, frozen=True, kw_only=True):
    """Send the waveform of an alarm: by the event's id, by its name, or what was missing of an upload."""

    event: Seq | UnsetType = UNSET
    name: EvidenceName | UnsetType = UNSET
    upload: UploadId | UnsetType = UNSET
    missing: (
        Annotated[
            tuple[Annotated[int, Meta(ge=0, lt=2**32)], ...],
            Meta(min_length=1, max_length=MOST_MISSING, description="indices of chunks; with `upload` only"),
        ]
        | UnsetType
    ) = UNSET

    def __post_init__(self) -> None:
        """Raises ValueError: not one way to say which."""
        super().__post_init__()
        said = [name for name in ("event", "name", "upload") if getattr(self, name) is not UNSET]
        if len(said) != 1:
            raise ValueError(f"found {said or 'none'} of `event`, `name` and `upload`; expected one of them")
        if (self.missing is UNSET) != (self.upload is UNSET):
            raise ValueError("`upload` and `missing` belong together; expected both or none")


class Answer(Struct, frozen=True, kw_only=True):
    """What became of a command. ok: false: refused, for the reason in `message`."""

    v: Literal[1] = 1
    id: Annotated[str, Meta(max_length=64, description="of the command; empty where none could be read")]
    ok: bool
    message: str
    ts: Annotated[int, Meta(ge=0, description="UTC, milliseconds since 1970, of the answer")]
    upload: UploadId | UnsetType = UNSET


COMMANDS: Mapping[Name, type[Command]] = {
    "ack": Ack,
    "evidence": SendEvidence,
    "learn": LearnNormal,
    "model": OfferModel,
    "ping": Ping,
    "rebirth": Rebirth,
    "replay": ReplayEvents,
    "reset": ResetTrip,
    "shelve": ShelveAlert,
}
"""The payload of each `cmd/{name}`."""
_LONGEST_WORDS = 200


class Unfit(Exception):  # noqa: N818 - a verdict about what was asked
    """A command that is not obeyed; the message says why, for the one who sent it."""


class _Marked(Struct):
    id: Token


def decode(name: Name, payload: bytes) -> Command:
    """The command in a payload of `cmd/{name}`. Raises Unfit: what is wrong with it."""
    most_bytes = MOST_BYTES_OF_MODEL if name == "model" else MOST_BYTES
    if len(payload) > most_bytes:
        raise Unfit(f"{len(payload)} bytes; expected {most_bytes} at most; send less")
    try:
        return msgspec.json.decode(payload, type=COMMANDS[name])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        keys = ", ".join(COMMANDS[name].__struct_fields__)
        raise Unfit(f"{printable(str(fault))}; expected an object of {keys}; see docs/TOPICS.md") from fault


def id_of(payload: bytes) -> str:
    """Whose answer a payload wants, whatever else is wrong with it; "" where it does not say."""
    if len(payload) > MOST_BYTES_OF_MODEL:
        return ""
    try:
        return msgspec.json.decode(payload, type=_Marked).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""


def printable(text: str) -> str:
    """What came from outside, fit for a log and an answer: one line, 200 characters at most."""
    return "".join(one if one.isprintable() else "?" for one in text[:_LONGEST_WORDS])
