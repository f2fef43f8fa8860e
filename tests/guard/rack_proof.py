"""A rack beside its oracle: every step is compared, every invariant checked, and how often each one counted.

`moves` are random plant and operator; `tests/guard/test_rack_properties.py` lets hypothesis draw them,
`tools/prove_rack` a seeded generator.
"""

import math
from collections import Counter
from collections.abc import Callable
from random import Random

from naive_rack import NaiveRack

from appliance.guard.channel import Change, Channel, Setpoints, What
from appliance.guard.rack import (
    BypassKey,
    Idle,
    Input,
    Machine,
    NotOk,
    Rack,
    RackSpec,
    StartUp,
    Stop,
    Testing,
    Tick,
    Value,
)
from appliance.guard.voting import TripGroup
from appliance.records import Acknowledge, Bypass, Level, MachineState, Reset, Shelve

S = 1_000_000_000
VIBRATION, UNDER, TEMPERATURE, SCORE = ("a", "b", "c"), "pressure", "temperature", "score"
NAMES = (*VIBRATION, UNDER, TEMPERATURE, SCORE)
VALUES = (
    0.0,
    3.0,
    4.0,
    4.5,
    6.0,
    7.0,
    8.0,
    11.0,
    12.0,
    13.0,
    16.0,
    17.0,
    24.0,
    31.0,
    32.0,
    48.0,
    math.inf,
    math.nan,
)
CALM = dict.fromkeys(NAMES, 0.0) | {UNDER: 48.0}
STATES = tuple(MachineState)

INVARIANTS = {
    "trip": "Danger beyond its delay trips in the same step, unless bypassed",
    "latch": "a trip is cleared by a granted reset alone, never while a Danger stands or is on its way",
    "bypass": "a bypass never outlasts its time, nor the longest one",
    "order": "what comes at one time may come in any order, and one by one it trips too",
    "snapshot": "from a snapshot everything goes on exactly",
    "restart": "a power cut clears no trip and lengthens no bypass or shelving; the relay starts open",
    "goes on": "a Danger that goes on after a power cut trips at latest one delay later",
    "not ok": "NOT OK lowers no level, and raises its policy's after its delay",
    "multiply": "a multiplier leaves temperature and NOT OK alone",
    "relay": "the relay is energised only if every reason to drop it is absent",
}


def any_spec(draw: Random) -> RackSpec:
    """Six channels in random groups."""
    seconds = (0, 0, 1, 3)
    return RackSpec(
        channels=tuple(_any_channel(draw, name) for name in NAMES),
        groups=_any_groups(draw),
        inhibit_ns=draw.choice((0, 0, 2 * S)),
        multiply=draw.choice((1.0, 2.0, 3.0)),
        multiply_longest_ns=draw.choice(seconds[1:]) * 5 * S,
        bypass_longest_ns=30 * S,
        shelve_longest_ns=30 * S,
    )


def _any_channel(draw: Random, name: str) -> Channel:
    seconds = (0, 0, 1, 3)
    alert, danger = (12.0, 6.0) if name == UNDER else (8.0, 16.0)
    usual = draw.choices(
        (Setpoints(alert, danger), Setpoints(alert, None), Setpoints(None, danger)), (8, 1, 1)
    )[0]
    states = draw.sample(STATES, draw.randrange(3))
    choices = (Setpoints(), Setpoints(alert + 4.0, danger + 8.0), Setpoints(None, danger))
    worst = Level.ALERT if name == SCORE else Level.DANGER
    return Channel(
        name,
        "mm/s",
        usual,
        by_state={state: draw.choice(choices) for state in states},
        under=name == UNDER,
        alert_delay_ns=draw.choice(seconds) * S,
        danger_delay_ns=draw.choice(seconds) * S,
        off_delay_ns=draw.choice(seconds) * S,
        deadband=draw.choice((0.0, 0.25)),
        latch=frozenset(draw.sample((Level.ALERT, Level.DANGER), draw.randrange(3))),
        multiplied=name in VIBRATION,
        learned=name == SCORE,
        not_ok_level=min(worst, draw.choice(tuple(Level))),
        not_ok_delay_ns=draw.choice(seconds) * S,
        realarm_ns=draw.choice((0, 5 * S)),
    )


