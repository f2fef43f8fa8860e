"""Shaft speed without a tachometer: the comb of harmonics that stands out of the spectrum.

A metric, not a feature of the model: where the comb is weak an estimate jumps to a multiple or fraction of
the true speed, and a learned baseline would call that jump an anomaly.
"""

import numpy as np
from numpy.typing import NDArray

from appliance.analysis.fft import F32

F64 = NDArray[np.float64]

HARMONICS = 5
NAMEPLATE_SHARE = 0.06
"""Slip, mains frequency and load move a shaft less than this from its nameplate."""
SEARCH_HZ = (5.0, 62.0)
"""Where shafts turn when no nameplate is known: 300 to 3720 rpm. Above, a comb may well be a bearing's."""
SUBHARMONIC_SHARE = 0.7
"""A comb at a half, third or quarter of the best with this share of its score makes the best a harmonic."""
WHITENING_BINS = 24
CLIP_LN = 6.0
"""So that one strong line (mains, a gear mesh) cannot outvote the other harmonics."""
SURE_LN = 1.5
"""Mean height of a comb over the floor, ln power, its tallest line left out, from which it is believed.

Measured on noise: at most 1.0 in 150 windows with a nameplate, 1.3 without."""
SURE_WITHOUT_NAMEPLATE_LN = 2.0
FINE = 4
"""Steps per bin in which lines are placed."""


def speed_hz(
    power: F32, bin_hz: float, nameplate_hz: float | None = None, top_hz: float | None = None
) -> float | None:
    """Shaft speed, Hz, or None where no comb of five harmonics is certain.

    Args:
        power: mean square per bin of a Hann spectrum, shape (axes, bins); the axes vote together.
        bin_hz: frequency step, at most a quarter of the lowest speed sought.
        nameplate_hz: searched within ±6 %; from 5 to 62 Hz if None.
        top_hz: fastest speed where it varies; nameplate_hz is then the slowest.
    """
    (low, high), sure_ln = SEARCH_HZ, SURE_WITHOUT_NAMEPLATE_LN
    if nameplate_hz is not None:
        sure_ln = SURE_LN
        low, high = nameplate_hz * (1 - NAMEPLATE_SHARE), (top_hz or nameplate_hz) * (1 + NAMEPLATE_SHARE)
    low, high = max(low, 4 * bin_hz), min(high, (power.shape[1] - 2) * bin_hz / HARMONICS)
    if high <= low:
        return None
    bins = min(power.shape[1], int(HARMONICS * high / bin_hz) + 2 * WHITENING_BINS)
    lines = _Lines(_whitened(power[:, :bins]))
    candidates: F64 = np.arange(low, high, bin_hz / (FINE * HARMONICS)) / bin_hz
    score = lines.score(candidates)
    best = int(np.argmax(score))
    if score[best] < sure_ln:
        return None
    needed = max(sure_ln, SUBHARMONIC_SHARE * float(score[best]))
    for divisor in (4, 3, 2):
        lower = np.arange(-1, 1 + 1 / FINE, 1 / FINE) / HARMONICS + candidates[best] / divisor
        lower_score = lines.score(lower)
        if lower[0] * bin_hz >= low and lower_score.max() >= needed:
            return lines.fundamental(float(lower[np.argmax(lower_score)])) * bin_hz
    return lines.fundamental(float(candidates[best])) * bin_hz


def _whitened(power: F32) -> F64:
    """Log of power over its local median, mean of the axes, (bins,); the last few bins are left out."""
    axes, bins = power.shape
    blocks = max(1, bins // WHITENING_BINS)
    width = bins // blocks
    log = np.log(power[:, : blocks * width].astype(np.float64) + 1e-12)
    floor = np.partition(log.reshape(axes, blocks, width), width // 2)[..., width // 2]
    centres = (np.arange(blocks) + 0.5) * width
    local = np.array([np.interp(np.arange(blocks * width), centres, axis) for axis in floor])
    mean: F64 = (log - local).mean(axis=0)
    return mean


class _Lines:
    """The lines of a whitened spectrum: its local maxima, placed between the bins by a parabola."""

    def __init__(self, white: F64) -> None:
        below, centre, above = white[:-2], white[1:-1], white[2:]
        at = np.flatnonzero((centre > below) & (centre >= above) & (centre > 0))
        curvature = below[at] - 2 * centre[at] + above[at]
        self._bin: F64 = at + 1 + (below[at] - above[at]) / (2 * curvature)
        self._height: F64 = np.minimum(centre[at], CLIP_LN)
        self._fine: F64 = np.zeros(FINE * (len(white) + 2))
        for step in range(
            -FINE + 1, FINE
        ):  # a line counts less the further a harmonic misses it, up to one bin
            where = np.round(self._bin * FINE).astype(np.intp) + step
            np.maximum.at(self._fine, where, self._height * (1 - abs(step) / FINE))

    def score(self, candidate_bins: F64) -> F64:
        """Mean height of the lines at the harmonics of each candidate (0: no line), the tallest left out."""
        at = np.outer(np.arange(1, HARMONICS + 1), candidate_bins * FINE)
        heights = self._fine[np.minimum(np.round(at).astype(np.intp), len(self._fine) - 1)]
        mean: F64 = (heights.sum(axis=0) - heights.max(axis=0)) / (HARMONICS - 1)
        return mean

    def fundamental(self, coarse_bin: float) -> float:
        """The fundamental in bins, of the lines within a bin of its harmonics, by height and order."""
        order = np.round(self._bin / coarse_bin)
        near = (np.abs(self._bin - order * coarse_bin) < 1) & (order >= 1) & (order <= HARMONICS)
        order, weight = order[near], order[near] * self._height[near]
        return float(np.sum(weight * self._bin[near] / order) / np.sum(weight))
