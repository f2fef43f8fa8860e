"""The search: networks of many widths, each trained and measured; the smallest that is as good as the best.

Narrower layers are structured pruning: whole units go, and what is left runs faster on any runtime.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import isnan

import numpy as np

from appliance.analysis import autoencoder, commission
from appliance.analysis.autoencoder import F32, Dense, Progress
from appliance.analysis.baseline import Baseline, Trainer
from appliance.analysis.commission import Gathered
from appliance.analysis.features import Extractor
from appliance.errors import LearningError
from tools.training import figures
from tools.training.figures import Cost, Quality

Widths = tuple[int, int]
GRID: tuple[Widths, ...] = ((64, 24), (45, 15), (32, 15), (32, 8), (24, 8), (16, 8), (16, 4), (8, 4), (8, 2))
LESS_AUC, LESS_TPR, MORE_RISE = 0.001, 0.01, 1.05
"""As good as the best: so much less, or so many times the rise."""
TEACHER: Widths = (128, 32)
SEEDS = 3


@dataclass(frozen=True, slots=True)
class Data:
    """What is learnt and judged. normal: (n, k) all windows learnt; faulty: (m, k), or None without any."""

    gathered: Sequence[Gathered]
    extractor: Extractor
    normal: F32
    faulty: F32 | None
    seed: int

    def learn(self, train: Trainer, seed: int, progress: Progress | None = None) -> Baseline:
        """One baseline. Raises LearningError."""
        return commission.baseline_of(
            self.gathered, self.extractor, seed=seed, progress=progress, train=train
        )

    def quality(self, learnt: Baseline) -> Quality:
        """Of the int8 model."""
        return figures.quality(learnt, self.normal, self.faulty)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One network of the search. widths: hidden and bottleneck; name: the same as k-h-b-h-k."""

    name: str
    widths: Widths
    learnt: Baseline
    quality: Quality
    cost: Cost


def grid(k: int, windows: int) -> Iterator[Widths]:
    """Widths worth trying for k features: narrower than these, and carried by the windows."""
    for hidden, bottleneck in GRID:
        if 2 * bottleneck <= hidden <= max(8, k) and bottleneck <= max(2, min(k // 3, windows // 4)):
            yield hidden, bottleneck


def search(data: Data, told: Callable[[str], Progress]) -> list[Candidate]:
    """Every network of the grid, trained and measured. told: gives a progress for each."""
    k, windows = data.normal.shape[1], len(data.normal)
    out = []
    for widths in grid(k, windows):
        name = f"{k}-{widths[0]}-{widths[1]}-{widths[0]}-{k}"
        learnt = data.learn(partial(autoencoder.train, widths=widths), data.seed, told(name))
        out.append(Candidate(name, widths, learnt, data.quality(learnt), figures.cost(learnt.model)))
    return out


def choose(candidates: Sequence[Candidate], most_bytes: int, most_us: float) -> Candidate:
    """The smallest of those within the budget that are as good as the best of them. Raises LearningError."""
    within = [one for one in candidates if one.cost.file_bytes <= most_bytes and one.cost.p99_us <= most_us]
    if not within:
        size = min(one.cost.file_bytes for one in candidates)
        slow = min(one.cost.p99_us for one in candidates)
        raise LearningError(
            f"no network within {most_bytes} bytes and {most_us:g} µs; the smallest has {size} bytes, the "
            f"fastest takes {slow:.1f} µs; raise --most-bytes or --most-us"
        )
    return min((one for one in within if _good(one, within)), key=lambda one: one.cost.file_bytes)


def _good(one: Candidate, others: Sequence[Candidate]) -> bool:
    if isnan(one.quality.auc):
        return one.quality.rise_db <= MORE_RISE * min(other.quality.rise_db for other in others)
    auc, tpr = (max(getattr(other.quality, key) for other in others) for key in ("auc", "tpr"))
    return bool(one.quality.auc >= auc - LESS_AUC and one.quality.tpr >= tpr - LESS_TPR)


@dataclass(frozen=True, slots=True)
class Distillation:
    """Plain and distilled networks of the same widths, seed by seed. learnt: distilled, of the first seed."""

    plain: list[Quality]
    distilled: list[Quality]
    learnt: Baseline

    @property
    def helps(self) -> bool:
        """Whether it gains more than the seeds scatter, and more than the search would notice."""
        measure, least = ("rise_db", 0.05) if isnan(self.plain[0].auc) else ("tpr", LESS_TPR)
        before, after = (
            np.array([getattr(q, measure) for q in some]) for some in (self.plain, self.distilled)
        )
        gain = (before - after) / before.mean() if measure == "rise_db" else after - before
        error = gain.std(ddof=1) / np.sqrt(len(gain))
        return bool(gain.mean() > max(least, 2 * error))


def distil(data: Data, chosen: Candidate, told: Callable[[str], Progress]) -> Distillation:
    """Train the chosen widths plainly, and on what a larger network makes of the same windows."""
    plain, taught = [], []
    for index in range(SEEDS):
        seed = data.seed + 100 * index
        plain.append(data.learn(partial(autoencoder.train, widths=chosen.widths), seed))
        name = f"distilled {index + 1} of {SEEDS}"
        taught.append(data.learn(partial(_taught, widths=chosen.widths), seed, told(name)))
    return Distillation(
        [data.quality(one) for one in plain], [data.quality(one) for one in taught], taught[0]
    )


def _taught(Z: F32, *, steps: int, seed: int, progress: Progress | None, widths: Widths) -> tuple[Dense, ...]:
    larger = min(TEACHER[0], Z.shape[1]), min(TEACHER[1], Z.shape[1] // 3)
    teacher = autoencoder.train(Z, steps=2 * steps, seed=seed + 1, widths=larger)
    target = autoencoder.forward(teacher, Z)
    return autoencoder.train(Z, steps=steps, seed=seed, progress=progress, widths=widths, target=target)
