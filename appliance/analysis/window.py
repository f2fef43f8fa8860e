"""Windows: sample blocks cut into spans of constant length, in m/s², that never hide a gap."""

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from appliance.records import SampleBlock, Validity

F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Window:
    """One span of one sensor.

    accel: shape (axes, n), m/s², gravity included; (axes, 0) where a gap spoilt the span before it was full.
    rate_hz: measured rate of the newest block in it. validity: the flags of every block it touches.
    """

    sensor: str
    t0_mono_ns: int
    t1_mono_ns: int
    rate_hz: float
    accel: F32
    validity: Validity

    @property
    def ok(self) -> bool:
        """True where the window may be used: complete, gapless and of valid blocks only."""
        return self.validity == Validity.OK


@dataclass(frozen=True, slots=True)
class _Piece:
    """A buffered block: `n` samples per axis from t0_mono_ns on."""

    n: int
    t0_mono_ns: int
    rate_hz: float
    validity: Validity

    def at_mono_ns(self, sample: int) -> int:
        return self.t0_mono_ns + round(sample * 1e9 / self.rate_hz)


class Windower:
    """Cuts the blocks of one sensor into overlapping windows.

    A gap (jump of `seq`, `lost` samples, Validity.GAP) ends the stream, which starts anew on its far side:
    with the block itself if only `seq` jumped, after it where samples are missing "before or inside" it.
    The span that it spoilt is reported as one NOT OK window without samples, at most one per hop.
    """

    def __init__(self, sensor: str, window_s: float, overlap: float, rate_hz: float) -> None:
        """Windows of round(window_s * rate_hz) samples, `rate_hz` nominal; overlap: shared fraction, [0, 1).

        Raises:
            ValueError: a window of no samples, or an overlap outside [0, 1).
        """
        if not (0 <= overlap < 1):
            raise ValueError(f"overlap is {overlap:g}, expected 0 <= overlap < 1; 0.5 is usual")
        self.n = round(window_s * rate_hz)
        if self.n < 1:
            raise ValueError(
                f"a window of {window_s:g} s at {rate_hz:g} Hz holds no sample; choose a longer one"
            )
        self.hop = max(1, round(self.n * (1 - overlap)))
        self._sensor = sensor
        self._hop_ns = round(self.hop * 1e9 / rate_hz)
        self._next_seq: int | None = None
        self._pieces: deque[_Piece] = deque()
        self._buffer: F32 = np.empty((0, 0), np.float32)
        self._start = 0  # of the unfinished window, in the buffer
        self._end = 0
        self._offset = 0  # of the unfinished window, in the oldest piece
        self._carried = Validity.OK  # flags of blocks without samples
        self._spoilt_t0_mono_ns: int | None = None
        self._reported_mono_ns: int | None = None

    def push(self, block: SampleBlock) -> list[Window]:
        """Take the next block; return the windows it completed, oldest first.

        Raises:
            ValueError: a block of another sensor, with another number of axes, or of a broken size.
        """
        accel = self._accel(block)
        windows: list[Window] = []
        jumped = self._next_seq is not None and block.seq != self._next_seq
        torn = block.lost > 0 or Validity.GAP in block.validity
        self._next_seq = block.seq + 1
        if jumped or torn:
            windows += self._spoil(block, until_mono_ns=block.t1_mono_ns if torn else block.t0_mono_ns)
        if torn:
            return windows
        if accel.shape[1] == 0:
            self._carried |= block.validity
            return windows
        self._append(accel, _Piece(block.n, block.t0_mono_ns, block.rate_hz, block.validity | self._carried))
        self._carried = Validity.OK
        while self._end - self._start >= self.n:
            windows.append(self._cut())
        return windows

    def _accel(self, block: SampleBlock) -> F32:
        if block.sensor != self._sensor:
            raise ValueError(
                f"block of sensor {block.sensor!r} in the stream of {self._sensor!r}; route it by sensor"
            )
        if block.axes < 1 or len(block.counts) % (2 * block.axes):
            raise ValueError(
                f"{block.sensor}: block {block.seq} holds {len(block.counts)} bytes for {block.axes} axes; "
                "expected 2 bytes per axis and sample; the sender is broken"
            )
        if self._buffer.shape[0] not in (0, block.axes):
            raise ValueError(
                f"{block.sensor}: block {block.seq} has {block.axes} axes, expected {self._buffer.shape[0]}; "
                "start a new windower when the sensor changes"
            )
        counts = np.frombuffer(block.counts, dtype="<i2").reshape(-1, block.axes)
        accel: F32 = np.multiply(counts.T, np.float32(block.scale_mps2), dtype=np.float32)
        return accel

    def _append(self, accel: F32, piece: _Piece) -> None:
        axes, n = accel.shape
        if self._end + n > self._buffer.shape[1]:
            held = self._buffer[:, self._start : self._end]
            grown = np.empty((axes, 2 * (self.n + n)), np.float32)
            grown[:, : held.shape[1]] = held.reshape(axes, -1)
            self._buffer, self._start, self._end = grown, 0, held.shape[1]
        self._buffer[:, self._end : self._end + n] = accel
        self._end += n
        self._pieces.append(piece)

    def _cut(self) -> Window:
        """The window that is full now; moves on by one hop. Its last sample is in the newest piece."""
        oldest, newest = self._pieces[0], self._pieces[-1]
        spare = self._end - self._start - self.n
        validity = Validity.OK
        for piece in self._pieces:
            validity |= piece.validity
        window = Window(
            sensor=self._sensor,
            t0_mono_ns=oldest.at_mono_ns(self._offset),
            t1_mono_ns=newest.at_mono_ns(newest.n - spare),
            rate_hz=newest.rate_hz,
            accel=self._buffer[:, self._start : self._start + self.n].copy(),
            validity=validity,
        )
        self._spoilt_t0_mono_ns = None
        self._start += self.hop
        self._offset += self.hop
        while self._pieces and self._offset >= self._pieces[0].n:
            self._offset -= self._pieces.popleft().n
        return window

    def _spoil(self, block: SampleBlock, until_mono_ns: int) -> list[Window]:
        """Forget the unfinished window; report its span if the last report is a hop ago."""
        if self._spoilt_t0_mono_ns is None:
            begun = bool(self._pieces) and self._end > self._start
            self._spoilt_t0_mono_ns = self._pieces[0].at_mono_ns(self._offset) if begun else block.t0_mono_ns
        self._pieces.clear()
        self._start = self._end = self._offset = 0
        self._carried = Validity.OK
        last_ns = self._reported_mono_ns
        if last_ns is not None and last_ns <= until_mono_ns < last_ns + self._hop_ns:
            return []
        t0, self._spoilt_t0_mono_ns = self._spoilt_t0_mono_ns, None
        self._reported_mono_ns = until_mono_ns
        nothing = np.empty((block.axes, 0), np.float32)
        flags = block.validity | Validity.GAP
        return [Window(self._sensor, t0, max(t0, until_mono_ns), block.rate_hz, nothing, flags)]
