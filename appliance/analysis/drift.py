"""Drift of the features and of the score, by the Page–Hinkley test: a figure of health, never an alarm."""

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

ALLOWED = 0.5
"""A change of the mean by less than this, in spreads, is no drift."""
LIMIT = 50.0
"""Sum of changes, in spreads × windows, that is drift: a mean off by one spread takes a hundred windows."""
CLIP = 5.0
"""So that one wild window adds little."""


class PageHinkley:
    """Two-sided test of k series at once for a change of their means since the first window.

    Source: Page 1954; Hinkley 1971, as in Gama et al. 2014.
    """

    def __init__(self, k: int) -> None:
        self._n = 0
        self._mean: F64 = np.zeros(k)
        self._rise: F64 = np.zeros(k)
        self._fall: F64 = np.zeros(k)

    def update(self, values: NDArray[np.floating]) -> F64:
        """The statistic of each series over LIMIT, (k,), >= 0: from 1 on its mean has changed.

        values: (k,) of one window, in spreads of the series.
        """
        clipped = np.clip(values, -CLIP, CLIP).astype(np.float64)
        self._n += 1
        self._mean += (clipped - self._mean) / self._n
        away = clipped - self._mean
        self._rise = np.maximum(0.0, self._rise + away - ALLOWED)
        self._fall = np.maximum(0.0, self._fall - away - ALLOWED)
        return np.maximum(self._rise, self._fall) / LIMIT
