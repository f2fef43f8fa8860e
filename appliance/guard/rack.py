"""What a machine-protection rack does, without its hardware: alarm channels, votes, interlock. Pure.

The same inputs in the same order from the same state give the same outcome, bit for bit: the first run, a
replay of its evidence and a test are one. Whoever holds the rack brings the time, moves the relay and tells.
"""

from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from appliance.guard.alarm import AlarmEngine, EngineState
from appliance.guard.channel import Change, Channel, What
from appliance.guard.interlock import Bypassed, Interlock, InterlockState
from appliance.guard.latch import KeptBypass, Latch
from appliance.guard.voting import TripGroup
from appliance.records import BypassState, ChannelState, Level, MachineState, TripGroupState
from appliance.requests import Acknowledge, Bypass, Reset, Shelve

BYPASS_KEY = "bypass key"


class Value(msgspec.Struct, frozen=True, tag=True, gc=False, omit_defaults=True):
    """A channel's value, OK. alert_delay_ns: of its Alert, instead of the channel's."""

    channel: str
    value: float
    alert_delay_ns: int | None = None


class NotOk(msgspec.Struct, frozen=True, tag=True, gc=False):
    """A channel has no usable value. at_least: what is reached all the same."""

    channel: str
    reason: str
    at_least: float | None = None


class Idle(msgspec.Struct, frozen=True, tag=True, gc=False):
    """A channel has nothing to say by design."""

    channel: str
    reason: str


class Machine(msgspec.Struct, frozen=True, tag=True, gc=False):
    """What the machine does now."""

    state: MachineState


