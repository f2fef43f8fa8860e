"""Learn normal: from windows of a healthy machine to a quantized model, its normalisers and its threshold."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from appliance.analysis import autoencoder, memory, residual, standard
from appliance.analysis.autoencoder import F32, Progress
from appliance.analysis.memory import Memory
from appliance.analysis.quantize import QuantizedModel, quantize
from appliance.analysis.standard import Standard
from appliance.analysis.steadiness import CONDITION_WINDOWS
from appliance.analysis.tail import RATE, Tail
from appliance.analysis.tail import fit as fit_tail
from appliance.analysis.tail import threshold as threshold_of
from appliance.errors import LearningError

if TYPE_CHECKING:
    from appliance.analysis.catalogue import Feature

FEWEST_WINDOWS = 25
FOLDS = 5
INPUT_LIMIT = 6.0
"""Standardised features beyond this are clipped for the network (never for the score)."""
LEAST_RESIDUAL = 0.1
"""The smallest residual spread assumed, in units of the feature's own spread: several int8 steps."""
Trainer = Callable[..., tuple[autoencoder.Dense, ...]]
"""Makes a network of standardised windows: `autoencoder.train` with some of its arguments given."""
WORST_QUANTIZATION = 0.1
"""Mean difference of int8 from float scores, as a share of the threshold; measured on real machines: 0.01."""
LEAST_AGREEMENT = 0.98


@dataclass(frozen=True, slots=True)
class Receipt:
    """How the int8 model compares with the float model on the learning windows.

    largest, mean: absolute difference of the score over the threshold; rank: Spearman correlation of scores;
    agreement: share of windows on the same side of the threshold.
    """

    largest: float
    mean: float
    rank: float
    agreement: float


@dataclass(frozen=True, slots=True)
class Baseline:
    """What was learnt. Arrays are (k,), in the order of `names`."""

    features: tuple["Feature", ...]
    standard: Standard
    layers: tuple[autoencoder.Dense, ...]
    """As trained, in float; after an adaptation the last one is fitted to the int8 ones before it."""
    model: QuantizedModel
    residual_scale: F32
    threshold: float
    threshold_rule: str
    tail: Tail
    held_out_scores: F32
    """(n,) score of every window by a network that had not seen it."""
    windows: tuple[int, ...]
    """Windows per recording."""
    receipt: Receipt
    samples: F32
    """Some standardised windows, (m, k), that make good test inputs."""
    memory: Memory

    def reconstruct(self, standardised: F32) -> F32:
        """The int8 model's output, in float. (n, k) -> (n, k)."""
        return self.model.forward(standardised)

    def scores(self, X: F32, *, quantized: bool = True) -> F32:
        """Scores of windows, (n, k) in physical units -> (n,), by the int8 model or by the float one."""
        Z = self.standard(X)
        output = self.reconstruct(Z) if quantized else _float(self.layers, Z)
        return _score(Z, output, self.residual_scale)


