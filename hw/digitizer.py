"""A streaming digitizer on USB: a microcontroller that samples by its own clock (docs/DIGITIZER.md)."""

import time
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hw.bus import Clock
from hw.frames import CLIP, OVERRUN, Frame, Framer
from hw.ports import PortError, Samples
from hw.serial_line import SerialLine

LONGEST_WAIT_S = 0.25
GATHER_S = 0.005
"""USB brings a packet every 0.4 ms: a nap after the first one lets the rest come in few system calls."""
SILENT_S = 1.0
"""So long without a right frame is a fault."""
LONGEST_GAP_S = 60.0
TOLERANCE = 1e-4
_SEQ = 1 << 32


@dataclass(frozen=True, slots=True)
class _Arrival:
    frame: Frame
    host_ns: int
    lost: int
    late_ns: int


class Digitizer:
    """hw.ports.Vibration on a digitizer. What a frame says of itself must be what was configured."""

    def __init__(
        self,
        line: SerialLine,
        clock: Clock,
        rate_hz: float,
        scale_mps2: float,
        *,
        axes: int = 3,
        full_scale_counts: int = 32767,
        noise_mps2: float = 0.0,
        dc_coupled: bool = True,
        block_s: float = 0.1,
        settle_s: float = 0.25,
    ) -> None:
        """Take part.

        Args:
            line: where it is plugged in; its baud rate means nothing.
            clock: stamps the frames.
            rate_hz: nominal; the frames must say the same.
            scale_mps2: m/s² of one count; the frames must say the same.
            axes: 1 to 3; the frames must have as many.
            full_scale_counts: the frames must say the same.
            noise_mps2: RMS noise of one axis, m/s²; 0 where unknown.
            dc_coupled: whether gravity is in the signal.
            block_s: seconds of samples in one drain, rounded up to whole frames.
            settle_s: after opening, what comes for so long is left out: a device that sends to a closed port
                begins with what it held back.
        """
        self.rate_hz = rate_hz
        self.scale_mps2 = scale_mps2
        self.axes = axes
        self.full_scale_counts = full_scale_counts
        self.noise_mps2 = noise_mps2
        self.bandwidth_hz = rate_hz / 2.0
        self.dc_coupled = dc_coupled
        self._line = line
        self._clock = clock
        self._settle_s = settle_s
        self._drain = max(1, round(block_s * rate_hz))
        self._framer = Framer()
        self._arrived: deque[_Arrival] = deque()
        self._next_seq: int | None = None
        self._heard_s = 0.0
        self._started = False

    def start(self) -> None:
        """Open the line anew and let it settle. Raises PortError: nothing there."""
        self._line.close()
        self._line.open()
        fresh_s = time.monotonic() + self._settle_s
        while (rest_s := fresh_s - time.monotonic()) > 0.0:
            self._line.read(rest_s)
        self._framer = Framer()
        self._arrived.clear()
        self._next_seq = None
        self._heard_s = time.monotonic()
        self._started = True

    def stop(self) -> None:
        """Let the line go; the digitizer stops when it sees that nobody listens."""
        self._started = False
        self._line.close()

    def read(self) -> Samples:
        """The next drain, ended early before a gap; empty when nothing came within 0.25 s.

        Raises:
            PortError: unplugged, no right frame for a second, a frame of another device, or a sample number
                that went back (it began anew).
        """
        if not self._started:
            raise PortError(f"{self._line.path}: read before start; call start() first")
        end_s = time.monotonic() + LONGEST_WAIT_S
        while not self._whole():
            rest_s = end_s - time.monotonic()
            if rest_s <= 0.0:
                break
            self._receive(rest_s)
        if not self._arrived and time.monotonic() - self._heard_s > SILENT_S:
            raise PortError(
                f"{self._line.path}: no right frame for {SILENT_S:g} s ({self._framer.refused} refused: "
                f"{self._framer.reason}), expected a digitizer; check its firmware, the port and the cable"
            )
        return self._take()

    def _receive(self, timeout_s: float) -> None:
        data = self._line.read(timeout_s)
        if not data:
            return
        due_s = time.monotonic() + GATHER_S
        time.sleep(GATHER_S)
        late_ns = max(0, round((time.monotonic() - due_s) * 1e9))
        frames = self._framer.feed(data + self._line.read(0.0))
        host_ns = self._clock.now_ns()
        for frame in frames:
            self._check(frame)
            self._arrived.append(_Arrival(frame, host_ns, self._lost_before(frame), late_ns))
            self._next_seq = (frame.seq + len(frame.counts)) % _SEQ
            self._heard_s = time.monotonic()

    def _check(self, frame: Frame) -> None:
        says = (frame.counts.shape[1], frame.rate_mhz / 1e3, frame.scale_nmps2 / 1e9, frame.full_scale_counts)
        wants = (self.axes, self.rate_hz, self.scale_mps2, self.full_scale_counts)
        if not np.allclose(says, wants, rtol=TOLERANCE, atol=0.0):
            words = ("axes", "Hz", "m/s² a count", "counts full scale")
            found, expected = (
                ", ".join(f"{v:g} {w}" for v, w in zip(x, words, strict=True)) for x in (says, wants)
            )
            raise PortError(
                f"{self._line.path}: it says {found}, expected {expected}; correct the configuration"
            )

    def _lost_before(self, frame: Frame) -> int:
        """Samples missing between the last frame and this one, from their numbers alone."""
        if self._next_seq is None:
            return 0
        gap = (frame.seq - self._next_seq) % _SEQ
        if gap > LONGEST_GAP_S * self.rate_hz:
            raise PortError(
                f"{self._line.path}: sample {frame.seq} came, expected {self._next_seq}; "
                "the digitizer began anew"
            )
        return max(gap, 1) if frame.flags & OVERRUN else gap

    def _whole(self) -> bool:
        """Whether a drain is complete: enough samples, or a gap that ends it."""
        samples = 0
        for place, arrival in enumerate(self._arrived):
            if place and arrival.lost:
                return True
            samples += len(arrival.frame.counts)
        return samples >= self._drain

    def _take(self) -> Samples:
        taken: list[_Arrival] = []
        samples = 0
        while self._arrived and samples < self._drain and not (taken and self._arrived[0].lost):
            taken.append(self._arrived.popleft())
            samples += len(taken[-1].frame.counts)
        if not taken:
            return Samples(_no_counts(self.axes), self._clock.now_ns())
        clipped = any(arrival.frame.flags & CLIP for arrival in taken)
        counts = np.concatenate([arrival.frame.counts for arrival in taken])
        late_ns = max(arrival.late_ns for arrival in taken)
        return Samples(counts, taken[-1].host_ns, taken[0].lost, clipped, late_ns)


def _no_counts(axes: int) -> NDArray[np.int16]:
    return np.empty((0, axes), np.int16)
