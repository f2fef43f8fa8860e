"""The absolute quantities of a block: what the hard limits look at. No window, no spectrum, no model."""

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

_SLOPE_LEAST = 0.1
"""Share of the window that the readings must span."""
_SLOPE_SPACING = 0.0015
"""Share of the window that lies between two readings, at least: what comes faster is left out."""
_SLOPE_READINGS = 700
"""More than fit into a window at that spacing."""


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
class Slope:
    """Rate of change over `window_s` seconds, by least squares, in the quantity's unit per minute."""

    window_s: float = 600.0
    _readings: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=_SLOPE_READINGS))

    def update(self, at_mono_ns: int, value: float) -> float | None:
        """Add a reading; the slope, or None while the readings span less than a tenth of the window."""
        at_s = at_mono_ns * 1e-9
        if not self._readings or at_s - self._readings[-1][0] >= _SLOPE_SPACING * self.window_s:
            self._readings.append((at_s, value))
        while self._readings[0][0] < at_s - self.window_s:
            self._readings.popleft()
        if at_s - self._readings[0][0] < _SLOPE_LEAST * self.window_s:
            return None
        table = np.array(self._readings)
        t_min = (table[:, 0] - at_s) / 60.0
        t_min -= t_min.mean()
        return float(t_min @ (table[:, 1] - table[:, 1].mean()) / (t_min @ t_min))