class StartUp(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Whether start-up asks for trip multiply."""

    asked: bool


class BypassKey(msgspec.Struct, frozen=True, tag=True, gc=False):
    """The bypass key was turned on or off."""

    on: bool


class Tick(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Nothing but time has passed."""


class Testing(msgspec.Struct, frozen=True, tag=True, gc=False):
    """A proof test of the relay begins or ends."""

    on: bool


class Stop(msgspec.Struct, frozen=True, tag=True, gc=False):
    """The guard is being stopped: drop the relay."""


Input = (
    Value
    | NotOk
    | Idle
    | Machine
    | StartUp
    | BypassKey
    | Tick
    | Testing
    | Stop
    | Bypass
    | Acknowledge
    | Shelve
    | Reset
)


@dataclass(frozen=True, slots=True)
class RackSpec:
    """How one machine is protected. inhibit_ns: nothing is judged for so long after power-up."""

    channels: tuple[Channel, ...]
    groups: tuple[TripGroup, ...]
    inhibit_ns: int = 0
    multiply: float = 1.0
    multiply_longest_ns: int = 0
    bypass_longest_ns: int = 8 * 3600 * 1_000_000_000
    shelve_longest_ns: int = 8 * 3600 * 1_000_000_000


class RackState(msgspec.Struct):
    """All that a rack remembers."""

    engine: EngineState
    interlock: InterlockState
    begun_ns: int | None = None
    now_ns: int = 0


class Outcome(NamedTuple):
    """What a step brought. refused: why a request was not granted, "" otherwise."""

    changes: list[Change]
    refused: str = ""


class Rack:
    """The protection of one machine, as a function of its inputs."""

    def __init__(self, spec: RackSpec, kept: Latch | None = None, state: RackState | None = None) -> None:
        """kept: what an earlier run left durable. state: a snapshot to go on from exactly; it is used up."""
        self.spec = spec
        self._begun_ns = state.begun_ns if state else None
        self.now_ns = state.now_ns if state else 0
        self.engine = AlarmEngine(
            spec.channels, spec.multiply, spec.multiply_longest_ns, state.engine if state else None
        )
        self.interlock = Interlock(spec.groups, state.interlock if state else None)
        if kept:
            self._resume(kept)

    def step(self, t_ns: int, *given: Input) -> Outcome:
        """Take what came at one time, then vote. t_ns: its own time; sensors may be a little out of order."""
        if self._begun_ns is None:
            self._begin(t_ns)
        self.now_ns = max(self.now_ns, t_ns)
        changes = self.engine.expire(self.now_ns)
        refused = ""
        for one in given:
            outcome = self._take(t_ns, one)
            changes += outcome.changes
            refused = refused or outcome.refused
        if self.interlock.state.starting and self.engine.judged and not self._inhibited:
            self.interlock.state.starting = False
        changes += map(self._with_cause, self.interlock.update(self.now_ns, self.engine.votes()))
        return Outcome(changes, refused)

    def snapshot(self) -> RackState:
        """A copy of all that is remembered."""
        state = RackState(self.engine.state, self.interlock.state, self._begun_ns, self.now_ns)
        return msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=RackState)

    @property
    def tripped(self) -> bool:
        """Whether a trip is latched."""
        return self.interlock.state.tripped

    @property
    def protecting(self) -> bool:
        """Whether every protected channel has been judged at least once."""
        return not self.interlock.state.starting

    def kept(self) -> Latch:
        """What has to survive a power cut."""
        engine, interlock = self.engine.state.channels, self.interlock.state
        bypass = interlock.bypass
        return Latch(
            tripped=interlock.tripped,
            channels=tuple(self.engine.in_danger()),
            groups=interlock.tripped_by,
            latched={name: memory.latched for name, memory in engine.items() if memory.latched},
            unacknowledged=tuple(name for name, memory in engine.items() if memory.unacknowledged),
            shelved_s={
                name: (memory.shelved_until_ns - self.now_ns) / 1e9
                for name, memory in engine.items()
                if memory.shelved_until_ns is not None
            },
            bypass=self._kept_bypass(bypass) if bypass else None,
            bypasses=interlock.bypasses,
        )

    def channels(self) -> tuple[ChannelState, ...]:
        """Every channel as it stands."""
        return self.engine.states()

    def groups(self) -> tuple[TripGroupState, ...]:
        """Every trip group as it stands."""
        counts = self.interlock.counts(self.engine.votes())
        tripped_by = self.interlock.state.tripped_by
        return tuple(
            TripGroupState(
                group.name,
                counts[group.name].need,
                group.members,
                counts[group.name].danger,
                counts[group.name].blind,
                tripped=group.name in tripped_by,
            )
            for group in self.spec.groups
        )

    def bypass(self) -> BypassState | None:
        """The bypass in force."""
        bypass = self.interlock.state.bypass
        if bypass is None:
            return None
        return BypassState(bypass.who, bypass.why, bypass.since_ns, bypass.until_ns)

    def _with_cause(self, change: Change) -> Change:
        """A trip, or one held off, with the channel of its group that came first."""
        members = next((group.members for group in self.spec.groups if group.name == change.name), ())
        first = next((name for name in self.engine.in_danger() if name in members), None)
        if first is None or change.what not in (What.TRIPPED, What.INHIBITED):
            return change
        return msgspec.structs.replace(change, state=self.engine.state_of(first))

    def _kept_bypass(self, bypass: Bypassed) -> KeptBypass:
        return KeptBypass(bypass.who, bypass.why, (bypass.until_ns - self.now_ns) / 1e9, bypass.key)

    @property
    def _inhibited(self) -> bool:
        return self._begun_ns is None or self.now_ns - self._begun_ns < self.spec.inhibit_ns

    def _begin(self, t_ns: int) -> None:
        """The first input sets the time, from which what was kept has so much longer to go."""
        self._begun_ns = self.now_ns = t_ns
        for memory in self.engine.state.channels.values():
            if memory.shelved_until_ns is not None:
                memory.shelved_until_ns += t_ns
        if left := self.interlock.state.bypass:
            self.interlock.state.bypass = Bypassed(left.who, left.why, t_ns, t_ns + left.until_ns, left.key)

    def _resume(self, kept: Latch) -> None:
        """As it was; the times left count from 0 until the first input sets the time.

        None is longer than may be asked for, whatever the file says.
        """
        interlock = self.interlock.state
        interlock.tripped, interlock.tripped_by = kept.tripped, kept.groups
        interlock.bypasses = kept.bypasses
        if left := kept.bypass:
            left_ns = round(min(self.spec.bypass_longest_ns, left.remaining_s * 1e9))
            interlock.bypass = Bypassed(left.who, left.why, 0, left_ns, left.key)
        for name, memory in self.engine.state.channels.items():
            memory.latched = kept.latched.get(name, Level.NORMAL)
            memory.level = memory.latched
            memory.unacknowledged = name in kept.unacknowledged
            if name in kept.shelved_s:
                memory.shelved_until_ns = round(min(self.spec.shelve_longest_ns, kept.shelved_s[name] * 1e9))
            if name in kept.channels:  # before everything that comes now, in the order of then
                memory.danger_ns, memory.suspect = kept.channels.index(name) - _LONG_AGO_NS, True

    def _take(self, t_ns: int, given: Input) -> Outcome:
        if isinstance(given, Value | NotOk | Idle):
            return Outcome(self._judge(t_ns, given))
        if isinstance(given, Acknowledge | Shelve):
            return self._announcing(given)
        match given:
            case Machine(state):
                self.engine.machine(state)
            case StartUp(asked):
                return Outcome(self.engine.start_up(self.now_ns, asked=asked))
            case Testing(on):
                self.interlock.state.testing = on
            case Stop():
                self.interlock.state.stopped = True
            case BypassKey() | Bypass() | Reset():
                return self._ask(given)
        return Outcome([])

    def _ask(self, given: BypassKey | Bypass | Reset) -> Outcome:
        if isinstance(given, BypassKey):
            return self._key(on=given.on)
        return self._bypass(given) if isinstance(given, Bypass) else self._reset(given)

    def _judge(self, t_ns: int, given: Value | NotOk | Idle) -> list[Change]:
        match given:
            case Idle(channel, reason):
                return self.engine.idle(channel, t_ns, reason)
            case Value(channel, value, alert_delay_ns):
                if not self._inhibited:
                    return self.engine.value(channel, t_ns, value, alert_delay_ns)
                self.engine.show(channel, value, "power-up inhibit")
            case NotOk(channel, reason, at_least):
                if not self._inhibited:
                    return self.engine.not_ok(channel, t_ns, reason, at_least)
                self.engine.show(channel, None, reason)
        return []

    def _announcing(self, given: Acknowledge | Shelve) -> Outcome:
        channel = given.channel
        if channel not in self.engine.channels:
            return Outcome([], f"no channel {channel!r}; one of {', '.join(self.engine.channels)}")
        if isinstance(given, Acknowledge):
            return Outcome(self.engine.acknowledge(channel, self.now_ns, given.who, given.comment))
        longest_s = self.spec.shelve_longest_ns / 1e9
        if not 0.0 <= given.duration_s <= longest_s:
            return Outcome([], f"{given.duration_s:g} s; expected 0 (unshelve) to {longest_s:g} s")
        until_ns = self.now_ns + round(given.duration_s * 1e9)
        return Outcome(self.engine.shelve(channel, self.now_ns, until_ns, given.who, given.why))

    def _reset(self, given: Reset) -> Outcome:
        if self.interlock.state.starting:
            return Outcome([], "not every protected channel has been judged yet")
        votes = self.engine.votes()
        if standing := self.interlock.standing(votes):
            members = [name for group in self.spec.groups if group.name in standing for name in group.members]
            still = [name for name in members if votes[name].danger or votes[name].pending]
            return Outcome([], f"Danger still stands on {', '.join(dict.fromkeys(still))}")
        self.interlock.reset()
        cleared = self.engine.reset(self.now_ns)
        return Outcome([Change(What.RESET, self.now_ns, who=given.who, why=given.why), *cleared])

    def _bypass(self, given: Bypass) -> Outcome:
        who, why, duration_s = given.who, given.why, given.duration_s
        longest_s = self.spec.bypass_longest_ns / 1e9
        if not who.strip() or not why.strip():
            return Outcome([], "a bypass needs who and why")
        if not 0.0 <= duration_s <= longest_s:
            return Outcome([], f"{duration_s:g} s; expected 0 (end it) to {longest_s:g} s")
        if duration_s == 0.0:
            return Outcome(self.interlock.end_bypass(self.now_ns, who, why))
        until_ns = self.now_ns + round(duration_s * 1e9)
        return Outcome(self.interlock.bypass(self.now_ns, until_ns, who, why))

    def _key(self, *, on: bool) -> Outcome:
        bypass = self.interlock.state.bypass
        if on is (bypass is not None and bypass.key):  # it stands as before a restart
            return Outcome([])
        if on:
            until_ns = self.now_ns + self.spec.bypass_longest_ns
            changes = self.interlock.bypass(self.now_ns, until_ns, BYPASS_KEY, "key turned", key=True)
            return Outcome(changes)
        return Outcome(self.interlock.end_bypass(self.now_ns, BYPASS_KEY, "key turned back"))


_LONG_AGO_NS = 1 << 62
