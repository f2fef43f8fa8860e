"""How a detector is measured: AUC, false and true positive rates at the threshold it set itself."""

import functools
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

if TYPE_CHECKING:
    from tools import peers

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Result:
    """auc: all faults; worst: the hardest fault; fpr, tpr: per window at the threshold."""

    auc: float
    worst: float
    fpr: float
    tpr: float


def auc(healthy: Floats, faulty: Floats) -> float:
    """Area under the ROC: chance that a faulty window scores above a healthy one (ties count half)."""
    ranks = rankdata(np.concatenate([healthy, faulty]))[len(healthy) :]
    return float((ranks.sum() - len(faulty) * (len(faulty) + 1) / 2) / (len(healthy) * len(faulty)))


@dataclass(frozen=True)
class Fitted:
    """A detector that has learnt: scores of windows, and the score from which it calls one abnormal."""

    threshold: float
    scores: Callable[[Any], Floats]

    def judge(self, healthy: Any, faults: dict[str, Any]) -> Result:
        normal = self.scores(healthy)
        by_label = {label: self.scores(windows) for label, windows in faults.items()}
        everything = np.concatenate(list(by_label.values()))
        return Result(
            auc(normal, everything),
            min(auc(normal, scores) for scores in by_label.values()),
            float(np.mean(normal > self.threshold)),
            float(np.mean(everything > self.threshold)),
        )


def row(name: str, results: Sequence[Result]) -> None:
    """Print the mean of the results as one row of a table."""
    mean = [np.mean([getattr(r, key) for r in results]) for key in ("auc", "worst", "fpr", "tpr")]
    print(f"  {name:26} {mean[0]:7.4f} {mean[1]:12.4f} {mean[2]:6.3f} {mean[3]:6.3f}", flush=True)


def fit_peer(fit: "peers.Fit", parts: Sequence[Floats], seed: int) -> Fitted:
    """A detector of scikit-learn behind a standard scaler; threshold: its worst held-out training score.

    parts: one feature matrix a recording.
    """
    from tools import peers  # noqa: PLC0415

    X = np.concatenate(list(parts))
    folds = np.concatenate([np.arange(len(part)) * 5 // len(part) for part in parts])
    detector = peers.scaled(fit)
    return Fitted(float(peers.held_out(detector, X, folds, seed).max()), detector(X, seed))


@functools.cache
def peers_are_here() -> bool:
    """Whether scikit-learn is; says so once where it is not."""
    here = importlib.util.find_spec("sklearn") is not None
    if not here:
        print("  scikit-learn is not installed: peers left out; pip install '.[bench]' to see them")
    return here


def rivals_of(train: Sequence[Floats], level: Callable[[Any], Floats]) -> Iterator[tuple[str, Fitted]]:
    """Every peer on these feature matrices, in the units that are compared."""
    if not peers_are_here():
        return
    from tools import peers  # noqa: PLC0415 - the only part that needs scikit-learn

    for name, fit in peers.PEERS.items():
        one = fit_peer(fit, [level(part) for part in train], 0)
        yield name, Fitted(one.threshold, lambda X, one=one: one.scores(level(X)))
