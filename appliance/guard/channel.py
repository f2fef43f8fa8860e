"""One alarm channel: what is watched, delay and deadband of its two levels, and what it remembers. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

import msgspec

from appliance.records import ChannelState, Level, MachineState, Zone

_ZONES: tuple[Zone, ...] = ("A", "B", "C", "D")


class Setpoints(NamedTuple):
    """Alert and Danger in the channel's unit; None = not watched."""

    alert: float | None = None
    danger: float | None = None


_UNWATCHED = Setpoints()


@dataclass(frozen=True, slots=True)
class Channel:
    """What to watch.

    by_state: setpoints of one state of the machine, instead of the usual ones. under: at or below the
    setpoint counts. deadband: share of the setpoint by which the value must be back. latch: levels that stand
    until reset. multiplied: whether trip multiply may raise the setpoints. learned: a model's opinion.
    zone_edges: A/B, B/C, C/D in `unit`, empty where no zone is named. not_ok_level: NORMAL ignores NOT OK.
    realarm_ns: a level that stands so long is announced again; 0 = never.
    """

    name: str
    unit: str
    setpoints: Setpoints = _UNWATCHED
    by_state: Mapping[MachineState, Setpoints] = field(default_factory=dict)
    under: bool = False
    alert_delay_ns: int = 0
    danger_delay_ns: int = 0
    off_delay_ns: int = 0
    deadband: float = 0.05
    latch: frozenset[Level] = frozenset({Level.DANGER})
    multiplied: bool = False
    learned: bool = False
    zone_edges: tuple[float, ...] = ()
    not_ok_level: Level = Level.ALERT
    not_ok_delay_ns: int = 0
    realarm_ns: int = 0


class What(Enum):
    """What a change is; the value is the type of its event."""

    RAISED = "alarm.raised"
    CLEARED = "alarm.cleared"
    REPEATED = "alarm.repeated"
    ACKNOWLEDGED = "alarm.acknowledged"
    SHELVED = "alarm.shelved"
    UNSHELVED = "alarm.unshelved"
    MULTIPLIED = "multiply.started"
    UNMULTIPLIED = "multiply.ended"
    TRIPPED = "trip.fired"
    INHIBITED = "trip.inhibited"
    RESET = "trip.reset"
    BYPASSED = "bypass.started"
    BYPASS_ENDED = "bypass.ended"
    DEGRADED = "vote.degraded"
    RESTORED = "vote.restored"


class Change(msgspec.Struct, frozen=True):
    """Something became different. name: of a channel, or of a trip group. was: the channel's level before."""

    what: What
    t_ns: int
    name: str = ""
    was: Level = Level.NORMAL
    state: ChannelState | None = None
    who: str = ""
    why: str = ""


class Vote(NamedTuple):
    """A channel's part in a trip group. blind: no opinion.

    pending: beyond Danger, its delay running; or in Danger before a restart, and not known to be back.
    """

    danger: bool
    pending: bool
    blind: bool
    learned: bool


class Condition(msgspec.Struct):
    """One level: since when beyond its setpoint, whether its delay is over, since when back inside."""

    beyond_ns: int | None = None
    stands: bool = False
    back_ns: int | None = None

    def update(self, t_ns: int, excess: float, band: float, delay_ns: int, off_delay_ns: int) -> None:
        """excess: how far the value is beyond the setpoint, >= 0 counts. band: deadband in the unit."""
        if excess >= 0.0:
            self.back_ns = None
            self.beyond_ns = t_ns if self.beyond_ns is None else min(self.beyond_ns, t_ns)
            self.stands = self.stands or t_ns - self.beyond_ns >= delay_ns
        elif not self.stands:
            self.beyond_ns = None
        elif excess >= -band:
            self.back_ns = None
        else:
            self.back_ns = t_ns if self.back_ns is None else min(self.back_ns, t_ns)
            if t_ns - self.back_ns >= off_delay_ns:
                self.clear()

    def hold(self, blind_ns: int) -> None:
        """Nothing was seen for so long: a running delay does not run on, and nothing is back inside."""
        self.back_ns = None
        if self.beyond_ns is not None and not self.stands:
            self.beyond_ns += blind_ns

    def clear(self) -> None:
        """Not beyond, by a value or because it is not watched."""
        self.beyond_ns, self.stands, self.back_ns = None, False, None


class Memory(msgspec.Struct):
    """All that the engine remembers of one channel.

    danger_ns: when it reached Danger first since the last reset. blind: NOT OK for longer than its delay.
    judged: ever, as a value, as idle or as blind. told_ns: when its level was last announced.
    suspect: in Danger before the restart, and no value since.
    """

    alert: Condition = msgspec.field(default_factory=Condition)
    danger: Condition = msgspec.field(default_factory=Condition)
    level: Level = Level.NORMAL
    since_ns: int = 0
    latched: Level = Level.NORMAL
    danger_ns: int | None = None
    value: float | None = None
    reason: str = ""
    seen_ns: int = 0
    not_ok_ns: int | None = None
    idle: bool = False
    blind: bool = False
    judged: bool = False
    suspect: bool = False
    unacknowledged: bool = False
    told_ns: int = 0
    shelved_until_ns: int | None = None


def protects(spec: Channel) -> bool:
    """Whether the channel can reach Danger at all, in any state of the machine or by being NOT OK."""
    watched = (spec.setpoints, *spec.by_state.values())
    return spec.not_ok_level is Level.DANGER or any(one.danger is not None for one in watched)


def zone(spec: Channel, value: float | None) -> Zone:
    """Severity zone A to D; "" where none is named or nothing is measured."""
    if value is None or not spec.zone_edges:
        return ""
    return _ZONES[sum(value >= edge for edge in spec.zone_edges)]
