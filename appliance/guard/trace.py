"""The trace: what the rack was given and made of it, in order, so that evidence can be judged once more."""

import msgspec

from appliance.guard.channel import Change
from appliance.guard.rack import Input, Rack, RackSpec, RackState
from appliance.records import Trace

_SNAPSHOT_NS = 2_000_000_000
_MOST_STEPS = 5_000

Given = tuple[int, tuple[Input, ...]]


class _Snapshot(msgspec.Struct, frozen=True):
    spec: RackSpec
    state: RackState


class _Encoded(msgspec.Struct, frozen=True):
    """A snapshot whose spec, which never changes, was encoded long ago."""

    spec: msgspec.Raw
    state: RackState


class Tracer:
    """Gathers steps; every two seconds they begin with a snapshot of the rack."""

    def __init__(self, rack: Rack) -> None:
        self._rack = rack
        self._spec = msgspec.Raw(msgspec.msgpack.encode(rack.spec))
        self._steps: list[Given] = []
        self._changes: list[Change] = []
        self._snapshot = b""
        self._snapshot_ns: int | None = None
        self._seq = 0

    def add(self, t_ns: int, given: tuple[Input, ...]) -> None:
        """Call before the rack takes the step. What nobody takes is dropped, and leaves a hole in `seq`."""
        if len(self._steps) >= _MOST_STEPS:
            self._steps, self._changes, self._snapshot_ns = [], [], None
            self._seq += 1
        now_ns = self._rack.now_ns
        if not self._steps and (self._snapshot_ns is None or now_ns - self._snapshot_ns >= _SNAPSHOT_NS):
            encoded = _Encoded(self._spec, self._rack.snapshot())
            self._snapshot, self._snapshot_ns = msgspec.msgpack.encode(encoded), now_ns
        self._steps.append((t_ns, given))

    def changed(self, changes: list[Change]) -> None:
        """Call after the rack has taken the step: what it made of it."""
        self._changes += changes

    def take(self) -> Trace | None:
        """The steps since the last call; None if there were none."""
        if not self._steps:
            return None
        trace = Trace(
            self._seq,
            self._steps[0][0],
            self._snapshot,
            msgspec.msgpack.encode(self._steps),
            msgspec.msgpack.encode(self._changes),
        )
        self._steps, self._changes, self._snapshot = [], [], b""
        self._seq += 1
        return trace


def rack_of(trace: Trace) -> Rack:
    """The rack before the first step of a trace that has a snapshot. Raises msgspec.DecodeError."""
    snapshot = msgspec.msgpack.decode(trace.snapshot, type=_Snapshot)
    return Rack(snapshot.spec, state=snapshot.state)


def steps_of(trace: Trace) -> list[Given]:
    """The steps of a trace. Raises msgspec.DecodeError."""
    return msgspec.msgpack.decode(trace.steps, type=list[Given])


def changes_of(trace: Trace) -> list[Change]:
    """What the rack made of the steps of a trace. Raises msgspec.DecodeError."""
    return msgspec.msgpack.decode(trace.changes, type=list[Change])
