"""Evidence: the last seconds of all that the guard says, and what of it belongs to an alarm. No I/O."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from appliance.analysis.alarm_record import WindowRecord
from appliance.config import Evidence
from appliance.records import (
    Capture,
    Event,
    EventKind,
    GuardState,
    Notice,
    SampleBlock,
    TemperatureReading,
    Trace,
)
from appliance.wire import Message
from hw.evidence import Track, block_type
from hw.waveform import Gap

_LATE_S = 3.0
"""So long after it, in real time, an alarm may still be told of: its event is durable first."""
_MOST_LATE_S = 60.0
"""The same in the time of a simulated machine that lives faster; memory is bounded."""
_TOGETHER_NS = 1_000_000_000
"""Alarms of the same second share their evidence."""
_STATE_NS = 1_000_000_000
_SILENT_S = 1.0
"""Real time that the seconds after an alarm may take longer: a sensor that is dead never gives them."""
Timed = TypeVar("Timed", TemperatureReading, GuardState, Event)


@dataclass(frozen=True, slots=True)
class Order:
    """Captures of one moment. heard_s: real time of the first."""

    captures: list[Capture]
    heard_s: float

    @property
    def at_mono_ns(self) -> int:
        """When it began."""
        return min(capture.at_mono_ns for capture in self.captures)


class EvidenceRing:
    """Keeps what was said for as long as an alarm may ask for it."""

    def __init__(self, settings: Evidence, speed: float = 1.0) -> None:
        """speed: seconds of the machine in a second of ours; a simulated one may live faster."""
        self._pre_ns, self._post_ns = round(settings.pre_s * 1e9), round(settings.post_s * 1e9)
        self._patience_s = settings.post_s + _SILENT_S
        late_s = min(_MOST_LATE_S, _LATE_S * max(1.0, speed))
        self._span_ns = self._pre_ns + self._post_ns + round(late_s * 1e9)
        self._newest_ns = 0
        self._blocks: dict[str, deque[SampleBlock]] = {}
        self._traces: deque[Trace] = deque()
        self._temperatures: deque[TemperatureReading] = deque()
        self._states: deque[GuardState] = deque()
        self._events: deque[Event] = deque()
        self._windows: deque[WindowRecord] = deque()
        self._waiting: list[Order] = []

    def take(self, message: Message, now_s: float) -> None:
        """Keep what the guard says. now_s: `time.monotonic`."""
        match message:
            case SampleBlock():
                self._push(message)
            case Trace():
                self._follow(message)
            case TemperatureReading():
                self._temperatures.append(message)
            case GuardState():
                if not self._states or message.at_mono_ns - self._states[-1].at_mono_ns >= _STATE_NS:
                    self._states.append(message)
            case Notice(event):
                self._events.append(event)
            case Capture():
                self._order(message, now_s)

    def window(self, window: WindowRecord) -> None:
        """Keep what was made of a window."""
        self._windows.append(window)

    def another_guard(self) -> None:
        """A new guard numbers its traces anew, and begins with a snapshot."""
        self._traces.clear()

    def due(self, now_s: float, *, last: bool = False) -> list[Order]:
        """Orders whose seconds after the alarm are there. last: no more will come."""
        ready = [order for order in self._waiting if last or self._is_complete(order, now_s)]
        self._waiting = [order for order in self._waiting if order not in ready]
        return ready

    def events(self, order: Order) -> tuple[Event, ...]:
        """What was told of these seconds."""
        return tuple(self._within(order, self._events))

    def main(self, order: Order) -> Event | None:
        """The event that the evidence is named after: a trip before all others. None: it never came."""
        names = [capture.name for capture in order.captures]
        events = [event for event in self._events if event.evidence in names]
        return min(events, key=lambda event: event.kind is not EventKind.TRIP, default=None)

    def temperatures(self, order: Order) -> tuple[TemperatureReading, ...]:
        """Temperatures of these seconds."""
        return tuple(self._within(order, self._temperatures))

    def states(self, order: Order) -> tuple[GuardState, ...]:
        """States of the guard in these seconds."""
        return tuple(self._within(order, self._states))

    def windows(self, order: Order) -> tuple[WindowRecord, ...]:
        """Windows that touch these seconds."""
        begin_ns, end_ns = self._span(order)
        scores = ((one, one.score) for one in self._windows)
        return tuple(
            one for one, score in scores if score.t1_mono_ns > begin_ns and score.t0_mono_ns < end_ns
        )

    def traces(self, order: Order) -> list[Trace]:
        """What the rack was given in these seconds, from a snapshot before them on, in the guard's order."""
        begin_ns, end_ns = self._span(order)
        traces = [
            trace for trace in sorted(self._traces, key=lambda one: one.seq) if trace.at_mono_ns <= end_ns
        ]
        snapshots = [n for n, trace in enumerate(traces) if trace.snapshot]
        early = [n for n in snapshots if traces[n].at_mono_ns <= begin_ns]
        return traces[early[-1] :] if early else traces[snapshots[0] :] if snapshots else []

    def counts_bytes(self, order: Order) -> int:
        """Size of the waveform."""
        return sum(len(block.counts) for part in self._parts(order) for block in part)

    def tracks(self, order: Order, utc_offset_ns: int | None) -> Iterator[Track]:
        """The waveform of each sensor, made when it is asked for: only one of them is in memory twice.

        utc_offset_ns: UTC less monotonic time, where it is known.
        """
        return (_track(part, utc_offset_ns) for part in self._parts(order))

    def _parts(self, order: Order) -> Iterator[list[SampleBlock]]:
        begin_ns, end_ns = self._span(order)
        for blocks in self._blocks.values():
            part = [one for one in blocks if one.t1_mono_ns > begin_ns and one.t0_mono_ns < end_ns]
            if sum(block.n for block in part) >= 2:
                yield part

    def _push(self, block: SampleBlock) -> None:
        blocks = self._blocks.setdefault(block.sensor, deque())
        if blocks and block.t1_mono_ns <= blocks[-1].t0_mono_ns:
            self._forget_all()  # the simulated machine has begun anew
            blocks = self._blocks.setdefault(block.sensor, deque())
        if blocks and (blocks[-1].axes, blocks[-1].scale_mps2) != (block.axes, block.scale_mps2):
            blocks.clear()  # another guard, another configuration
        blocks.append(block)
        self._newest_ns = max(self._newest_ns, block.t1_mono_ns)
        self._forget(self._newest_ns - self._span_ns)

    def _follow(self, trace: Trace) -> None:
        self._traces.append(trace)
        if not trace.snapshot:
            return
        oldest_ns = self._newest_ns - self._span_ns
        early = [n for n, one in enumerate(self._traces) if one.snapshot and one.at_mono_ns <= oldest_ns]
        for _ in range(early[-1] if early else 0):
            self._traces.popleft()

    def _order(self, capture: Capture, now_s: float) -> None:
        for order in self._waiting:
            if abs(capture.at_mono_ns - order.captures[0].at_mono_ns) <= _TOGETHER_NS:
                order.captures.append(capture)
                return
        self._waiting.append(Order([capture], now_s))

    def _is_complete(self, order: Order, now_s: float) -> bool:
        end_ns = self._span(order)[1]
        there = [blocks[-1].t1_mono_ns >= end_ns for blocks in self._blocks.values()]
        return (bool(there) and all(there)) or now_s - order.heard_s >= self._patience_s

    def _span(self, order: Order) -> tuple[int, int]:
        latest_ns = max(capture.at_mono_ns for capture in order.captures)
        return order.at_mono_ns - self._pre_ns, latest_ns + self._post_ns

    def _within(self, order: Order, said: Iterable[Timed]) -> Iterator[Timed]:
        begin_ns, end_ns = self._span(order)
        return (one for one in said if begin_ns <= one.at_mono_ns <= end_ns)

    def _forget(self, oldest_ns: int) -> None:
        for name in list(self._blocks):
            blocks = self._blocks[name]
            while blocks and blocks[0].t1_mono_ns < oldest_ns:
                blocks.popleft()
            if not blocks:
                del self._blocks[name]
        for said in (self._temperatures, self._states, self._events):
            while said and said[0].at_mono_ns < oldest_ns:
                said.popleft()
        while self._windows and self._windows[0].score.t1_mono_ns < oldest_ns:
            self._windows.popleft()

    def _forget_all(self) -> None:
        self._newest_ns = 0
        self._blocks.clear()
        for said in (self._traces, self._temperatures, self._states, self._events, self._windows):
            said.clear()