def learn(
    matrices: Sequence[F32],
    features: Sequence["Feature"],
    *,
    speeds_hz: Sequence[float] = (),
    background: F32 | None = None,
    seed: int = 1,
    progress: Progress | None = None,
    train: Trainer = autoencoder.train,
) -> Baseline:
    """Learn one baseline from several recordings (operating conditions) of a healthy machine.

    Args:
        matrices: one per recording, (n_i, k) float32 in physical units, in order of time.
        features: the k columns.
        speeds_hz: of those windows where a speed was heard.
        background: (k,) typical features of the machine at rest, in physical units, if it rested.
        seed: the same seed and windows give the same model, bit for bit.
        progress: called with the share done; what it raises ends the learning.
        train: makes each network.

    Raises:
        LearningError: too few windows, values that are not numbers, or data that do not move.
    """
    X = _checked(matrices, features)
    rows = _even(matrices)
    transform = standard.fit(X[rows], features)
    Z = _moving(transform(X))
    folds = np.concatenate([_blocks(len(matrix), index) for index, matrix in enumerate(matrices)])
    unseen = np.empty_like(Z)
    share = 1 / (FOLDS + 1)
    for fold in range(FOLDS):
        held = folds == fold
        _, model = _network(Z[rows[~held[rows]]], train, seed + fold, _part(progress, fold * share, share))
        unseen[held] = model.forward(Z[held])
    scale = _spread(Z - unseen)
    held_out = _score(Z, unseen, scale)
    stretches = _stretches(matrices)
    tail = fit_tail(held_out, stretches)
    threshold = threshold_of(tail, held_out)
    layers, model = _network(Z[rows], train, seed + FOLDS, _part(progress, FOLDS * share, share))
    return Baseline(
        features=tuple(features),
        standard=transform,
        layers=layers,
        model=model,
        residual_scale=scale,
        threshold=threshold,
        threshold_rule=rule(tail, len(held_out)),
        tail=tail,
        held_out_scores=held_out,
        windows=tuple(len(matrix) for matrix in matrices),
        receipt=_accepted(receipt(Z, _float(layers, Z), model, scale, threshold)),
        samples=Z[:: max(1, len(Z) // 8)][:8],
        memory=Memory(
            gram=memory.gram(model, Z),
            windows=len(Z),
            conditions=sum(1 for matrix in matrices if len(matrix)),
            landmarks=memory.landmarks(Z, stretches),
            speeds_hz=memory.distinct(list(speeds_hz)),
            background=np.zeros(0, np.float32) if background is None else transform(background),
            threshold=threshold,
        ),
    )


def _checked(matrices: Sequence[F32], features: Sequence["Feature"]) -> F32:
    """All windows, (n, k), or a LearningError that says what is wrong with them."""
    for index, matrix in enumerate(matrices):
        if matrix.ndim != 2 or matrix.shape[1] != len(features):
            raise LearningError(
                f"recording {index}: features of shape {matrix.shape}, expected (windows, {len(features)}); "
                "all recordings of one baseline need the same rate, window and axes"
            )
        bad = np.argwhere(~np.isfinite(matrix))
        if len(bad):
            row, column = (int(v) for v in bad[0])
            raise LearningError(
                f"recording {index}: window {row}, {features[column].name} is {matrix[row, column]}, "
                "expected a number; leave windows that are NOT OK out"
            )
    total = sum(len(matrix) for matrix in matrices)
    if total < FEWEST_WINDOWS:
        raise LearningError(
            f"{total} windows of normal running, expected at least {FEWEST_WINDOWS}; record about "
            f"{FEWEST_WINDOWS / max(total, 1):.1f} times as much, or use shorter windows or more overlap"
        )
    return np.concatenate([np.asarray(matrix, np.float32) for matrix in matrices])


def _moving(Z: F32) -> F32:
    """The standardised windows, or a LearningError where no feature moves by what a residual may be.

    What lies below the floors of the catalogue, as a signal in a wrong unit does, moves nothing either.
    """
    if not np.any(np.ptp(Z, axis=0) > LEAST_RESIDUAL):
        raise LearningError(
            f"all {len(Z)} windows are the same, expected the small differences of a running machine; "
            "check that the sensor is alive, the machine runs and the unit is right"
        )
    return Z


def _even(matrices: Sequence[F32]) -> NDArray[np.intp]:
    """All windows by index; those of a condition that was run seldom several times over.

    What is run for one minute in ten is as normal as the rest, but no median, spread or mean error says so.
    """
    sizes = [len(matrix) for matrix in matrices]
    times = [max(sizes) // size if size >= CONDITION_WINDOWS else 1 for size in sizes]
    starts = np.cumsum([0, *sizes])
    parts = zip(starts, sizes, times, strict=False)
    return np.concatenate([np.tile(np.arange(start, start + size), count) for start, size, count in parts])


def _blocks(n: int, recording: int) -> NDArray[np.intp]:
    """Fold of each of n windows of one recording: FOLDS blocks in time, so that neighbours stay together.

    Every recording gives the same stretch of its time to a fold: that is harder, so more honest, than mixing
    them. Recordings of a single window are dealt out.
    """
    return np.arange(n) * FOLDS // n if n > 1 else np.full(n, recording % FOLDS)


def _stretches(matrices: Sequence[F32]) -> NDArray[np.intp]:
    """Labels of stretches of time, (n,): a fold of a recording, or more where it has few windows."""
    parts = [np.arange(len(m)) * min(FOLDS, max(1, len(m) // 10)) // len(m) for m in matrices if len(m)]
    return np.concatenate([part + FOLDS * index for index, part in enumerate(parts)])


def _part(progress: Progress | None, start: float, share: float) -> Callable[[float], None] | None:
    if progress is None:
        return None
    return lambda done: progress(start + share * done)


def _network(
    Z: F32, train: Trainer, seed: int, progress: Progress | None
) -> tuple[tuple[autoencoder.Dense, ...], QuantizedModel]:
    """Train on clipped standardised windows and quantize on the same."""
    clipped = np.clip(Z, -INPUT_LIMIT, INPUT_LIMIT)
    steps = autoencoder.steps_for(len(Z))
    layers = train(clipped, steps=steps, seed=seed, progress=progress)
    return layers, quantize(layers, clipped)


def _float(layers: Sequence[autoencoder.Dense], Z: F32) -> F32:
    return autoencoder.forward(layers, np.clip(Z, -INPUT_LIMIT, INPUT_LIMIT))


def _score(Z: F32, reconstruction: F32, scale: F32) -> F32:
    return residual.score(residual.parts(residual.excess(Z, reconstruction, scale)))


def _spread(unseen: F32) -> F32:
    """Spread of each feature's residual on unseen windows, outliers clipped, (n, k) -> (k,)."""
    spread: F32 = np.sqrt(np.mean(unseen**2, axis=0, dtype=np.float32))
    return np.maximum(spread, np.float32(LEAST_RESIDUAL))


def rule(tail: Tail, held_out: int) -> str:
    """How a threshold was set, in words."""
    return (
        f"exceeded by {RATE:.1%} of normal windows, 75 % sure: generalised Pareto tail of {held_out} "
        f"held-out scores ({tail.independent:.0f} independent exceedances, shape {tail.shape:+.2f}), "
        "within a robust bound"
    )


def _accepted(receipt: Receipt) -> Receipt:
    """The receipt, or a LearningError where int8 lost what float had learnt."""
    if receipt.mean > WORST_QUANTIZATION or receipt.agreement < LEAST_AGREEMENT:
        raise LearningError(
            f"int8 model {receipt.mean:.0%} of the threshold off the float one, same verdict on "
            f"{receipt.agreement:.0%} of the windows, expected at most {WORST_QUANTIZATION:.0%} and at least "
            f"{LEAST_AGREEMENT:.0%}; learn from windows without transients"
        )
    return receipt


def receipt(Z: F32, reconstruction: F32, model: QuantizedModel, scale: F32, threshold: float) -> Receipt:
    """How the int8 model compares with float arithmetic, (n, k), on standardised windows, (n, k)."""
    exact = _score(Z, reconstruction, scale)
    coarse = _score(Z, model.forward(Z), scale)
    difference = np.abs(exact - coarse) / threshold
    ranks = np.argsort(np.argsort(exact)), np.argsort(np.argsort(coarse))
    return Receipt(
        largest=float(difference.max()),
        mean=float(difference.mean()),
        rank=float(np.corrcoef(*ranks)[0, 1]),
        agreement=float(np.mean((exact > threshold) == (coarse > threshold))),
    )
