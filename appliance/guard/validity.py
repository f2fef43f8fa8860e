"""Whether a block may be trusted. A value that may not is NOT OK, never normal and never zero."""

import math

import numpy as np
from numpy.typing import NDArray

from appliance.records import Validity
from hw.ports import STANDARD_GRAVITY_MPS2, Vibration

CLOCK_TOLERANCE_PPM = 50_000.0
"""A MEMS clock farther off than 5 % is a fault of the part or of the reader."""
_STUCK_S = 0.5
_STUCK_SAMPLES = 32
_GRAVITY_TAU_S = 2.0
_GRAVITY_RANGE = (0.8, 1.2)
_TURNED_MPS2 = 2.0 * math.sin(math.radians(5.0)) * STANDARD_GRAVITY_MPS2
"""How far the gravity vector moves when the sensor turns by 10°."""
_NOISE_SHOWS_LSB = 0.5


class BlockValidity:
    """Judges the blocks of one vibration sensor, one after the other."""

    def __init__(self, sensor: Vibration) -> None:
        self._sensor = sensor
        self.stuck: NDArray[np.bool_] = np.zeros(sensor.axes, np.bool_)
        """Which axes do not move, as of the last block; shape (axes,)."""
        self._still_s = np.zeros(sensor.axes)
        self._last = np.zeros(sensor.axes, dtype=np.int16)
        self._mean: NDArray[np.float64] | None = None
        self._gravity: NDArray[np.float64] | None = None
        self._settled_s = 0.0
        # A coarse converter on a stopped machine may rightly give one count for ever.
        noise_lsb = sensor.noise_mps2 / sensor.scale_mps2
        self._must_move = noise_lsb == 0.0 or noise_lsb >= _NOISE_SHOWS_LSB

    @property
    def mean_counts(self) -> NDArray[np.float64]:
        """Slow mean of each axis in counts (gravity and offset), shape (axes,)."""
        return np.zeros(self._sensor.axes) if self._mean is None else self._mean

    def check(self, counts: NDArray[np.int16], lost: int, ppm: float) -> Validity:
        """Validity of a block, counts of shape (n, axes) with n >= 1; ppm: measured clock against nominal."""
        validity = Validity.GAP if lost else Validity.OK
        duration_s = len(counts) / self._sensor.rate_hz
        low, high = counts.min(axis=0), counts.max(axis=0)
        self._follow_stuck(counts, low, high, duration_s)
        if self.stuck.any():
            validity |= Validity.STUCK
        if self._clipped(counts, low, high):
            validity |= Validity.CLIP
        if abs(ppm) > CLOCK_TOLERANCE_PPM:
            validity |= Validity.CLOCK
        if Validity.CLIP not in validity or self._mean is None:  # a clipped wave has no mean to speak of
            self._follow_mean(counts, duration_s)
        if self._sensor.dc_coupled and not validity and self._turned(duration_s):
            validity |= Validity.GRAVITY
        return validity

    def _follow_stuck(
        self,
        counts: NDArray[np.int16],
        low: NDArray[np.int16],
        high: NDArray[np.int16],
        duration_s: float,
    ) -> None:
        still = (low == high) & (low == self._last)
        self._last = counts[-1].copy()
        self._still_s = np.where(still, self._still_s + duration_s, 0.0)
        long_s = max(_STUCK_S, _STUCK_SAMPLES / self._sensor.rate_hz)
        if self._must_move:
            self.stuck = self._still_s >= long_s

    def _clipped(self, counts: NDArray[np.int16], low: NDArray[np.int16], high: NDArray[np.int16]) -> bool:
        edge = self._sensor.full_scale_counts - 1
        if high.max() < edge and low.min() > -edge:
            return False
        # One sample at the edge may be a file scaled to fill its format; a clipped wave stays there.
        at_edge = (counts >= edge) | (counts <= -edge)
        return bool((at_edge.sum(axis=0) >= 2).any())

    def _follow_mean(self, counts: NDArray[np.int16], duration_s: float) -> None:
        mean = counts.mean(axis=0, dtype=np.float64)
        if self._mean is None:
            self._mean = mean
        else:
            self._mean += (mean - self._mean) * min(1.0, duration_s / _GRAVITY_TAU_S)

    def _turned(self, duration_s: float) -> bool:
        """Gravity gone, or turned by more than 10° from what it was when sampling had settled.

        One or two axes see only a part of gravity, and perhaps none of it: there only a change counts.
        """
        vector = self.mean_counts * self._sensor.scale_mps2
        low, high = (g * STANDARD_GRAVITY_MPS2 for g in _GRAVITY_RANGE)
        if self._sensor.axes == 3 and not low <= float(np.linalg.norm(vector)) <= high:
            return True
        self._settled_s += duration_s
        if self._gravity is None:
            if self._settled_s >= 2 * _GRAVITY_TAU_S:
                self._gravity = vector
            return False
        return float(np.linalg.norm(vector - self._gravity)) > _TURNED_MPS2
