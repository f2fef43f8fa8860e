"""What is kept of the windows learnt: enough to know their conditions again and to adapt, and no raw data."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from appliance.analysis.autoencoder import F32
from appliance.analysis.quantize import QuantizedModel

F64 = NDArray[np.float64]

LANDMARKS = 32
SAME_SPEED = 0.02
"""Speeds nearer than this, relative, are one: slip and load move a shaft so much."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Of one baseline, for k features.

    gram: HᵀH of the last layer's h inputs and a constant, (h + 1, h + 1), over `windows` windows of
    `conditions` conditions. landmarks: (m, k) standardised, each the median of a short stretch learnt.
    speeds_hz: where the shaft was heard, ascending. background: (k,) standardised, of the machine at rest,
    empty where it never rested. threshold: at commissioning; adaptation may not move far from it.
    """

    gram: F64
    windows: int
    conditions: int
    landmarks: F32
    speeds_hz: tuple[float, ...]
    background: F32
    threshold: float


def hidden(model: QuantizedModel, Z: F32) -> F64:
    """Inputs of the last layer as the int8 network has them, and a constant 1: (n, k) -> (n, h + 1)."""
    inner = QuantizedModel(model.input, model.layers[:-1])
    return np.concatenate([inner.forward(Z), np.ones((len(Z), 1), np.float32)], axis=1).astype(np.float64)


def gram(model: QuantizedModel, Z: F32) -> F64:
    """HᵀH of windows, (n, k) -> (h + 1, h + 1)."""
    H = hidden(model, Z)
    product: F64 = H.T @ H
    return product


def landmarks(Z: F32, stretches: NDArray[np.intp]) -> F32:
    """At most LANDMARKS medians of windows that follow each other in one stretch, (n, k) -> (m, k)."""
    labels = np.unique(stretches)
    each = max(1, LANDMARKS // len(labels))
    parts = [part for label in labels for part in np.array_split(Z[stretches == label], each) if len(part)]
    kept = parts[:: -(-len(parts) // LANDMARKS)]
    return np.array([np.median(part, axis=0) for part in kept], np.float32)


def distinct(speeds_hz: list[float]) -> tuple[float, ...]:
    """The different speeds among many readings, ascending; what was read less than three times is chance."""
    found: list[list[float]] = []
    for speed in sorted(speeds_hz):
        if found and speed <= found[-1][0] * (1 + 2 * SAME_SPEED):
            found[-1].append(speed)
        else:
            found.append([speed])
    return tuple(float(np.median(group)) for group in found if len(group) >= 3)
