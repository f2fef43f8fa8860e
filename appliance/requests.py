"""What a person, the plant or a desk asks of the running appliance, and the answer. Typed records."""

from typing import Literal

import msgspec


class Reset(msgspec.Struct, frozen=True, tag=True):
    """A person asks to clear the latch. Refused while the condition stands."""

    who: str
    why: str


class Bypass(msgspec.Struct, frozen=True, tag=True):
    """A person holds trips off for duration_s; what is tripped stays tripped. 0 ends the bypass in force."""

    who: str
    why: str
    duration_s: float


class Acknowledge(msgspec.Struct, frozen=True, tag=True):
    """A person has seen the alarm of this channel."""

    channel: str
    who: str
    comment: str = ""


class Shelve(msgspec.Struct, frozen=True, tag=True):
    """Announce no Alert of this channel for duration_s; Danger is told and trips as ever. 0 unshelves."""

    channel: str
    who: str
    why: str
    duration_s: float


class ProofTest(msgspec.Struct, frozen=True, tag=True):
    """A person asks to see the relay drop and come back: the machine stops."""

    who: str
    why: str


class Learn(msgspec.Struct, frozen=True, tag=True):
    """A person asks analysis, through the guard, to learn; how it goes is told by scores and events.

    again: a new baseline, the one in force stays until it is there and is kept; cancel: not any more.
    accept, refuse: the new operating condition that was gathered is normal, or is not. sensor: "" for every.
    """

    sensor: str
    act: Literal["again", "accept", "refuse", "cancel"]
    who: str
    why: str


class Offer(msgspec.Struct, frozen=True, tag=True):
    """The plant offers analysis, through the guard, a model: the delta of a bundle (docs/MODELS.md)."""

    sensor: str
    delta: bytes
    who: str
    why: str


class PlantAct(msgspec.Struct, frozen=True, tag=True):
    """Uplink to guard, for the journal: the plant has asked for what the uplink itself does."""

    message: str
    who: str


class Reply(msgspec.Struct, frozen=True, tag=True):
    """The guard's answer to a request."""

    ok: bool
    message: str


Request = Reset | Bypass | Acknowledge | Shelve | ProofTest
"""What a person may ask of the rack; each is answered with a Reply, as are Learn, Offer and PlantAct."""
