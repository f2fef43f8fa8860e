"""The absolute quantities of a block: what the hard limits look at. No window, no spectrum, no model."""

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

_SLOPE_WINDOW_S = 600.0
_SLOPE_LEAST_S = 60.0
_SLOPE_READINGS = 700
_SLOPE_SPACING_S = 0.9
"""Readings that come faster are thinned, or the memory would hold less than a minute of them."""


def peak_rms_mps2(
    counts: NDArray[np.int16], mean_counts: NDArray[np.float64], scale_mps2: float
) -> tuple[float, float]:
    """Peak and RMS acceleration of the worst axis about its slow mean, m/s².

    Args:
        counts: shape (n, axes), n >= 1.
        mean_counts: shape (axes,), gravity and offset.
        scale_mps2: m/s² of one count.
    """
    moving = counts - mean_counts.astype(np.float32)
    peak = float(np.abs(moving).max())
    rms = float(np.sqrt(np.einsum("ij,ij->j", moving, moving).max() / len(moving)))
    return peak * scale_mps2, rms * scale_mps2


@dataclass(slots=True)
class TemperatureSlope:
    """Slope of a temperature over the last ten minutes, °C/min, by least squares."""

    _readings: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=_SLOPE_READINGS))

    def update(self, at_mono_ns: int, degc: float) -> float | None:
        """Add a reading; the slope, or None while the readings span less than a minute."""
        at_s = at_mono_ns * 1e-9
        if not self._readings or at_s - self._readings[-1][0] >= _SLOPE_SPACING_S:
            self._readings.append((at_s, degc))
        while self._readings[0][0] < at_s - _SLOPE_WINDOW_S:
            self._readings.popleft()
        if at_s - self._readings[0][0] < _SLOPE_LEAST_S:
            return None
        table = np.array(self._readings)
        t_min = (table[:, 0] - at_s) / 60.0
        t_min -= t_min.mean()
        return float(t_min @ (table[:, 1] - table[:, 1].mean()) / (t_min @ t_min))
