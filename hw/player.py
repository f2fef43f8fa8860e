"""A recording played as if it were a sensor."""

import random

import numpy as np
from numpy.typing import NDArray

from hw.ports import STANDARD_GRAVITY_MPS2, EndOfSource, PortError, Samples
from hw.sim.clock import SimClock
from hw.waveform import I16, Recording

LATE_S = 1e-4
FLOAT_PEAK_COUNTS = 32000
"""Counts of the largest float sample: below full scale, so that a recording in floats never looks clipped."""
GRAVITY_G = (0.8, 1.2)
SMALLEST_SCALE_MPS2 = 1e-6


class RecordingVibration:
    """hw.ports.Vibration on a Recording. Samples that are missing or NaN are left out and counted as lost."""

    full_scale_counts = 32767
    noise_mps2 = 0.0

    def __init__(self, recording: Recording, block_s: float, clock: SimClock) -> None:
        """Load it.

        Args:
            recording: what to play. 16-bit counts are played as they are, floats scaled to fill 16 bits.
            block_s: one drain, seconds of samples.
            clock: says how fast.
        """
        self.rate_hz = recording.rate_hz
        self.bandwidth_hz = recording.rate_hz / 2.0
        self.axes = recording.accel.shape[1]
        whole = np.isfinite(recording.accel.sum(axis=1))
        self._counts, self.scale_mps2 = _as_counts(recording, whole)
        self._at = _positions(recording)[whole]
        """Where each sample lies on a time axis without gaps, in samples."""
        mean_mps2 = self._counts.mean(axis=0) * self.scale_mps2 if len(self._counts) else np.zeros(1)
        mean_g = float(np.linalg.norm(mean_mps2)) / STANDARD_GRAVITY_MPS2
        self.dc_coupled = GRAVITY_G[0] <= mean_g <= GRAVITY_G[1]
        self._drain = max(1, round(block_s * recording.rate_hz))
        self._clock = clock
        self._late = random.Random(0)
        self._next = 0
        self._played_to = 0
        self._first_s: float | None = None

    def start(self) -> None:
        """Begin to play, or go on where the last stop left off."""
        if self._first_s is None or self._clock.real:
            self._first_s = self._clock.first_s() - self._played_to / self.rate_hz

    def stop(self) -> None:
        """Stop playing."""

    def read(self) -> Samples:
        """The next drain: it ends early before a gap, and is empty when not due within 0.25 s.

        Raises:
            EndOfSource: all is played.
            PortError: not started.
        """
        if self._first_s is None:
            raise PortError("recording: read before start; call start() first")
        if self._next >= len(self._at):
            raise EndOfSource("the recording has been played to its end")
        at = self._at[self._next : self._next + self._drain]
        breaks = np.flatnonzero(np.diff(at) > 1)
        at = at[: int(breaks[0]) + 1] if len(breaks) else at
        end = int(at[-1]) + 1
        end_s = self._first_s + end / self.rate_hz
        if not self._clock.wait(end_s):
            return Samples(self._counts[:0], self._clock.stamp_ns(self._clock.now_s()))
        counts = self._counts[self._next : self._next + len(at)]
        lost = int(at[0]) - self._played_to
        self._next += len(at)
        self._played_to = end
        return Samples(counts, self._clock.stamp_ns(end_s, abs(self._late.gauss(0.0, LATE_S))), lost)


def _positions(recording: Recording) -> NDArray[np.int64]:
    """Index of every sample if nothing were missing, shape (n,)."""
    shift = np.zeros(len(recording.accel) + 1, np.int64)
    for gap in recording.gaps:
        shift[gap.after + 1] += gap.missing
    return np.arange(len(recording.accel)) + np.cumsum(shift[:-1])


def _as_counts(recording: Recording, whole: NDArray[np.bool_]) -> tuple[I16, float]:
    """The whole samples as counts, shape (n, axes), and m/s² of one."""
    if recording.counts is not None and recording.scale_mps2 is not None:
        return recording.counts[whole], recording.scale_mps2
    accel = recording.accel[whole].astype(np.float64)
    peak_mps2 = float(np.abs(accel).max(initial=0.0))
    scale_mps2 = max(peak_mps2 / FLOAT_PEAK_COUNTS, SMALLEST_SCALE_MPS2)
    return np.rint(accel / scale_mps2).astype(np.int16), scale_mps2
