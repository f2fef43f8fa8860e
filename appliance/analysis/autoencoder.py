"""A dense autoencoder trained in pure numpy: Adam, denoising, cosine learning rate, early stop."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
Progress = Callable[[float], None]
"""Called now and then with the share done, 0–1. What it raises ends the training: that is how to cancel."""

BATCH = 32
LEARNING_RATE = 2e-3
NOISE = 0.1
"""Standard deviation of the noise added to the standardised input; the target stays clean (denoising)."""
WEIGHT_DECAY = 1e-4
CHECKS = 25
"""How often in one training the held-out loss is looked at."""
PATIENCE = 6
"""Checks without a better held-out loss after which training ends."""


@dataclass(frozen=True, slots=True)
class Dense:
    """One layer, y = x @ weight.T + bias, then max(y, 0) where `relu`. weight: (out, in); bias: (out,)."""

    weight: F32
    bias: F32
    relu: bool


def hidden_widths(k: int, n: int) -> tuple[int, int, int]:
    """Hidden widths for k features and n windows: 45-15-45, narrower where the data cannot carry that much.

    The bottleneck is at most a quarter of the features and a third of the windows, and at least 1.
    """
    bottleneck = max(1, min(15, k // 4, n // 3))
    outer = max(bottleneck, min(45, round(0.75 * k)))
    return outer, bottleneck, outer


def steps_for(n: int) -> int:
    """Optimiser steps worth spending on n windows: 40 passes over the data, 400 to 4000 steps."""
    return int(np.clip(40 * n // BATCH, 400, 4000))


def forward(layers: Sequence[Dense], X: F32) -> F32:
    """The network's output. X: (n, k) -> (n, k)."""
    for layer in layers:
        X = X @ layer.weight.T + layer.bias
        if layer.relu:
            X = np.maximum(X, 0)
    return X


def train(
    X: F32,
    held_out: F32 | None = None,
    *,
    hidden: Sequence[int],
    steps: int,
    seed: int,
    progress: Progress | None = None,
) -> tuple[Dense, ...]:
    """Train k-hidden-k on standardised features; the same arguments give the same weights, bit for bit.

    Args:
        X: (n, k) float32, n >= 1, finite, roughly unit scale.
        held_out: (m, k) windows that decide when to stop and which weights to keep; None runs all steps.
        hidden: widths between input and output.
        steps: upper bound of optimiser steps; fixes the learning-rate schedule.
        seed: of initial weights, order and noise.
        progress: see `Progress`.

    Source: Kingma & Ba 2015 (Adam, decoupled weight decay), Vincent et al. 2008 (denoising).
    """
    rng = np.random.default_rng(seed)
    network = _Network((X.shape[1], *hidden, X.shape[1]), rng)
    check = max(1, steps // CHECKS)
    best_loss, best, stale = np.inf, network.parameters, 0
    order = np.zeros(0, np.intp)
    for step in range(steps):
        if len(order) < BATCH:
            order = np.concatenate([order, rng.permutation(len(X))])
        batch, order = X[order[:BATCH]], order[BATCH:]
        noise = rng.standard_normal(batch.shape, dtype=np.float32)
        network.descend(batch + np.float32(NOISE) * noise, batch, 0.5 * (1 + np.cos(np.pi * step / steps)))
        if (step + 1) % check:
            continue
        if progress is not None:
            progress((step + 1) / steps)
        if held_out is not None:
            loss = float(np.mean((forward(network.layers, held_out) - held_out) ** 2))
            if loss < best_loss * 0.999:
                best_loss, best, stale = loss, network.parameters.copy(), 0
            else:
                stale += 1
            if stale >= PATIENCE:
                break
    if held_out is not None and np.isfinite(best_loss):
        network.parameters[:] = best
    return tuple(Dense(layer.weight.copy(), layer.bias.copy(), layer.relu) for layer in network.layers)


class _Network:
    """All weights in one flat vector, so that Adam is a few array operations; layers are views of it."""

    def __init__(self, widths: Sequence[int], rng: np.random.Generator) -> None:
        sizes = list(pairwise(widths))
        count = sum(o * i + o for i, o in sizes)
        self.parameters = np.zeros(count, np.float32)
        self._gradient = np.zeros(count, np.float32)
        self._decay = np.zeros(count, np.float32)
        self._m, self._v = np.zeros(count, np.float32), np.zeros(count, np.float32)
        self._t = 0
        self.layers: list[Dense] = []
        self._slopes: list[tuple[F32, F32]] = []
        at = 0
        for index, (i, o) in enumerate(sizes):
            last = index == len(sizes) - 1
            weight = self.parameters[at : at + o * i].reshape(o, i)
            weight[:] = rng.standard_normal((o, i), dtype=np.float32) * np.float32(
                np.sqrt((1 if last else 2) / i)
            )
            self._decay[at : at + o * i] = WEIGHT_DECAY
            slope = self._gradient[at : at + o * i].reshape(o, i)
            at += o * i
            self.layers.append(Dense(weight, self.parameters[at : at + o], not last))
            self._slopes.append((slope, self._gradient[at : at + o]))
            at += o

    def descend(self, x: F32, target: F32, share: float) -> None:
        """One Adam step on the mean squared error at `share` of the learning rate."""
        seen = [x]
        for layer in self.layers:
            x = x @ layer.weight.T
            x += layer.bias
            if layer.relu:
                np.maximum(x, 0, out=x)
            seen.append(x)
        delta = (seen[-1] - target) * np.float32(2 / target.size)
        for index in range(len(self.layers) - 1, -1, -1):
            slope_weight, slope_bias = self._slopes[index]
            np.matmul(delta.T, seen[index], out=slope_weight)
            np.sum(delta, axis=0, out=slope_bias)
            if index:
                delta = (delta @ self.layers[index].weight) * (seen[index] > 0)
        self._adam(np.float32(LEARNING_RATE * share))

    def _adam(self, rate: np.float32) -> None:
        self._t += 1
        gradient = self._gradient
        self._m += np.float32(0.1) * (gradient - self._m)
        self._v += np.float32(0.001) * (gradient * gradient - self._v)
        mean = self._m / np.float32(1 - 0.9**self._t)
        spread = np.sqrt(self._v / np.float32(1 - 0.999**self._t)) + np.float32(1e-8)
        self.parameters -= rate * (mean / spread + self._decay * self.parameters)
