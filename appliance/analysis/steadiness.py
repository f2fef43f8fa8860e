"""Was the machine steady while it was listened to? Asked within each way of running, before it is learnt.

Windows of one way of running lie near each other; a slow change is a chain of near windows and stays one
group, a step to another speed or load leaves a gap and makes two. So conditions are no drift, nor drift
conditions.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from appliance.analysis.autoencoder import F32
from appliance.analysis.catalogue import describe
from appliance.analysis.standard import IQR_TO_SIGMA

if TYPE_CHECKING:
    from appliance.analysis.catalogue import Feature

F64 = NDArray[np.float64]
Labels = NDArray[np.intp]

MAIN = ("rms", "velocity", "kurtosis", "envelope")
"""Kinds of features that tell wear and warming; all are compared as ratios."""
LINKED = 3.0
"""Two windows nearer than this, in spreads (RMS over the features), run alike; noise alone gives 1.4."""
LEAST_SPREAD = 0.02
"""A machine steadier than this, in ln, would fall into many conditions."""
CONDITION_WINDOWS = 8
"""Fewer are no condition, only a passage between two."""
FEWEST_WINDOWS = 25
DRIFTED = math.log(1.2)
"""A change of a fifth over all that was gathered, and of DRIFTED_SPREADS of its own scatter, is drift."""
DRIFTED_SPREADS = 3.0
_POINTS = 40
_MOST_LINKED = 600
"""Memory grows with its square. Of more windows so many are compared; each stands for those behind it."""


def conditions(X: F32, features: Sequence["Feature"]) -> Labels:
    """Way of running of each window, (n,), counted from 0 in order of their first window.

    X: (n, k) in physical units, in order of time.
    """
    main = _main(X, features)[0]
    if len(main) < 2:
        return np.zeros(len(main), np.intp)
    spread = np.maximum(_spread(np.diff(main, axis=0)) / math.sqrt(2), LEAST_SPREAD)
    some = np.round(np.linspace(0, len(main) - 1, min(len(main), _MOST_LINKED))).astype(np.intp)
    scaled = main[some] / spread
    square = np.sum(scaled**2, axis=1)
    away = (square[:, None] + square - 2.0 * scaled @ scaled.T) / scaled.shape[1]
    labels = _linked(away < LINKED**2)
    return _without_passages(labels[np.searchsorted(some, np.arange(len(main)), side="right") - 1])


def drift(X: F32, features: Sequence["Feature"], hop_s: float) -> str:
    """What rose or fell within one way of running, in words; "" where nothing did.

    X: (n, k) in physical units, in order of time, hop_s apart. A condition of fewer than FEWEST_WINDOWS says
    nothing.
    """
    main, names = _main(X, features)
    labels = conditions(X, features)
    worst, words = 0.0, ""
    for label in np.unique(labels):
        at = np.flatnonzero(labels == label)
        if len(at) < FEWEST_WINDOWS:
            continue
        change, scatter = _trend(at.astype(np.float64), main[at])
        beyond = np.where(np.abs(change) > DRIFTED, np.abs(change) / np.maximum(scatter, 1e-6), 0.0)
        column = int(np.argmax(beyond))
        if beyond[column] > max(worst, DRIFTED_SPREADS):
            worst = float(beyond[column])
            way = "rose" if change[column] > 0 else "fell"
            percent = 100.0 * abs(math.expm1(change[column]))
            lasted_s = (at[-1] - at[0]) * hop_s
            words = f"{describe(names[column])} {way} by {percent:.0f} % within {lasted_s:.0f} s"
    return words


def _main(X: F32, features: Sequence["Feature"]) -> tuple[F64, list[str]]:
    """The columns of the main kinds, in ln, and their names."""
    columns = [index for index, feature in enumerate(features) if feature.kind in MAIN]
    floor = np.array([features[index].floor for index in columns])
    return np.log(np.maximum(X[:, columns].astype(np.float64), floor)), [features[i].name for i in columns]


def _linked(near: NDArray[np.bool_]) -> Labels:
    """Groups of what is near, directly or through others: (n, n) -> (n,)."""
    labels: Labels = np.full(len(near), -1, np.intp)
    for first in range(len(near)):
        if labels[first] >= 0:
            continue
        group = near[first]
        while True:
            wider = near[group].any(axis=0)
            if np.array_equal(wider, group):
                break
            group = wider
        labels[group] = labels.max() + 1
    return labels


def _without_passages(labels: Labels) -> Labels:
    """Groups too small for a condition joined to the window before them, or after where none is before."""
    large = np.isin(labels, np.flatnonzero(np.bincount(labels) >= CONDITION_WINDOWS))
    if not large.any():
        return np.zeros_like(labels)
    last = np.maximum.accumulate(np.where(large, np.arange(len(labels)), -1))
    joined = labels[np.where(last < 0, np.argmax(large), last)]
    _, first, where = np.unique(joined, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[where]


def _trend(at: F64, values: F64) -> tuple[F64, F64]:
    """Change over the whole, and robust scatter of the windows: (n,), (n, m) -> (m,), (m,).

    The change is that of the median slope, or from the first quarter to the last where that is more: what
    begins late bends no median slope.
    Source: Theil 1950, Sen 1968; of medians of at most _POINTS neighbours each, so that it stays cheap.
    """
    parts = np.array_split(np.arange(len(at)), min(_POINTS, len(at)))
    x = np.array([at[part].mean() for part in parts])
    y = np.array([np.median(values[part], axis=0) for part in parts])
    i, j = np.triu_indices(len(x), 1)
    slope = np.median((y[j] - y[i]) / (x[j] - x[i])[:, None], axis=0)
    trend = slope * (at[-1] - at[0])
    quarter = max(1, len(y) // 4)
    risen = np.median(y[-quarter:], axis=0) - np.median(y[:quarter], axis=0)
    scatter = np.minimum(
        _spread(values - slope * at[:, None]), _spread(np.diff(values, axis=0)) / math.sqrt(2)
    )
    return np.where(np.abs(risen) > np.abs(trend), risen, trend), scatter


def _spread(values: F64) -> F64:
    """Robust standard deviation, (n, m) -> (m,)."""
    low, high = np.percentile(values, (25, 75), axis=0)
    return np.asarray((high - low) * IQR_TO_SIGMA)
