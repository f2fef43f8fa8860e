"""What a trained network is worth: size, speed, and how well it tells normal from anything else."""

import time
from dataclasses import dataclass, replace

import numpy as np

from appliance.analysis import runner, tflite
from appliance.analysis.autoencoder import F32, Dense
from appliance.analysis.baseline import INPUT_LIMIT, Baseline
from appliance.analysis.quantize import QuantizedModel, quantize
from tools.measures import auc

INVOCATIONS = 2000
LOUDEST_DB = 24.0
LEVELS = frozenset({"rms", "peak", "velocity", "envelope", "band"})
"""Kinds of features that rise with the vibration itself."""
INT4_STEPS = 7


@dataclass(frozen=True, slots=True)
class Quality:
    """How well it tells. rise_db: how much louder one axis must be until half of the windows are over the
    threshold, mean of the axes: smaller is better. auc, tpr: of faulty windows, NaN where none were given.
    fpr: of windows learnt, each unseen by the network that scored it.
    """

    rise_db: float
    auc: float
    fpr: float
    tpr: float


@dataclass(frozen=True, slots=True)
class Cost:
    """What it takes here. p50_us, p99_us: of one inference on this machine's runtime."""

    parameters: int
    file_bytes: int
    p50_us: float
    p99_us: float


def quality(learnt: Baseline, normal: F32, faulty: F32 | None, *, quantized: bool = True) -> Quality:
    """Of the int8 model or of the float one. normal, faulty: (n, k) windows in physical units."""
    held_out = learnt.held_out_scores
    found = None if faulty is None else learnt.scores(faulty, quantized=quantized)
    return Quality(
        rise_db=_rise_db(learnt, normal, quantized=quantized),
        auc=float("nan") if found is None else auc(held_out, found),
        fpr=float(np.mean(held_out > learnt.threshold)),
        tpr=float("nan") if found is None else float(np.mean(found > learnt.threshold)),
    )


def cost(model: QuantizedModel) -> Cost:
    """Size of its file, and time of an inference with all that comes with a call from Python."""
    data = tflite.write(model)
    backend, x = runner.open_runner(data), np.zeros(model.inputs, np.int8)
    backend.invoke(x)
    took_ns = []
    for _ in range(INVOCATIONS):
        started_ns = time.perf_counter_ns()
        backend.invoke(x)
        took_ns.append(time.perf_counter_ns() - started_ns)
    p50_us, p99_us = np.percentile(took_ns, (50, 99)) / 1e3
    count = sum(layer.weight.size + layer.bias.size for layer in model.layers)
    return Cost(count, len(data), float(p50_us), float(p99_us))


def int4(learnt: Baseline, normal: F32) -> Baseline:
    """The same with weights of 4 bits, one scale an output, and int8 between the layers."""
    layers = tuple(Dense(_coarse(layer.weight), layer.bias, layer.relu) for layer in learnt.layers)
    clipped = np.clip(learnt.standard(normal), -INPUT_LIMIT, INPUT_LIMIT)
    return replace(learnt, layers=layers, model=quantize(layers, clipped))


def bytes_of(model: QuantizedModel, bits: int) -> int:
    """Weights of so many bits and biases of four bytes."""
    return sum(layer.weight.size * bits // 8 + 4 * layer.bias.size for layer in model.layers)


def _coarse(weight: F32) -> F32:
    step = np.maximum(np.abs(weight).max(axis=1, keepdims=True) / INT4_STEPS, 1e-9)
    rounded: F32 = (np.rint(weight / step) * step).astype(np.float32)
    return rounded


def _rise_db(learnt: Baseline, normal: F32, *, quantized: bool) -> float:
    some = normal[:: max(1, len(normal) // 64)]
    axes = sorted({feature.axis for feature in learnt.features})
    return float(np.mean([_rise_of_db(learnt, some, axis, quantized=quantized) for axis in axes]))


def _rise_of_db(learnt: Baseline, X: F32, axis: str, *, quantized: bool) -> float:
    louder = np.array([feature.axis == axis and feature.kind in LEVELS for feature in learnt.features])
    low_db, high_db = 0.0, LOUDEST_DB
    for _ in range(8):
        middle_db = (low_db + high_db) / 2
        risen = np.where(louder, X * 10 ** (middle_db / 20), X).astype(np.float32)
        over = np.mean(learnt.scores(risen, quantized=quantized) > learnt.threshold) >= 0.5
        low_db, high_db = (low_db, middle_db) if over else (middle_db, high_db)
    return high_db
