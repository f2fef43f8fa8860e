"""The threshold from the tail of held-out scores, with its false-alarm rate, confidence and time delay.

A high quantile of a few dozen windows is their worst one: chance. What lies above the bulk is fitted instead
with a generalised Pareto distribution (peaks over threshold) and continued to the rate that is wanted.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from appliance.analysis.residual import CAP
from appliance.analysis.standard import IQR_TO_SIGMA

F64 = NDArray[np.float64]

BULK = 0.8
"""Share of the scores below the tail."""
PRIOR_SHAPE = -0.15
"""Shape of the tail of a normal distribution beyond its 80 % quantile, down to one in a thousand: the
logarithm of a mean of many parts is nearly normal."""
PRIOR_WEIGHT = 20.0
"""So many independent exceedances of a recording's own outweigh the prior."""
STEEPEST, HEAVIEST = -0.2, 0.3
RATE = 3e-3
"""Share of normal windows that may lie above the threshold; the time delay does the rest."""
LIKELY_SIGMAS, SURE_SIGMAS = 0.6745, 1.2816
"""One-sided 75 % (where the threshold is set) and 90 % (what is promised of it)."""
ALARMS_PER_MONTH = 1.0
"""What the time delay aims at."""
MONTH_S = 30 * 86_400.0
LONGEST_RUN = 20
"""Windows in a row; a longer wait would cost more warning than the false alarms it saves."""
SURELY_FOLLOWED = 0.95
OUTLIER = 1.5
SIGMAS = 3.5
"""The threshold is at most OUTLIER times exp(median + SIGMAS robust sigmas) of ln(score): bad windows among
those learnt cannot raise it without end. The rate that is promised then rises instead."""
HIGHEST = 0.4 * CAP
"""No threshold is higher: beyond, a machine that is wholly unlike itself would hardly reach it."""


@dataclass(frozen=True, slots=True)
class Tail:
    """A generalised Pareto tail of ln(score): beyond `start`, `share` of the scores lie.

    independent: exceedances that count, after neighbours in time that say the same are taken together.
    follow: chance that an exceedance of `start` is followed by another in the next window, upper bound.
    """

    start: float
    share: float
    shape: float
    scale: float
    independent: float
    follow: float

    def level(self, rate: float, sigmas: float = 0.0) -> float:
        """The score that `rate` of the windows exceed; sigmas: upper bound by so many standard errors."""
        scale = self.scale * math.exp(sigmas / math.sqrt(self.independent))
        if rate >= self.share:
            return math.exp(self.start)
        span = math.log(self.share / rate)
        reach = span if abs(self.shape) < 1e-6 else math.expm1(self.shape * span) / self.shape
        return math.exp(self.start + scale * reach)

    def rate(self, score: float, sigmas: float = 0.0) -> float:
        """The share of normal windows above `score` (at least e^start): the inverse of `level`."""
        scale = self.scale * math.exp(sigmas / math.sqrt(self.independent))
        away = max(0.0, (math.log(score) - self.start) / scale)
        if abs(self.shape) < 1e-6:
            return self.share * math.exp(-away)
        base = 1 + self.shape * away
        return self.share * base ** (-1 / self.shape) if base > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Persistence:
    """How long a score must stay above the threshold to be believed, and what then remains.

    windows: so many in a row. alarms_per_month: false ones to expect of a machine that runs all the time.
    """

    windows: int
    alarms_per_month: float


def fit(scores: NDArray[np.floating], stretches: NDArray[np.intp] | None = None) -> Tail:
    """Fit the tail of held-out scores, (n,), n >= 10, > 0, in order of time.

    stretches: (n,) labels of what was held out together; drift from one to the next is no run of exceedances.
    Probability-weighted moments (they are stable for a handful of exceedances), the shape drawn towards that
    of a normal tail as long as there are few.

    Source: Hosking & Wallis 1987, Parameter and quantile estimation for the generalized Pareto distribution.
    """
    log = np.log(np.maximum(np.asarray(scores, np.float64), 1e-6))
    start = float(np.quantile(log, BULK))
    over = log > start
    excess = np.sort(log[over] - start)
    count = len(excess)
    if count < 2 or excess[-1] <= 0:  # scores that hardly differ
        return Tail(start, 1 - BULK, PRIOR_SHAPE, 1e-3, 1.0, SURELY_FOLLOWED)
    level = log - _medians(log, stretches)
    independent = max(1.0, count * _independence(level))
    mean = float(excess.mean())
    weighted = float(np.mean(excess * (1 - (np.arange(1, count + 1) - 0.35) / count)))
    own = 2 - mean / (mean - 2 * weighted) if mean > 2 * weighted else STEEPEST
    weight = independent / (independent + PRIOR_WEIGHT)
    shape = float(np.clip(weight * own + (1 - weight) * PRIOR_SHAPE, STEEPEST, HEAVIEST))
    return Tail(
        start,
        count / len(log),
        shape,
        mean * (1 - shape),
        independent,
        _follow(level > np.quantile(level, BULK)),
    )


def threshold(tail: Tail, scores: NDArray[np.floating]) -> float:
    """The score from which a window is abnormal: RATE of the windows exceed it, within the robust bound."""
    low, middle, high = np.percentile(np.log(np.maximum(scores, 1e-6)), (25, 50, 75))
    bound = OUTLIER * math.exp(middle + SIGMAS * IQR_TO_SIGMA * (high - low))
    return float(min(tail.level(RATE, LIKELY_SIGMAS), bound, HIGHEST))


def persistence(tail: Tail, score: float, hop_s: float, least: int = 1) -> Persistence:
    """The fewest windows in a row above the threshold `score` that leave at most ALARMS_PER_MONTH.

    Exceedances come in runs; each window of a run is followed by one more with the chance `tail.follow`.
    hop_s: seconds from window to window, > 0. least: no fewer windows than that.
    """
    rate = tail.rate(score, SURE_SIGMAS)
    runs = MONTH_S / hop_s * rate * (1 - tail.follow)
    excess = max(1.0, runs / ALARMS_PER_MONTH)
    wanted = 1 + math.ceil(math.log(excess) / -math.log(tail.follow))
    windows = min(LONGEST_RUN, max(least, wanted))
    return Persistence(windows, runs * tail.follow ** (windows - 1))


def _medians(log: F64, stretches: NDArray[np.intp] | None) -> F64:
    """For each score the median of its stretch, (n,)."""
    if stretches is None:
        return np.full(len(log), np.median(log))
    medians: F64 = np.empty_like(log)
    for stretch in np.unique(stretches):
        medians[stretches == stretch] = np.median(log[stretches == stretch])
    return medians


def _independence(log: F64) -> float:
    """Independent windows per window, 0–1, from the correlation of neighbours (first-order process)."""
    centred = log - log.mean()
    variance = float(np.mean(centred**2))
    if variance <= 0:
        return 1.0
    neighbour = max(0.0, float(np.mean(centred[1:] * centred[:-1])) / variance)
    return (1 - neighbour) / (1 + neighbour)


def _follow(over: NDArray[np.bool_]) -> float:
    """Chance that an exceedance follows an exceedance: upper bound (90 %, Wilson)."""
    followed = over[1:][over[:-1]]
    n, z2 = len(followed), SURE_SIGMAS**2
    if n == 0:
        return SURELY_FOLLOWED
    share = float(followed.mean())
    spread = SURE_SIGMAS * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return min(SURELY_FOLLOWED, (share + z2 / (2 * n) + spread) / (1 + z2 / n))