def _any_groups(draw: Random) -> tuple[TripGroup, ...]:
    voting = draw.sample(NAMES, draw.choice((0, 2, 3, 3)))
    groups = [TripGroup(name, 1, (name,)) for name in NAMES if name not in voting and name != SCORE]
    if voting:
        need = draw.randint(1, len(voting))
        hold, alone = draw.random() < 0.4, draw.random() < 0.2
        groups.insert(0, TripGroup("vote", need, tuple(voting), hold=hold, learned_alone=alone))
    return tuple(groups)


def _measured(draw: Random) -> tuple[Input, ...]:
    """Some channels, mostly with values."""
    names = draw.sample(NAMES, draw.randint(1, 4))
    return tuple(_one(draw, name) for name in names)


def _one(draw: Random, name: str) -> Input:
    kind = draw.random()
    if kind < 0.5:
        return Value(name, CALM[name])
    if kind < 0.8:
        return Value(name, draw.choice(VALUES))
    if kind < 0.95:
        return NotOk(name, "gone", draw.choice((None, None, *VALUES)))
    return Idle(name, "learning")


def _bad_everywhere(draw: Random) -> tuple[Input, ...]:
    return tuple(Value(name, 0.0 if name == UNDER else draw.choice((32.0, 48.0))) for name in NAMES)


def _good_everywhere(_draw: Random) -> tuple[Input, ...]:
    return tuple(Value(name, CALM[name]) for name in NAMES)


def _gone_everywhere(_draw: Random) -> tuple[Input, ...]:
    return tuple(NotOk(name, "gone") for name in NAMES)


def _bypass(draw: Random) -> tuple[Input, ...]:
    return (
        Bypass(
            draw.choice(("ann", "ann", "ann", " ")), "repair", draw.choice((0.0, 1.0, 5.0, 30.0, 31.0, -1.0))
        ),
    )


def _shelve(draw: Random) -> tuple[Input, ...]:
    name = draw.choice((*NAMES, "nobody"))
    return (Shelve(name, "ann", "known", draw.choice((0.0, 1.0, 5.0, 30.0, 31.0, -1.0))),)


