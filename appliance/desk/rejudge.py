"""`appliance replay EVIDENCE`: what the box measured and decided, from its raw counts and trace once more.

Three comparisons, each bit for bit: the inputs made from the counts with those that the rack was given; the
rack, run from its first snapshot with those inputs, with every later snapshot; its changes with the events
that were told.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

import appliance
from appliance.clock import WallClock
from appliance.desk import evidence_file, recompute
from appliance.desk.evidence_file import Alarm
from appliance.errors import ApplianceError
from appliance.guard.channel import Change, What
from appliance.guard.rack import Idle, Input, NotOk, Rack, Value
from appliance.guard.report import Reporter
from appliance.guard.trace import Given, rack_of, steps_of
from appliance.records import Event, Trace

_TOLD_NS = 1_000_000_000
"""An event may be on its way for so long: it is durable before it is told."""
_TYPES = {what.value for what in What}
Fact = tuple[object, ...]


@dataclass
class Judged:
    """What came of it. differences: in words, none where all is identical."""

    inputs: int = 0
    snapshots: int = 0
    events: int = 0
    changes: list[Change] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)


def run(path: Path) -> int:
    """Print the verdicts and how they compare; exit status 0 identical, 1 not."""
    alarm = evidence_file.read(path)
    judged = rejudge(alarm)
    report = Reporter("", WallClock(live=False))
    at_ns = alarm.meta["at_mono_ns"]
    for change in judged.changes:
        words = report.change(change).message.removeprefix(": ")
        print(f"{(change.t_ns - at_ns) / 1e9:+8.2f} s  {change.what.value:18s} {words}")
    if alarm.record.appliance != appliance.__version__:
        print(f"written by appliance {alarm.record.appliance}, judged by {appliance.__version__}")
    print(
        f"{path.name}: {judged.inputs} inputs from the raw counts, {judged.snapshots} snapshots of the rack, "
        f"{judged.events} events: {judged.differences[0] if judged.differences else 'identical'}"
    )
    return int(bool(judged.differences))


def rejudge(alarm: Alarm) -> Judged:
    """Compare. Raises ApplianceError where the trace is of another version."""
    judged = Judged()
    if not any(trace.snapshot for trace in alarm.traces):
        judged.differences.append("no snapshot in the trace, so nothing can be judged")
        return judged
    try:
        given = _run(alarm.traces, judged)
    except (msgspec.DecodeError, KeyError) as fault:
        found = f"{alarm.path}: trace.msgpack: {fault!r}; expected a trace of this version"
        raise ApplianceError(f"{found}; replay it with appliance {alarm.record.appliance}") from fault
    _compare_inputs(alarm, given, judged)
    _compare_events(alarm, given, judged)
    return judged


def _run(traces: Iterable[Trace], judged: Judged) -> list[Given]:
    """Let the rack judge every step; it goes on after a hole in the trace with the next snapshot."""
    rack: Rack | None = None
    given: list[Given] = []
    expected_seq = None
    for trace in traces:
        if trace.seq != expected_seq:
            rack = None
        expected_seq = trace.seq + 1
        if trace.snapshot:
            rack = _at_snapshot(rack, trace, judged)
        if rack is None:
            continue
        for t_ns, inputs in steps_of(trace):
            given.append((t_ns, inputs))
            judged.changes += rack.step(t_ns, *inputs).changes
    return given


def _at_snapshot(rack: Rack | None, trace: Trace, judged: Judged) -> Rack:
    then = rack_of(trace)
    if rack is not None:
        judged.snapshots += 1
        now, before = msgspec.to_builtins(rack.snapshot()), msgspec.to_builtins(then.snapshot())
        place = next(_differing(now, before, "rack"), None)
        if place:
            judged.differences.append(f"at {trace.at_mono_ns} ns {place}")
    return then


def _differing(now: object, then: object, place: str) -> Iterator[str]:
    """Every place where two snapshots differ, with both values."""
    if isinstance(now, dict) and isinstance(then, dict) and now.keys() == then.keys():
        for key in now:
            yield from _differing(now[key], then[key], f"{place}.{key}")
    elif now != then:
        yield f"{place} is {now!r}, was {then!r}"


def _compare_inputs(alarm: Alarm, given: list[Given], judged: Judged) -> None:
    traced: dict[tuple[int, str], Input] = {
        (t_ns, one.channel): one
        for t_ns, inputs in given
        for one in inputs
        if isinstance(one, Value | NotOk | Idle)
    }
    for track in alarm.tracks:
        for compared in recompute.inputs(track, traced):
            judged.inputs += 1
            if not compared.identical:
                found = f"{compared.channel} at {compared.t_ns} ns: the counts give {compared.found}"
                judged.differences.append(f"{found}, the rack was given {compared.traced}")


def _compare_events(alarm: Alarm, given: list[Given], judged: Judged) -> None:
    record = alarm.record
    begin_ns = max(min(t_ns for t_ns, _ in given), record.at_mono_ns - round(record.pre_s * 1e9))
    end_ns = max(t_ns for t_ns, _ in given) - _TOLD_NS
    report = Reporter("", WallClock(live=False))
    made = {_fact(report.change(change)) for change in _told(judged.changes)}
    told = {_fact(event) for event in record.events if event.type in _TYPES}
    judged.events = len(told)
    for fact in sorted(made ^ told, key=str):
        if begin_ns <= int(str(fact[0])) <= end_ns:
            which = "was told, and does not follow" if fact in told else "follows, and was not told"
            judged.differences.append(f"{fact[1]} of {fact[2] or 'the rack'} at {fact[0]} ns {which}")


def _told(changes: list[Change]) -> Iterator[Change]:
    """Those that become events: a trip tells of the Danger that brought it."""
    fired = {(one.t_ns, one.state.channel) for one in changes if one.what is What.TRIPPED and one.state}
    return (one for one in changes if one.what is not What.RAISED or (one.t_ns, one.name) not in fired)


def _fact(event: Event) -> Fact:
    """What an event says of the verdict itself: not its clock, latency, score or action."""
    verdict = (event.value, event.limit, event.unit, event.zone, event.who, event.why)
    return (event.at_mono_ns, event.type, event.channel, *verdict)
