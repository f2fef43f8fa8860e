"""The textbook oracle of `appliance.guard.rack`: what a channel says is found by walking all it was given.

Slow and obvious on purpose: no condition is carried on from step to step, votes are heads counted. The inputs
of one channel come in order of time; between channels they may be late.
"""

import math
from dataclasses import dataclass, field

from appliance.guard.channel import Channel
from appliance.guard.rack import (
    BypassKey,
    Idle,
    Input,
    Machine,
    NotOk,
    RackSpec,
    StartUp,
    Stop,
    Testing,
    Value,
)
from appliance.guard.voting import TripGroup
from appliance.records import Level, MachineState
from appliance.requests import Acknowledge, Bypass, Reset, Shelve

LONG_AGO_NS = -(1 << 70)


@dataclass
class Seen:
    """One input of a channel, and where it was against Alert and Danger as in force at that moment."""

    t_ns: int
    given: Value | NotOk | Idle
    places: tuple[str, ...]


@dataclass
class Holding:
    """A bypass: until when, and whether the key made it."""

    until_ns: int
    key: bool = False


@dataclass
class NaiveRack:
    """What must come out of a rack."""

    spec: RackSpec
    seen: dict[str, list[Seen]] = field(default_factory=dict)
    latched: dict[str, Level] = field(default_factory=dict)
    danger_ns: dict[str, int] = field(default_factory=dict)
    shelved_ns: dict[str, int] = field(default_factory=dict)
    suspects: set[str] = field(default_factory=set)
    bypass: Holding | None = None
    bypasses: int = 0
    tripped: bool = False
    starting: bool = True
    testing: bool = False
    stopped: bool = False
    machine: MachineState = MachineState.UNKNOWN
    asked_ns: int | None = None
    begun_ns: int | None = None
    now_ns: int = 0
    reset: bool = False
    """Whether the last step granted one."""

    def __post_init__(self) -> None:
        self.channels = {one.name: one for one in self.spec.channels}
        self.seen = {name: [] for name in self.channels}
        self._walked: dict[tuple[str, Level, int], tuple[bool, bool]] = {}

    def step(self, t_ns: int, *given: Input) -> bool:
        """Take what came, then vote. Returns whether something had to be refused."""
        if self.begun_ns is None:
            self._begin(t_ns)
        self.now_ns = max(self.now_ns, t_ns)
        self.shelved_ns = {name: end_ns for name, end_ns in self.shelved_ns.items() if end_ns > self.now_ns}
        self.reset = False
        refused = [self._take(t_ns, one) for one in given]
        if not self.inhibited and all(map(self.judged, self._protected())):
            self.starting = False
        if self.bypass and self.bypass.until_ns <= self.now_ns:
            self.bypass = None
        if self.demanded() and not self.bypass:
            self.tripped = True
        return any(refused)

    def restart(self, gone_ns: int) -> None:
        """A power cut: what is not durable is lost; what is left of a time counts on from the next input."""
        passed_ns = self.now_ns + gone_ns
        self.shelved_ns = {name: max(0, end_ns - passed_ns) for name, end_ns in self.shelved_ns.items()}
        if self.bypass:
            self.bypass.until_ns = max(0, self.bypass.until_ns - passed_ns)
        self.danger_ns = {name: LONG_AGO_NS + place for place, name in enumerate(self.in_danger())}
        self.suspects = set(self.danger_ns)
        self.seen, self._walked = {name: [] for name in self.channels}, {}
        self.starting, self.testing, self.stopped = True, False, False
        self.machine, self.asked_ns, self.begun_ns, self.now_ns = MachineState.UNKNOWN, None, None, 0

    @property
    def energise(self) -> bool:
        return not (self.starting or self.tripped or self.testing or self.stopped)

    @property
    def inhibited(self) -> bool:
        return self.begun_ns is not None and self.now_ns < self.begun_ns + self.spec.inhibit_ns

    @property
    def multiplying(self) -> bool:
        if self.spec.multiply <= 1.0 or self.asked_ns is None:
            return False
        return self.now_ns < self.asked_ns + self.spec.multiply_longest_ns

    def setpoints(self, channel: Channel) -> tuple[float | None, ...]:
        """Alert and Danger now."""
        usual = channel.by_state.get(self.machine, channel.setpoints)
        factor = self.spec.multiply if self.multiplying and channel.multiplied else 1.0
        return tuple(None if one is None else one * factor for one in usual)

    def standing(self, name: str) -> Level:
        """What the conditions say, the latch aside."""
        if self._condition(name, Level.DANGER)[0]:
            return Level.DANGER
        known = Level.ALERT if self._condition(name, Level.ALERT)[0] else Level.NORMAL
        return max(known, self.channels[name].not_ok_level) if self.blind(name) else known

    def level(self, name: str) -> Level:
        return max(self.standing(name), self.latched.get(name, Level.NORMAL))

    def in_danger(self) -> list[str]:
        """Channels that reached Danger since the last reset, first out first."""
        return sorted(
            self.danger_ns, key=lambda name: (self.danger_ns[name], list(self.channels).index(name))
        )

    def is_not_ok(self, name: str) -> bool:
        return bool(self.seen[name]) and isinstance(self.seen[name][-1].given, NotOk)

    def blind(self, name: str, upto: int | None = None) -> bool:
        """Whether the inputs end with NOT OK for as long as its delay."""
        ending: list[int] = []
        for one in reversed(self.seen[name][:upto]):
            if not isinstance(one.given, NotOk):
                break
            ending.append(one.t_ns)
        return bool(ending) and ending[0] - ending[-1] >= self.channels[name].not_ok_delay_ns

    def judged(self, name: str) -> bool:
        """Whether it ever gave a value, was idle, or was NOT OK for long enough."""
        seen = self.seen[name]
        spoke = any(not isinstance(one.given, NotOk) for one in seen)
        return spoke or any(self.blind(name, k + 1) for k in range(len(seen)))

    def danger(self, name: str, *, pending: bool = False) -> bool:
        """Whether it votes for the trip. pending: a Danger on its way counts too."""
        if self.standing(name) is Level.DANGER:
            return True
        comes_blind = self.is_not_ok(name) and self.channels[name].not_ok_level is Level.DANGER
        return pending and (comes_blind or name in self.suspects or self._condition(name, Level.DANGER)[1])

    def lost(self, name: str) -> bool:
        """Whether it has no opinion; a model that was never heard has none."""
        idle = bool(self.seen[name]) and isinstance(self.seen[name][-1].given, Idle)
        return idle or self.blind(name) or (self.channels[name].learned and not self.judged(name))

    def demanded(self, *, pending: bool = False) -> list[str]:
        """Groups that vote for the trip."""
        return [one.name for one in self.spec.groups if self._trips(one, pending=pending)]

    def _trips(self, group: TripGroup, *, pending: bool) -> bool:
        votes = [name for name in group.members if self.danger(name, pending=pending)]
        lost = [name for name in group.members if name not in votes and self.lost(name)]
        if not votes or not (group.learned_alone or any(not self.channels[name].learned for name in votes)):
            return False
        if group.hold:
            return len(votes) >= min(group.need, len(group.members) - len(lost))
        return len(votes) + len(lost) >= group.need

    def _condition(self, name: str, level: Level) -> tuple[bool, bool]:
        """Whether the level stands, and whether it does or its delay runs."""
        key = name, level, len(self.seen[name])
        if key not in self._walked:
            self._walked[key] = self._walk(name, level)
        return self._walked[key]

    def _walk(self, name: str, level: Level) -> tuple[bool, bool]:
        """The same, from the channel's whole history."""
        spec = self.channels[name]
        delay_ns = spec.danger_delay_ns if level is Level.DANGER else spec.alert_delay_ns
        stands, beyond_for_ns, inside_since_ns, before_ns = False, None, None, 0
        for one in self.seen[name]:
            passed_ns, before_ns = one.t_ns - before_ns, one.t_ns
            word = one.places[level - 1]
            if word != "back":
                inside_since_ns = None
            if word == "beyond":
                beyond_for_ns = 0 if beyond_for_ns is None else beyond_for_ns + passed_ns
                own_ns = one.given.alert_delay_ns if isinstance(one.given, Value) else None
                wait_ns = delay_ns if own_ns is None or level is Level.DANGER else own_ns
                stands = stands or beyond_for_ns >= wait_ns
            elif word == "unwatched":
                stands, beyond_for_ns = False, None
            elif word != "unseen" and not stands:
                beyond_for_ns = None
            elif word == "back":
                inside_since_ns = one.t_ns if inside_since_ns is None else inside_since_ns
                if one.t_ns - inside_since_ns >= spec.off_delay_ns:
                    stands, beyond_for_ns, inside_since_ns = False, None, None
        return stands, beyond_for_ns is not None

    def _protected(self) -> list[str]:
        found = []
        for name, one in self.channels.items():
            dangers = [one.setpoints.danger, *(setpoints.danger for setpoints in one.by_state.values())]
            may_trip = one.not_ok_level is Level.DANGER or any(danger is not None for danger in dangers)
            if may_trip and not one.learned:
                found.append(name)
        return found

    def _begin(self, t_ns: int) -> None:
        self.begun_ns = self.now_ns = t_ns
        self.shelved_ns = {name: left_ns + t_ns for name, left_ns in self.shelved_ns.items()}
        if self.bypass:
            self.bypass.until_ns += t_ns

    def _take(self, t_ns: int, given: Input) -> bool:
        """Take one input; whether it must be refused."""
        match given:
            case Value() | NotOk() | Idle():
                self._measure(t_ns, given)
            case Machine(state):
                self.machine = state
            case StartUp(asked):
                began_ns = self.now_ns if self.asked_ns is None else self.asked_ns
                self.asked_ns = began_ns if asked else None
            case Testing(on):
                self.testing = on
            case Stop():
                self.stopped = True
            case Acknowledge(channel):
                return channel not in self.channels
            case Shelve():
                return self._shelve(given)
            case Reset():
                return self._reset()
            case Bypass():
                return self._bypass(given)
            case BypassKey(on):
                self._key(on=on)
        return False

    def _measure(self, t_ns: int, given: Value | NotOk | Idle) -> None:
        if self.inhibited and not isinstance(given, Idle):
            return
        if isinstance(given, Value) and math.isnan(given.value):
            given = NotOk(given.channel, "not a number")
        if isinstance(given, Value):
            self.suspects.discard(given.channel)
        channel = self.channels[given.channel]
        places = tuple(_place(channel, given, setpoint) for setpoint in self.setpoints(channel))
        self.seen[given.channel].append(Seen(t_ns, given, places))
        self._remember(given.channel, t_ns)

    def _remember(self, name: str, t_ns: int) -> None:
        standing = self.standing(name)
        stay = [level for level in self.channels[name].latch if level <= standing]
        self.latched[name] = max([self.latched.get(name, Level.NORMAL), *stay])
        if standing is Level.DANGER:
            self.danger_ns.setdefault(name, t_ns)

    def _reset(self) -> bool:
        if self.starting or self.demanded(pending=True):
            return True
        self.tripped, self.latched, self.danger_ns, self.suspects = False, {}, {}, set()
        self.reset = True
        for name in self.channels:
            self._remember(name, self.now_ns)
        return False

    def _shelve(self, given: Shelve) -> bool:
        length_ns = round(given.duration_s * 1e9)
        if given.channel not in self.channels or not 0 <= length_ns <= self.spec.shelve_longest_ns:
            return True
        self.shelved_ns.pop(given.channel, None)
        if length_ns:
            self.shelved_ns[given.channel] = self.now_ns + length_ns
        return False

    def _bypass(self, given: Bypass) -> bool:
        length_ns = round(given.duration_s * 1e9)
        if not given.who.strip() or not given.why.strip():
            return True
        if not 0 <= length_ns <= self.spec.bypass_longest_ns:
            return True
        self.bypass = Holding(self.now_ns + length_ns) if length_ns else None
        self.bypasses += bool(length_ns)
        return False

    def _key(self, *, on: bool) -> None:
        turned = self.bypass is not None and self.bypass.key
        if on and not turned:
            self.bypass = Holding(self.now_ns + self.spec.bypass_longest_ns, key=True)
            self.bypasses += 1
        elif turned and not on:
            self.bypass = None


def _place(spec: Channel, given: Value | NotOk | Idle, setpoint: float | None) -> str:
    """Where an input is against a setpoint."""
    if isinstance(given, Idle):
        return "idle"
    if isinstance(given, NotOk):
        least = given.at_least
        reached = setpoint is not None and least is not None and least >= setpoint and not spec.under
        return "beyond" if reached else "unseen"
    if setpoint is None:
        return "unwatched"
    value, band = given.value, spec.deadband * abs(setpoint)
    if spec.under:
        return "beyond" if value <= setpoint else "near" if value <= setpoint + band else "back"
    return "beyond" if value >= setpoint else "near" if value >= setpoint - band else "back"
