"""Adapt a baseline to running that was accepted as normal: last layer, residual spread and threshold.

The network's inner layers stay. Its last layer is fitted anew by ridge regression to the windows learnt and
the new ones together; of those learnt only HᵀH is needed, since HᵀX is (HᵀH)W: no raw data is kept.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from appliance.analysis import residual, tail
from appliance.analysis.autoencoder import F32, Dense
from appliance.analysis.baseline import FOLDS, INPUT_LIMIT, LEAST_RESIDUAL, Baseline, receipt, rule
from appliance.analysis.condition import Conditions
from appliance.analysis.memory import F64, hidden
from appliance.analysis.memory import landmarks as landmarks_of
from appliance.analysis.quantize import dequantized, with_last
from appliance.errors import BudgetError, LearningError

if TYPE_CHECKING:
    from collections.abc import Sequence

FEWEST_WINDOWS = 25
RIDGE = 0.1
"""How firmly the layer stays where it was, as a share of the mean square of its inputs."""
MOST_RAISED = 1.5
"""The threshold may rise to this times that of commissioning, however often it is adapted."""


def adapt(learnt: Baseline, X: F32, *, speeds_hz: "Sequence[float]" = (), accepted: bool) -> Baseline:
    """The baseline with the running in X learnt too.

    Args:
        learnt: made by `baseline.learn` or adapted before.
        X: (n, k) float32 in physical units, in order of time, of one condition.
        speeds_hz: of those windows where a speed was heard.
        accepted: a person or the policy has named this a condition of its own: it becomes one that drift is
            measured from. Else it is slow change, which may go no further than the drift budget.

    Raises:
        LearningError: too few windows.
        BudgetError: slow change has gone farther than may be followed.
    """
    if len(X) < FEWEST_WINDOWS:
        raise LearningError(
            f"{len(X)} windows to adapt to, expected at least {FEWEST_WINDOWS}; gather that share more"
        )
    Z, memory = learnt.standard(X), learnt.memory
    now: F32 = np.median(Z, axis=0).astype(np.float32)
    if not accepted and (far := Conditions(memory, learnt.standard, learnt.features).drifted(now)):
        raise BudgetError(f"not adapted: {far}; find the cause, then accept it as normal or learn anew")
    H = hidden(learnt.model, np.clip(Z, -INPUT_LIMIT, INPUT_LIMIT))
    weight = max(1.0, memory.windows / memory.conditions / len(Z))
    unseen = _held_out(learnt, H, Z, weight)
    share = weight * len(Z) / (memory.windows + weight * len(Z))
    square = (1 - share) * learnt.residual_scale**2 + share * np.mean((Z - unseen) ** 2, axis=0)
    scale = np.maximum(np.sqrt(square), LEAST_RESIDUAL).astype(np.float32)
    scores = residual.score(residual.parts(residual.excess(Z, unseen, scale)))
    fitted = tail.fit(scores)
    threshold = float(
        np.clip(tail.threshold(fitted, scores), learnt.threshold, MOST_RAISED * memory.threshold)
    )
    worse = max(learnt.tail, fitted, key=lambda one: one.rate(threshold, tail.SURE_SIGMAS))
    W = _last(learnt, H, Z, weight)
    layer = Dense(W[:-1].T.astype(np.float32), W[-1].astype(np.float32), relu=False)
    outputs = (H @ W).astype(np.float32)
    model = with_last(learnt.model, layer.weight, layer.bias, outputs)
    kept = landmarks_of(Z, np.arange(len(Z)) * 4 // len(Z))
    return replace(
        learnt,
        layers=(*learnt.layers[:-1], layer),
        model=model,
        residual_scale=scale,
        threshold=threshold,
        threshold_rule=rule(worse, len(scores)) + ", of an adaptation",
        tail=worse,
        held_out_scores=scores,
        windows=(*learnt.windows, len(Z)),
        receipt=receipt(Z, outputs, model, scale, threshold),
        samples=Z[:: max(1, len(Z) // 8)][:8],
        memory=replace(
            memory,
            gram=memory.gram + weight * (H.T @ H),
            windows=memory.windows + round(weight * len(Z)),
            conditions=memory.conditions + 1,
            landmarks=np.concatenate([memory.landmarks, kept]) if accepted else memory.landmarks,
            speeds_hz=_speeds(memory.speeds_hz, speeds_hz) if accepted else memory.speeds_hz,
        ),
    )


def _last(learnt: Baseline, H: F64, Z: F32, weight: float) -> F64:
    """The last layer, bias below, (h + 1, k), by ridge regression drawn to what it was."""
    kernel, bias = dequantized(learnt.model.layers[-1], learnt.model.layers[-2].output)
    before = np.concatenate([kernel.T, bias[None]]).astype(np.float64)
    gram = learnt.memory.gram
    ridge = RIDGE * float(np.trace(gram)) / len(gram) * np.eye(len(gram))
    target = (gram + ridge) @ before + weight * H.T @ Z.astype(np.float64)
    return np.asarray(np.linalg.solve(gram + weight * H.T @ H + ridge, target), np.float64)


def _held_out(learnt: Baseline, H: F64, Z: F32, weight: float) -> F32:
    """What a layer makes of each new window that had not seen its stretch of time, (n, k)."""
    folds = np.arange(len(Z)) * FOLDS // len(Z)
    unseen = np.empty_like(Z)
    for fold in range(FOLDS):
        held = folds == fold
        unseen[held] = H[held] @ _last(learnt, H[~held], Z[~held], weight)
    return unseen


def _speeds(known: tuple[float, ...], heard: "Sequence[float]") -> tuple[float, ...]:
    return tuple(sorted({*known, float(np.median(heard))})) if len(heard) >= FEWEST_WINDOWS / 2 else known
