"""The stream of telemetry: live while the broker is there, otherwise history, which follows when it is back.

A sample that is not acknowledged becomes history. History is gathered in memory, and written to disk when
there are sixty samples, or the oldest is a minute old and no broker there.
"""

import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from appliance.clock import BOOT
from appliance.priority import HISTORY
from appliance.records import GuardState, QuantityReading, Score
from appliance.uplink import payloads
from appliance.uplink.anchors import Anchors
from appliance.uplink.drain import FIRST_ERROR, NO_SUBSCRIBERS, QUOTA_EXCEEDED
from appliance.uplink.history import History, Piece
from appliance.uplink.outbox import Key
from appliance.uplink.pace import Pace

TELEMETRY = HISTORY + 1
"""Class of live samples in keys of messages."""
_AGAIN_S = 60.0
_SOON_S = 5.0
_LIVE_S = 30.0
_PIECE = 60
_PIECE_S = 60.0
_TIMES_KEPT = 200
_BOOT_NS = "boot_ns"
"""Key of a stored line: CLOCK_BOOTTIME of the sample; not sent."""


class Sample(NamedTuple):
    """One payload of `telemetry`. came_s: monotonic."""

    id: int
    came_s: float
    boot_ns: int
    payload: dict[str, object]


class Samples:
    """Makes samples of what the guard says; knows which of them the broker has. Times are monotonic s.

    keys: of all payloads so far. compute_ms: of the last scores. refused: samples that the broker refused.
    """

    def __init__(self, start: int, history: History, anchors: Anchors, pace: Pace) -> None:
        self._next_id = start << 32
        self._history = history
        self._anchors = anchors
        self._pace = pace
        self._told_ns: dict[str, int] = {}
        self._waiting: deque[Sample] = deque()
        self._flying: dict[int, Sample] = {}
        self._late: list[Sample] = []
        self._piece: Piece | None = None
        self._on_disk = False
        self._unsent: deque[tuple[int, bytes]] = deque()
        self._unanswered: dict[int, bytes] = {}
        self._connected_s = self._pause_s = 0.0
        self.keys: dict[str, None] = {}
        self.compute_ms: deque[float] = deque(maxlen=_TIMES_KEPT)
        self.refused = 0

    @property
    def backlog(self) -> int:
        """Samples that wait to be sent as history."""
        in_memory = 0 if self._on_disk or not self._piece else len(self._unsent) + len(self._unanswered)
        return self._history.samples + len(self._late) + in_memory

    @property
    def evicted(self) -> int:
        """Samples given up because there was no room, since the history's file was made."""
        return self._history.evicted

    def hear(
        self, scores: Sequence[Score], state: GuardState | None, now_s: float
    ) -> list[dict[str, object]]:
        """Take in the guard's latest state and new scores; returns the payloads made of them."""
        if state is None:
            return []
        fresh: list[dict[str, object]] = []
        for score in scores:
            self.compute_ms.append(score.compute_ms)
            fresh.append(
                self._add(payloads.telemetry(score, state, self._new_id()), score.t1_mono_ns, state, now_s)
            )
        for readings in self._news(state):
            payload = payloads.transmitted(readings, state, self._new_id())
            fresh.append(self._add(payload, readings[0].at_mono_ns, state, now_s))
        return fresh

    def next_live(self, now_s: float) -> tuple[Key, bytes] | None:
        """The next sample that is still live; it is the broker's until `answered` or `lost`."""
        while self._waiting:
            sample = self._waiting.popleft()
            if now_s - sample.came_s < _LIVE_S:
                self._flying[sample.id] = sample
                return (TELEMETRY, sample.id), msgspec.json.encode(sample.payload)
            self._late.append(sample)
        return None

    def next_late(self, now_s: float) -> tuple[Key, bytes] | None:
        """The next line of history, if it may leave now."""
        if now_s < self._pause_s or not (self._unsent or self._take_piece()) or not self._pace.allowed(now_s):
            return None
        self._pace.used(1)
        id_, line = self._unsent.popleft()
        self._unanswered[id_] = line
        return (HISTORY, id_), self._told(line)

    def connected(self, now_s: float) -> None:
        """A new connection."""
        self._connected_s = self._pause_s = now_s

    def answered(self, key: Key, reason: int, now_s: float) -> None:
        """The broker's PUBACK. A sample that is refused has had its chance.

        Where nobody subscribes, history waits for somebody; a live sample has had its chance, but not in the
        first minute of a connection, for subscribers come back a little later than we do.
        """
        kind, id_ = key
        sample = self._flying.pop(id_, None) if kind == TELEMETRY else None
        line = self._unanswered.pop(id_, None) if kind == HISTORY else None
        young = now_s - self._connected_s < _AGAIN_S
        if reason in (NO_SUBSCRIBERS, QUOTA_EXCEEDED):
            if line is not None:
                self._unsent.append((id_, line))
                self._pause_s = now_s + (_SOON_S if young and reason == NO_SUBSCRIBERS else _AGAIN_S)
            elif sample and (young or reason == QUOTA_EXCEEDED):
                self._late.append(sample)
        elif reason >= FIRST_ERROR:
            self.refused += 1
        if self._piece and not (self._unsent or self._unanswered):
            self._history.delete(self._piece)
            self._piece = None

    def lost(self) -> None:
        """The connection is gone: what was not answered is history."""
        self._late += self._flying.values()
        self._flying.clear()
        self._unsent.extendleft(reversed(self._unanswered.items()))
        self._unanswered.clear()

    def keep(self, now_s: float, *, connected: bool) -> None:
        """Without a broker samples go to disk, in pieces."""
        if not connected:
            self._late += self._waiting
            self._waiting.clear()
            self._keep_piece()
        old = not connected and self._late and now_s - self._late[0].came_s >= _PIECE_S
        while old or len(self._late) > _PIECE:
            self._write()
            old = False

    def patience_s(self, most_s: float, now_s: float) -> float:
        """How long the loop may wait: until more of the history may leave."""
        if self._unsent or (self._piece is None and self.backlog):
            return min(most_s, max(self._pause_s - now_s, self._pace.wait_s(now_s)))
        return most_s

    def give_way(self, needed_bytes: int) -> bool:
        """The disk is wanted for something more important. Returns whether there was something to give."""
        return self._history.give_way(needed_bytes)

    def close(self) -> None:
        """What is in memory goes to disk."""
        self.lost()
        self._keep_piece()
        self._late += self._waiting
        while self._late:
            self._write()
        self._history.close()

    def _add(
        self, payload: dict[str, object], mono_ns: int, state: GuardState, now_s: float
    ) -> dict[str, object]:
        boot_ns = state.at_boot_ns + mono_ns - state.at_mono_ns
        self.keys |= dict.fromkeys(payload)
        self._waiting.append(Sample(self._next_id, now_s, boot_ns, payload))
        if len(self._waiting) > _PIECE:
            self._late.append(self._waiting.popleft())
        return payload

    def _new_id(self) -> int:
        self._next_id += 1
        return self._next_id

    def _news(self, state: GuardState) -> Iterator[tuple[QuantityReading, ...]]:
        """What transmitters have said, or that one is lost, since the last state."""
        for sensor, group in itertools.groupby(state.quantities, lambda one: one.sensor):
            readings = tuple(group)
            at_ns = readings[0].at_mono_ns
            if at_ns and at_ns != self._told_ns.get(sensor):
                self._told_ns[sensor] = at_ns
                yield readings

    def _keep_piece(self) -> None:
        """A piece that was being sent out of memory goes to disk: this outage may be a long one."""
        if self._piece and not self._on_disk:
            self._history.add(self._piece)
            self._on_disk = True

    def _write(self) -> None:
        some, self._late = self._late[:_PIECE], self._late[_PIECE:]
        self._history.add(_piece(some))

    def _take_piece(self) -> bool:
        """Begin with the next piece: those on disk first, then what is in memory."""
        if self._piece:
            return False
        self._piece = self._history.oldest()
        self._on_disk = self._piece is not None
        if self._piece is None and self._late:
            some, self._late = self._late[:_PIECE], self._late[_PIECE:]
            self._piece = _piece(some)
        if self._piece:
            self._unsent.extend((_id_of(line), line) for line in self._piece.lines)
        return bool(self._unsent)

    def _told(self, line: bytes) -> bytes:
        """The payload of `history`, with the best time for it."""
        sample: dict[str, Any] = msgspec.json.decode(line)
        boot = self._piece.boot if self._piece else ""
        boot_ns: int = sample.pop(_BOOT_NS)
        stamp = sample["ts"] * 1_000_000, sample["tsq"], sample.get("ts_err_ms")
        return msgspec.json.encode(payloads.late(sample, self._anchors.told(boot, boot_ns, *stamp)))


def _piece(samples: Sequence[Sample]) -> Piece:
    lines = [msgspec.json.encode({**one.payload, _BOOT_NS: one.boot_ns}) for one in samples]
    return Piece(samples[0].id, BOOT, lines)


def _id_of(line: bytes) -> int:
    id_: int = msgspec.json.decode(line)["id"]
    return id_
