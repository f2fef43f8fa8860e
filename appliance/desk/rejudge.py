"""`appliance replay EVIDENCE`: what the box measured and decided, from its raw counts and trace once more.

Three comparisons, each bit for bit: the inputs made from the counts with those that the rack was given; the
rack, run from its first snapshot with those inputs, with every later snapshot; its changes with those told.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

import msgspec

import appliance
from appliance.clock import WallClock
from appliance.desk import evidence_file, recompute
from appliance.desk.evidence_file import Alarm
from appliance.errors import ApplianceError
from appliance.guard.channel import Change
from appliance.guard.rack import Idle, Input, NotOk, Rack, Value
from appliance.guard.report import Reporter
from appliance.guard.trace import Given, changes_of, rack_of, steps_of
from appliance.records import Trace


@dataclass
class Judged:
    """What came of it. holes: in the trace. differences: in words, none where all is identical."""

    inputs: int = 0
    holes: int = 0
    snapshots: int = 0
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
    if judged.holes:
        print(f"{judged.holes} holes in the trace: from each to the next snapshot nothing is judged")
    print(
        f"{path.name}: {judged.inputs} inputs from the raw counts, {judged.snapshots} snapshots of the rack, "
        f"{len(judged.changes)} changes: {judged.differences[0] if judged.differences else 'identical'}"
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
    return judged


def _run(traces: Iterable[Trace], judged: Judged) -> list[Given]:
    """Let the rack judge every step; it goes on after a hole in the trace with the next snapshot."""
    rack: Rack | None = None
    given: list[Given] = []
    expected_seq: int | None = None
    for trace in traces:
        if trace.seq != expected_seq:
            judged.holes += expected_seq is not None
            rack = None
        expected_seq = trace.seq + 1
        if trace.snapshot:
            rack = _at_snapshot(rack, trace, judged)
        if rack is None:
            continue
        changes: list[Change] = []
        for t_ns, inputs in steps_of(trace):
            given.append((t_ns, inputs))
            changes += rack.step(t_ns, *inputs).changes
        _compare_changes(changes, changes_of(trace), judged)
        judged.changes += changes
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


def _compare_changes(now: list[Change], then: list[Change], judged: Judged) -> None:
    for one, other in zip_longest(now, then):
        if one != other:
            judged.differences.append(f"{_verdict(one)} now, {_verdict(other)} then")


def _verdict(change: Change | None) -> str:
    return f"{change.what.value} of {change.name or 'the rack'} at {change.t_ns} ns" if change else "nothing"


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