def _track(blocks: list[SampleBlock], utc_offset_ns: int | None) -> Track:
    """Consecutive blocks of one sensor as one track; holes in `seq` and lost samples stay visible."""
    lost: list[Gap] = []
    counts = []
    total = 0
    for before, block in zip([None, *blocks], blocks, strict=False):
        missing = block.lost if before else 0
        if before and block.seq != before.seq + 1:
            missing += round((block.t0_mono_ns - before.t1_mono_ns) * 1e-9 * block.rate_hz)
        if missing > 0:
            lost.append(Gap(total - 1, missing))
        counts.append(np.frombuffer(block.counts, "<i2").reshape(-1, block.axes))
        total += block.n
    first, last = blocks[0], blocks[-1]
    return Track(
        sensor=first.sensor,
        counts=np.concatenate(counts),
        scale_mps2=last.scale_mps2,
        rate_hz=last.rate_hz,
        t0_mono_ns=first.t0_mono_ns,
        t0_utc_ns=0 if utc_offset_ns is None else first.t0_mono_ns + utc_offset_ns,
        lost=tuple(lost),
        blocks=np.array([_row(block) for block in blocks], block_type(first.axes)),
    )


def _row(block: SampleBlock) -> tuple[object, ...]:
    """One row of `block_type`."""
    mean_counts = [np.nan if mean is None else mean for mean in block.mean_counts]
    return (
        block.seq,
        block.t0_mono_ns,
        block.n,
        block.lost,
        int(block.validity),
        block.rate_hz,
        block.nominal_hz,
        mean_counts or [np.nan] * block.axes,
    )
