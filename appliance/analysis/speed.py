"""Shaft speed without a tachometer: the comb of harmonics that stands out of the spectrum.

A metric, not a feature of the model: where the comb is weak an estimate jumps to a multiple or fraction of
the true speed, and a learned baseline would call that jump an anomaly.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from appliance.analysis.fft import F32

F64 = NDArray[np.float64]

HARMONICS = 5
NAMEPLATE_SHARE = 0.06
"""Slip, mains frequency and load move a shaft less than this from its nameplate."""
SEARCH_HZ = (5.0, 100.0)
"""Where shafts turn when no nameplate is known: 300 to 6000 rpm."""
WHITENING_BINS = 24
CLIP_LN = 6.0
"""So that one strong line (mains, a gear mesh) cannot outvote the other harmonics."""
SURE_LN = 1.5
"""Mean height of a comb's lines over the floor, ln power, from which it is believed; noise stays below."""


def speed_hz(power: F32, bin_hz: float, nameplate_hz: float | None = None) -> float | None:
    """Shaft speed, Hz, or None where no comb of five harmonics is certain.

    Args:
        power: mean square per bin of a Hann spectrum, shape (axes, bins); the axes vote together.
        bin_hz: frequency step, at most a quarter of the lowest speed sought.
        nameplate_hz: searched within ±6 %; from 5 to 100 Hz if None.
    """
    low, high = SEARCH_HZ
    if nameplate_hz is not None:
        low, high = nameplate_hz * (1 - NAMEPLATE_SHARE), nameplate_hz * (1 + NAMEPLATE_SHARE)
    low, high = max(low, 4 * bin_hz), min(high, (power.shape[1] - 2) * bin_hz / HARMONICS)
    if high <= low:
        return None
    bins = min(power.shape[1], int(HARMONICS * high / bin_hz) + 2 * WHITENING_BINS)
    height = _whitened(power[:, :bins])
    candidates: F64 = np.arange(low, high, bin_hz / (4 * HARMONICS))
    heights = _comb(height, candidates / bin_hz)
    score = heights.mean(axis=0)
    best = int(np.argmax(score))
    if score[best] < SURE_LN or np.sum(heights[:, best] > SURE_LN) < HARMONICS // 2 + 1:
        return None
    return _refined(power[:, :bins], height, candidates[best] / bin_hz) * bin_hz


def _whitened(power: F32) -> F64:
    """Log of power over its local median, clipped to 0..6, mean of the axes, (bins,)."""
    log = np.log(power.astype(np.float64) + 1e-12)
    bins = log.shape[1]
    blocks = max(1, bins // WHITENING_BINS)
    edges = np.linspace(0, bins, blocks + 1).astype(int)
    floor = np.array([np.median(log[:, a:b], axis=1) for a, b in pairwise(edges)])
    centres = (edges[:-1] + edges[1:]) / 2
    steps = np.arange(bins)
    local = np.array([np.interp(steps, centres, axis) for axis in floor.T])
    mean: F64 = np.clip(log - local, 0, CLIP_LN).mean(axis=0)
    return mean


def _comb(height: F64, candidate_bins: F64) -> F64:
    """Height of the spectrum at each harmonic of each candidate, (harmonics, candidates)."""
    at = np.outer(np.arange(1, HARMONICS + 1), candidate_bins)
    comb: F64 = np.interp(at, np.arange(len(height)), height, right=0.0)
    return comb


def _refined(power: F32, height: F64, coarse_bin: float) -> float:
    """The fundamental, in bins, from the interpolated peaks near its harmonics, weighted by height."""
    total = power.sum(axis=0, dtype=np.float64)
    weighted, weights = 0.0, 0.0
    for harmonic in range(1, HARMONICS + 1):
        near = round(coarse_bin * harmonic)
        if near + 2 >= len(total):
            break
        peak = near - 1 + int(np.argmax(total[near - 1 : near + 2]))
        below, centre, above = np.log(total[peak - 1 : peak + 2] + 1e-30)
        curvature = below - 2 * centre + above
        if curvature >= 0:
            continue
        weight = harmonic * float(height[peak])
        weighted += weight * (peak + (below - above) / (2 * curvature)) / harmonic
        weights += weight
    return weighted / weights if weights else coarse_bin