Move = Callable[[Random], tuple[Input, ...]]
MOVES: dict[str, tuple[float, Move]] = {
    "measured": (40, _measured),
    "all in Danger": (4, _bad_everywhere),
    "all normal": (16, _good_everywhere),
    "all NOT OK": (4, _gone_everywhere),
    "reset": (16, lambda _: (Reset("ann", "repaired"),)),
    "bypass": (4, _bypass),
    "bypass key": (3, lambda draw: (BypassKey(draw.random() < 0.5),)),
    "start-up": (4, lambda draw: (StartUp(draw.random() < 0.6),)),
    "machine": (4, lambda draw: (Machine(draw.choice(STATES)),)),
    "shelve": (3, _shelve),
    "acknowledge": (2, lambda draw: (Acknowledge(draw.choice((*NAMES, "nobody")), "ann"),)),
    "tick": (3, lambda _: (Tick(),)),
    "proof test": (2, lambda draw: (Testing(draw.random() < 0.4),)),
    "stop": (0.2, lambda _: (Stop(),)),
}
"""Name -> (how often, what is given)."""
MOVED = (What.RAISED, What.CLEARED)
PASSES_NS = (0, 0, S // 4, S // 2, S, S, S, 2 * S, 5 * S)
GONE_NS = (0, S, 10 * S, 60 * S)


class RackProof:
    """One rack from its first input on. Raises AssertionError for what must never be."""

    def __init__(self, spec: RackSpec, counts: Counter[str] | None = None) -> None:
        """counts: how often each invariant had something to say; shared by several proofs."""
        self.spec = spec
        self.counts: Counter[str] = Counter() if counts is None else counts
        self.rack, self.naive = Rack(spec), NaiveRack(spec)
        self.now_ns = 0
        self._last: dict[str, tuple[int, Value | NotOk | Idle]] = {}

    def step(self, draw: Random, *given: Input) -> None:
        """Time passes, the rack takes what came, and everything is checked."""
        self.now_ns += draw.choice(PASSES_NS)
        late_ns = draw.choice((0, 0, S // 4, S)) if self.naive.begun_ns is not None else 0
        measured = [one for one in given if isinstance(one, Value | NotOk | Idle)]
        heard_ns = [self._last[one.channel][0] for one in measured if one.channel in self._last]
        t_ns = max([self.now_ns - late_ns, *heard_ns]) if measured else self.now_ns
        several = len(measured) == len(given) > 1
        twin, *others = (Rack(self.spec, state=self.rack.snapshot()) for _ in range(3 if several else 1))
        tripped = self.rack.tripped
        levels = self._levels()
        on_its_way = self.naive.demanded(pending=True)
        outcome, refused = self.rack.step(t_ns, *given), self.naive.step(t_ns, *given)
        for one in measured:
            self._last[one.channel] = t_ns, one
        assert twin.step(t_ns, *given) == outcome, INVARIANTS["snapshot"]
        assert twin.snapshot() == self.rack.snapshot(), INVARIANTS["snapshot"]
        self.counts["snapshot"] += 1
        assert bool(outcome.refused) is refused, (given, outcome.refused)
        self._agrees()
        self._told(outcome.changes, levels, tripped=tripped)
        self._trips()
        self._unlatches(tripped, on_its_way)
        self._not_ok(measured, levels)
        self._bypass()
        self._multiply()
        if several:
            self._order(draw.sample(measured, len(measured)), t_ns, *others)

    def restart(self, draw: Random) -> None:
        """A power cut, and the time the box is without power."""
        gone_ns = draw.choice(GONE_NS)
        old, kept = self.rack, self.rack.kept().after(gone_ns / 1e9)
        left_ns = self._left_ns()
        self.rack = Rack(self.spec, kept=kept)
        self.naive.restart(gone_ns)
        assert self.rack.tripped is old.tripped, INVARIANTS["restart"]
        assert not self.rack.interlock.energise, INVARIANTS["restart"]
        assert kept == self.rack.kept(), INVARIANTS["restart"]
        for name, left in self._left_ns().items():
            assert left == left_ns[name] - gone_ns, INVARIANTS["restart"]
        self.counts["restart"] += 1
        self._agrees()
        self._goes_on(kept)
        self.now_ns = draw.choice((0, self.now_ns, 1 << 60))
        self._last = {}

    def _agrees(self) -> None:
        """Everything a rack shows, against the oracle."""
        rack, naive = self.rack, self.naive
        assert rack.tripped is naive.tripped
        assert rack.protecting is not naive.starting
        assert rack.interlock.energise is naive.energise, INVARIANTS["relay"]
        assert rack.interlock.energise is not any(
            (naive.starting, naive.tripped, naive.testing, naive.stopped)
        ), INVARIANTS["relay"]
        assert bool(rack.interlock.reasons) is not naive.energise, INVARIANTS["relay"]
        self.counts["relay"] += rack.interlock.energise
        assert self._levels() == {name: naive.level(name) for name in NAMES}
        assert rack.engine.level is max(map(naive.level, NAMES))
        assert rack.engine.in_danger() == naive.in_danger()
        first = naive.in_danger()[:1]
        for state in rack.channels():
            name = state.channel
            assert state.ok is not naive.is_not_ok(name)
            assert state.first_out is ([name] == first)
            assert state.latched is (naive.latched.get(name, Level.NORMAL) > Level.NORMAL)
            assert state.shelved is (name in naive.shelved_ns)
            assert (state.alert, state.danger) == naive.setpoints(naive.channels[name])
        for group in rack.groups():
            votes = [name for name in group.members if naive.danger(name)]
            lost = [name for name in group.members if name not in votes and naive.lost(name)]
            assert (list(group.danger), list(group.blind)) == (votes, lost), (group, votes, lost)
        assert (rack.bypass() is None) is (naive.bypass is None)
        if naive.bypass:
            assert rack.bypass().until_mono_ns == naive.bypass.until_ns
        assert rack.interlock.state.bypasses == naive.bypasses

    def _trips(self) -> None:
        if self.naive.demanded():
            assert self.rack.tripped or self.rack.bypass(), INVARIANTS["trip"]
            assert not self.rack.interlock.energise or self.rack.bypass(), INVARIANTS["trip"]
            self.counts["trip"] += self.rack.bypass() is None

    def _told(self, changes: list[Change], before: dict[str, Level], *, tripped: bool) -> None:
        """Every change of level, trip and reset is told, once. before, tripped: before the step."""
        now = self._levels()
        rises = sorted((one.name, one.what.value) for one in changes if one.what in MOVED)
        kind = {name: (What.RAISED if now[name] > before[name] else What.CLEARED).value for name in NAMES}
        assert rises == sorted((name, kind[name]) for name in NAMES if now[name] is not before[name])
        told = Counter(one.what for one in changes)
        assert told[What.RESET] == self.naive.reset
        assert told[What.TRIPPED] == (self.rack.tripped and (not tripped or self.naive.reset))

    def _unlatches(self, tripped: bool, on_its_way: list[str]) -> None:
        """tripped, on_its_way: before the step."""
        if tripped and not self.rack.tripped:
            assert self.naive.reset, INVARIANTS["latch"]
            assert not on_its_way, INVARIANTS["latch"]
        self.counts["latch"] += tripped

    def _not_ok(self, measured: list[Value | NotOk | Idle], before: dict[str, Level]) -> None:
        """before: levels before the step."""
        for one in measured:
            if not isinstance(one, NotOk):
                continue
            level = self._levels()[one.channel]
            assert level >= before[one.channel], INVARIANTS["not ok"]
            if self.naive.blind(one.channel):
                assert level >= self.naive.channels[one.channel].not_ok_level, INVARIANTS["not ok"]
                self.counts["not ok"] += 1

    def _bypass(self) -> None:
        if bypass := self.rack.bypass():
            assert self.rack.now_ns < bypass.until_mono_ns, INVARIANTS["bypass"]
            length_ns = bypass.until_mono_ns - bypass.since_mono_ns
            assert 0 < length_ns <= self.spec.bypass_longest_ns, INVARIANTS["bypass"]
            self.counts["bypass"] += 1

    def _multiply(self) -> None:
        if not self.rack.engine.state.multiplying:
            return
        for name in (UNDER, TEMPERATURE, SCORE):
            spec, now = self.naive.channels[name], self.rack.engine.state_of(name)
            usual = spec.by_state.get(self.naive.machine, spec.setpoints)
            assert (now.alert, now.danger) == usual, INVARIANTS["multiply"]
        for name in filter(self.naive.blind, NAMES):
            level = self.rack.engine.state_of(name).level
            assert level >= self.naive.channels[name].not_ok_level, INVARIANTS["multiply"]
        self.counts["multiply"] += 1

    def _order(self, mixed: list[Value | NotOk | Idle], t_ns: int, together: Rack, apart: Rack) -> None:
        """The same inputs in another order, together and one by one."""
        together.step(t_ns, *mixed)
        assert together.snapshot() == self.rack.snapshot(), INVARIANTS["order"]
        for one in mixed:
            apart.step(t_ns, one)
        assert _levels_of(apart) == self._levels(), INVARIANTS["order"]
        assert apart.engine.in_danger() == self.rack.engine.in_danger(), INVARIANTS["order"]
        assert apart.tripped >= self.rack.tripped, INVARIANTS["order"]
        self.counts["order"] += 1

    def _goes_on(self, kept: object) -> None:
        """The last of every channel goes on after the power cut."""
        rack = Rack(self.spec, kept=kept)
        longest_ns = max(one.danger_delay_ns for one in self.spec.channels)
        for t_ns in (0, self.spec.inhibit_ns, self.spec.inhibit_ns + longest_ns):
            rack.step(t_ns, *(one for _, one in self._last.values()))
        for group in self.spec.groups:
            name = group.members[0]
            last = self._last.get(name, (0, Idle(name, "")))[1]
            danger = rack.engine.state_of(name).danger
            if len(group.members) > 1 or not isinstance(last, Value) or danger is None:
                continue
            if last.value <= danger if name == UNDER else last.value >= danger:
                assert rack.tripped or rack.bypass(), INVARIANTS["goes on"]
                self.counts["goes on"] += rack.bypass() is None

    def _levels(self) -> dict[str, Level]:
        return _levels_of(self.rack)

    def _left_ns(self) -> dict[str, int]:
        """What is left of shelvings and of the bypass."""
        channels = self.rack.engine.state.channels
        ends = {name: one.shelved_until_ns for name, one in channels.items()}
        ends["bypass"] = bypass.until_mono_ns if (bypass := self.rack.bypass()) else None
        return {name: end_ns - self.rack.now_ns for name, end_ns in ends.items() if end_ns is not None}


def _levels_of(rack: Rack) -> dict[str, Level]:
    return {name: memory.level for name, memory in rack.engine.state.channels.items()}
