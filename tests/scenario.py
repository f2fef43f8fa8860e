"""A scenario file: what machine and people do, and what the protection must do. See scenarios/README.md."""

import itertools
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from appliance.requests import Acknowledge, Bypass, ProofTest, Reset, Shelve

LevelWord = Literal["normal", "alert", "danger"]
RelayWord = Literal["energised", "de-energised"]
Range = tuple[float, float]


class Wave(Struct, forbid_unknown_fields=True, frozen=True):
    """What an accelerometer feels: a sine on every axis, by its peak or by its velocity RMS.

    over_s: reached in a straight line from what was before. axes: those that are stuck. late_s: so much later
    than taken do the blocks arrive.
    """

    peak_mps2: float = 0.0
    velocity_mms: float = 0.0
    hz: float = 50.0
    over_s: float = 0.0
    trouble: Literal["", "unplugged", "silent", "stuck", "gap", "fallen"] = ""
    axes: tuple[int, ...] = (0, 1, 2)
    late_s: float = 0.0


class Warmth(Struct, forbid_unknown_fields=True, frozen=True):
    """What a thermometer feels."""

    degc: float = 20.0
    over_s: float = 0.0
    trouble: Literal["", "unplugged", "silent"] = ""


class Numbers(Struct, forbid_unknown_fields=True, frozen=True):
    """What a transmitter says, by quantity; those left out say 0."""

    values: dict[str, float] = {}
    trouble: Literal["", "unplugged", "silent"] = ""


class Opinion(Struct, forbid_unknown_fields=True, frozen=True):
    """What the model of an accelerometer says once a second. ratio: of the score to its threshold."""

    quality: Literal["ok", "learning", "not_ok", "silent"] = "ok"
    ratio: float = 0.0
    machine: Literal["off", "starting", "running", "stopping", "transient", "unknown"] = "running"


class Contact(Struct, forbid_unknown_fields=True, frozen=True):
    """A contact of the machine or its panel: running, startup, bypass_key, reset."""

    name: Literal["running", "startup", "bypass_key", "reset"]
    closed: bool


class Away(Struct, forbid_unknown_fields=True, frozen=True):
    """The guard is not there for so long. latch: what becomes of its file. meanwhile: a contact moves."""

    away_s: float
    latch: Literal["as written", "damaged"] = "as written"
    meanwhile: Contact | None = None


class Do(Struct, forbid_unknown_fields=True, frozen=True):
    """What happens at one moment: one of these."""

    reset: Reset | None = None
    bypass: Bypass | None = None
    acknowledge: Acknowledge | None = None
    shelve: Shelve | None = None
    proof_test: ProofTest | None = None
    contact: Contact | None = None
    restart: Away | None = None
    power_cut: Away | None = None
    wall_clock_jump_days: float | None = None

    @property
    def deed(self) -> tuple[str, Any]:
        """Its name and what belongs to it."""
        found = [
            (name, value) for name in self.__struct_fields__ if (value := getattr(self, name)) is not None
        ]
        if len(found) != 1:
            raise ValueError(f"{len(found)} things to do at once; expected one; write a step for each")
        return found[0]


class Group(Struct, forbid_unknown_fields=True, frozen=True):
    """How a trip group votes: `need` are enough; who is in Danger, who cannot vote."""

    need: int
    danger: tuple[str, ...] = ()
    blind: tuple[str, ...] = ()


class Expect(Struct, forbid_unknown_fields=True, frozen=True):
    """What must be so at one moment; what is left out may be anything. Lists of channels are complete."""

    relay: RelayWord | None = None
    tripped: bool | None = None
    level: dict[str, LevelWord] = {}
    not_ok: tuple[str, ...] | None = None
    value: dict[str, Range] = {}
    zone: dict[str, Literal["", "A", "B", "C", "D"]] = {}
    reason: dict[str, str] = {}
    latched: tuple[str, ...] | None = None
    shelved: tuple[str, ...] | None = None
    unacknowledged: tuple[str, ...] | None = None
    first_out: str | None = None
    because: tuple[str, ...] | None = None
    bypassed: bool | None = None
    bypass_left_s: Range | None = None
    bypasses: int | None = None
    multiplying: bool | None = None
    group: dict[str, Group] = {}


class Step(Struct, forbid_unknown_fields=True, frozen=True):
    """One moment: what is done, then what must be so, then how the signals go on.

    refused: words of the answer to what is asked; "": it must be granted.
    """

    at_s: float
    do: Do | None = None
    refused: str = ""
    expect: Expect = Expect()
    signal: dict[str, dict[str, Any]] = {}
    model: dict[str, Opinion] = {}


class Edge(Struct, forbid_unknown_fields=True, frozen=True):
    """The relay moves once within this time."""

    becomes: RelayWord
    between_s: Range


class Scenario(Struct, forbid_unknown_fields=True, frozen=True):
    """One file. config: an ordinary configuration, as text. relay and events are complete, in order."""

    title: str
    why: str
    config: str
    relay: tuple[Edge, ...]
    events: tuple[str, ...]
    step: tuple[Step, ...]


def read(path: Path) -> Scenario:
    """A scenario from its file. Raises ValueError."""
    return of(tomllib.loads(path.read_text()))


def of(raw: Mapping[str, Any]) -> Scenario:
    """A scenario from its parsed text. Raises ValueError."""
    scenario = msgspec.convert({**raw, "step": ()}, Scenario)
    steps = tuple(_step(n, one) for n, one in enumerate(raw.get("step", ()), start=1))
    for before, after in itertools.pairwise(steps):
        if after.at_s < before.at_s:
            raise ValueError(
                f"step at {after.at_s:g} s comes after one at {before.at_s:g} s; put them in order"
            )
    return msgspec.structs.replace(scenario, step=steps)


def _step(n: int, raw: Mapping[str, Any]) -> Step:
    try:
        return msgspec.convert(raw, Step)
    except msgspec.ValidationError as fault:
        raise ValueError(f"step {n}, at_s = {raw.get('at_s', 'missing')}: {fault}") from None
