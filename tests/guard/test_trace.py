"""The trace: what a rack was given can be given once more, with the same outcome bit for bit."""

import msgspec

from appliance.guard.channel import Channel, Setpoints
from appliance.guard.rack import Input, NotOk, Outcome, Rack, RackSpec, Tick, Value
from appliance.guard.trace import Tracer, rack_of, steps_of
from appliance.guard.voting import TripGroup
from appliance.records import Trace
from appliance.requests import Acknowledge, Bypass, Reset, Shelve

S = 1_000_000_000
SPEC = RackSpec(
    (
        Channel("a", "mm/s", Setpoints(10.0, 20.0), danger_delay_ns=3 * S),
        Channel("b", "mm/s", Setpoints(1.0, 2.0)),
    ),
    (TripGroup("a", 1, ("a",)), TripGroup("b", 1, ("b",))),
)


class Recorded:
    """A rack with its tracer, and what came of every step."""

    def __init__(self) -> None:
        self.rack = Rack(SPEC)
        self.tracer = Tracer(self.rack)
        self.outcomes: list[Outcome] = []

    def step(self, t_ns: int, *given: Input) -> None:
        self.tracer.add(t_ns, given)
        self.outcomes.append(self.rack.step(t_ns, *given))

    def take(self) -> Trace:
        trace = self.tracer.take()
        assert trace is not None
        return trace


def replayed(traces: list[Trace]) -> list[Outcome]:
    rack = rack_of(traces[0])
    return [rack.step(t_ns, *given) for trace in traces for t_ns, given in steps_of(trace)]


def test_every_kind_of_step_comes_out_as_it_went_in() -> None:
    one = Recorded()
    given = (
        Value("a", 0.1),
        Value("a", 0.1, 5 * S),
        NotOk("b", "gap", 0.3),
        Bypass("ann", "repair", 1.0),
        Acknowledge("a", "ann"),
        Shelve("a", "ann", "known", 1.0),
        Reset("ann", "done"),
        Tick(),
    )
    one.step(5, *given)
    trace = one.take()
    assert (trace.seq, trace.at_mono_ns) == (0, 5)
    assert steps_of(trace) == [(5, given)]


def test_a_replay_has_the_same_outcomes_from_any_snapshot_on() -> None:
    one, traces = Recorded(), []
    for k in range(30):
        one.step(k * S, Value("a", 30.0 if 10 < k < 20 else 1.0 / (k + 1)), Value("b", k % 7 / 3))
        if k == 15:
            one.step(k * S, Bypass("ann", "repair", 2.0))
        traces.append(one.take())
    assert any(outcome.changes for outcome in one.outcomes)
    assert replayed(traces) == one.outcomes
    begins = [k for k, trace in enumerate(traces) if trace.snapshot]
    assert len(begins) > 5
    for begin in begins:
        after = sum(len(steps_of(trace)) for trace in traces[:begin])
        assert replayed(traces[begin:]) == one.outcomes[after:]


def test_a_snapshot_is_taken_every_two_seconds_before_the_first_step_of_a_trace() -> None:
    one, found = Recorded(), []
    for t_ns in (0, S, 3 * S - 1, 3 * S, 4 * S):
        one.step(t_ns, Tick())
        found.append(bool(one.take().snapshot))
    assert found == [True, False, False, True, False]


def test_no_snapshot_in_the_midst_of_steps() -> None:
    one = Recorded()
    for t_s in (0, 1, 5):
        one.step(t_s * S, Tick())
    trace = one.take()
    assert len(steps_of(trace)) == 3
    assert rack_of(trace).snapshot() == Rack(SPEC).snapshot()


def test_nothing_given_nothing_taken() -> None:
    one = Recorded()
    assert one.tracer.take() is None
    one.step(0, Tick())
    assert one.take().seq == 0
    assert one.tracer.take() is None
    one.step(S, Tick())
    assert one.take().seq == 1


def test_what_nobody_takes_is_dropped_leaves_a_hole_and_begins_with_a_snapshot() -> None:
    one = Recorded()
    one.step(0, Tick())
    one.take()
    for k in range(5_001):
        one.step(k, Tick())
    trace = one.take()
    assert trace.seq == 2
    assert len(steps_of(trace)) == 1
    assert trace.snapshot


def test_a_trace_crosses_the_socket() -> None:
    one = Recorded()
    one.step(0, Value("a", 1.0))
    trace = one.take()
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(trace), type=Trace) == trace
