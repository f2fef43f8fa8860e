"""What the Sparkplug host has not got yet: in memory for a minute, then on disk in a history of its own.

Each sample keeps the boot time of its measurement, so that its time is put right when it is told at last.
"""

import time
from collections.abc import Sequence
from typing import Any

import msgspec

from appliance.clock import BOOT, boottime_ns
from appliance.uplink.anchors import Anchors
from appliance.uplink.history import History, Piece
from appliance.uplink.sparkplug_node import Sample

_PIECE = 60
_PIECE_S = 60.0


class _Line(msgspec.Struct, array_like=True):
    device: str
    at_ns: int
    boot_ns: int
    values: dict[str, Any]


class Backlog:
    """Samples in the order in which they came; closes its history too. Times are monotonic seconds.

    start: this process's start counter; with it pieces keep their order over restarts.
    """

    def __init__(self, history: History, anchors: Anchors, start: int) -> None:
        self._history = history
        self._anchors = anchors
        self._next_id = start << 32
        self._fresh: list[_Line] = []
        self._since_s = 0.0
        self._out: Piece | list[_Line] | None = None

    def __len__(self) -> int:
        return (
            self._history.samples + len(self._fresh) + (len(self._out) if isinstance(self._out, list) else 0)
        )

    @property
    def evicted(self) -> int:
        """Samples given up because there was no room."""
        return self._history.evicted

    def add(self, samples: Sequence[Sample], now_s: float) -> None:
        """Keep these."""
        if not self._fresh:
            self._since_s = now_s
        ahead_ns = boottime_ns() - time.time_ns()
        for device, at_ms, values in samples:
            at_ns = at_ms * 1_000_000
            self._fresh.append(_Line(device, at_ns, at_ns + ahead_ns, dict(values)))
        if len(self._fresh) >= _PIECE or now_s - self._since_s >= _PIECE_S:
            self._write()

    def oldest(self) -> list[Sample]:
        """The oldest samples; they stay until `delivered` is called, or come back with `returned`."""
        piece = self._history.oldest()
        if piece:
            self._out = piece
            lines = [msgspec.json.decode(line, type=_Line) for line in piece.lines]
            return [self._told(line, piece.boot) for line in lines]
        self._out, self._fresh = self._fresh[:_PIECE], self._fresh[_PIECE:]
        return [self._told(line, BOOT) for line in self._out]

    def delivered(self) -> None:
        """The samples that `oldest` gave have arrived."""
        if isinstance(self._out, Piece):
            self._history.delete(self._out)
        self._out = None

    def returned(self) -> None:
        """They have not."""
        if isinstance(self._out, list):
            self._fresh = self._out + self._fresh
        self._out = None

    def give_way(self, needed_bytes: int) -> None:
        """The disk is wanted for something more important."""
        self._history.give_way(needed_bytes)

    def close(self) -> None:
        """What is in memory goes to disk."""
        self.returned()
        self._write()
        self._history.close()

    def _write(self) -> None:
        while self._fresh:
            some, self._fresh = self._fresh[:_PIECE], self._fresh[_PIECE:]
            self._next_id += 1
            self._history.add(Piece(self._next_id, BOOT, [msgspec.json.encode(line) for line in some]))

    def _told(self, line: _Line, boot: str) -> Sample:
        said = line.values
        stamp = line.at_ns, said.get("tsq", "none"), said.get("ts_err_ms")
        told = self._anchors.told(boot, line.boot_ns, *stamp)
        found = {} if told.device_ns is None else {"tsq": told.quality, "ts_err_ms": told.error_ms}
        return Sample(line.device, told.utc_ns // 1_000_000, {**said, **found})
