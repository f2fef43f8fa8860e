"""A rack beside its oracle: every step is compared, every invariant checked, and how often each one counted.

`tests/guard/test_rack_properties.py` lets hypothesis draw the moves, `tools/prove_rack` a seeded generator.
"""

from collections import Counter
from random import Random

from naive_rack import NaiveRack
from rack_moves import MOVES, NAMES, SCORE, TEMPERATURE, UNDER, S, any_spec

from appliance.guard.channel import Change, What
from appliance.guard.rack import Idle, Input, NotOk, Rack, RackSpec, Value
from appliance.records import Level

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
MOVED = (What.RAISED, What.CLEARED)
PASSES_NS = (0, 0, S // 4, S // 2, S, S, S, 2 * S, 5 * S)
STEPS = 50
POWER_CUTS = 0.02
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
            assert left == max(0, left_ns[name] - gone_ns), INVARIANTS["restart"]
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


def play(seed: str, moves: Counter[str], held: Counter[str], *, show: bool = False) -> None:
    """One plant, one operator, from a seed; counts moves and invariants. Raises AssertionError."""
    draw = Random(seed)
    proof = RackProof(any_spec(draw), held)
    weights = [often for often, _ in MOVES.values()]
    for _ in range(STEPS):
        if draw.random() < POWER_CUTS:
            proof.restart(draw)
            moves["power cut"] += 1
        name = draw.choices(list(MOVES), weights)[0]
        given = MOVES[name][1](draw)
        if show:
            print(f"{proof.now_ns / 1e9:8.2f} s  {name}: {given}")
        proof.step(draw, *given)
        moves[name] += 1
