"""A dense autoencoder in pure numpy: it starts as principal components and is then trained with Adam."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
Progress = Callable[[float], None]
"""Called now and then with the share done, 0–1. What it raises ends the training: that is how to cancel."""

WIDEST_BOTTLENECK = 15
WIDEST_HIDDEN = 45
WINDOWS_A_UNIT = 4
"""Windows that each hidden unit must have to learn from; measured in docs/DETECTION.md, Few windows."""
EXPLAINED = 0.8
"""Share of the variance that the bottleneck must carry. More lets faults pass unseen: on a fan at nine speeds
0.8 gave AUC 0.983, 0.9 gave 0.968, 0.6 gave 0.967; on bearings and imbalance all were alike."""
BATCH = 32
LEARNING_RATE = 2e-3
NOISE = 0.3
"""Standard deviation of the noise added to the standardised input; the target stays clean (denoising)."""
START = 0.3
"""Initial weights of the units that no principal component uses, as a share of He initialisation."""
REPORTS = 25
"""How often one training calls `progress`."""


@dataclass(frozen=True, slots=True)
class Dense:
    """One layer, y = x @ weight.T + bias, then max(y, 0) where `relu`. weight: (out, in); bias: (out,)."""

    weight: F32
    bias: F32
    relu: bool


def forward(layers: Sequence[Dense], X: F32) -> F32:
    """The network's output. X: (n, k) -> (n, k)."""
    for layer in layers:
        X = X @ layer.weight.T + layer.bias
        if layer.relu:
            X = np.maximum(X, 0)
    return X


def steps_for(n: int) -> int:
    """Optimiser steps worth spending on n windows: 40 passes over the data, 400 to 4000 steps."""
    return int(np.clip(40 * n // BATCH, 400, 4000))


def train(
    X: F32,
    *,
    steps: int,
    seed: int,
    progress: Progress | None = None,
    widths: tuple[int, int] | None = None,
    target: F32 | None = None,
) -> tuple[Dense, ...]:
    """Train k-h-b-h-k on standardised features; the same arguments give the same weights, bit for bit.

    The bottleneck b (linear) is as wide as the principal components that explain EXPLAINED of the variance,
    at most 15. The hidden layers h (ReLU) have a unit for every four windows, 2b at least, and at most 45
    or 0.75k. The network starts as the projection on those components, each carried by a pair of ReLU
    units, so that a few dozen windows suffice. Training is denoising, with a cosine learning rate that ends
    it; a held-out stop was no better and costs windows.

    Args:
        X: (n, k) float32, n >= 2, finite, roughly unit scale.
        steps: optimiser steps; fixes the learning-rate schedule.
        seed: of spare initial weights, order and noise.
        progress: see `Progress`.
        widths: h and b, 1 <= 2b <= h and b < k, in place of those found; b is less where n has not so many.
        target: (n, k) to come out in place of X: what a larger network makes of it, say.

    Source: Kingma & Ba 2015 (Adam), Vincent et al. 2008 (denoising), Baldi & Hornik 1989 (components).

    """
    rng = np.random.default_rng(seed)
    mean, components = _components(X, widths[1] if widths else None)
    bottleneck = len(components)
    carried = min(WIDEST_HIDDEN, round(0.75 * X.shape[1]), len(X) // WINDOWS_A_UNIT)
    hidden = widths[0] if widths else max(2 * bottleneck, carried)
    target = X if target is None else target
    network = _Network((X.shape[1], hidden, bottleneck, hidden, X.shape[1]), (True, False, True, False))
    _start(network.layers, mean, components, rng)
    report = max(1, steps // REPORTS)
    order = np.zeros(0, np.intp)
    for step in range(steps):
        if len(order) < BATCH:
            order = np.concatenate([order, rng.permutation(len(X))])
        chosen, order = order[:BATCH], order[BATCH:]
        batch = X[chosen]
        noisy = batch + np.float32(NOISE) * rng.standard_normal(batch.shape, dtype=np.float32)
        network.descend(noisy, target[chosen], 0.5 * (1 + np.cos(np.pi * step / steps)))
        if progress is not None and (step + 1) % report == 0:
            progress((step + 1) / steps)
    return tuple(Dense(layer.weight.copy(), layer.bias.copy(), layer.relu) for layer in network.layers)


def _components(X: F32, wanted: int | None) -> tuple[F32, F32]:
    """Mean (k,) and the principal components (b, k) that the bottleneck carries."""
    mean = X.mean(axis=0)
    # Eigenvectors of the smaller Gram matrix: an SVD of 3600 × 174 costs 20 times as much.
    centred = (X - mean).astype(np.float64)
    n, k = X.shape
    variance, vectors = np.linalg.eigh(centred.T @ centred if k <= n else centred @ centred.T)
    variance, vectors = np.maximum(variance[::-1], 0), vectors[:, ::-1]
    share = np.cumsum(variance) / max(float(variance.sum()), 1e-12)
    enough = int(np.searchsorted(share, EXPLAINED)) + 1
    count = max(1, min(wanted or min(enough, WIDEST_BOTTLENECK, k // 4), n // 3))
    components = vectors[:, :count].T if k <= n else vectors[:, :count].T @ centred
    norm = np.linalg.norm(components, axis=1, keepdims=True)
    return mean, (components / np.maximum(norm, 1e-12)).astype(np.float32)


def _start(layers: Sequence[Dense], mean: F32, components: F32, rng: np.random.Generator) -> None:
    """Set weights so that the network projects on the components: x = relu(x) - relu(-x) for each of them."""
    b = len(components)
    encode, narrow, widen, decode = layers
    for layer in (encode, widen):
        spare = rng.standard_normal(layer.weight.shape, dtype=np.float32)
        layer.weight[:] = spare * np.float32(START * np.sqrt(2 / layer.weight.shape[1]))
    for layer in (encode, widen):
        eye = components if layer is encode else np.eye(b, dtype=np.float32)
        layer.weight[:b], layer.weight[b : 2 * b] = eye, -eye
    encode.bias[:b], encode.bias[b : 2 * b] = -components @ mean, components @ mean
    narrow.weight[:, :b], narrow.weight[:, b : 2 * b] = np.eye(b), -np.eye(b)
    decode.weight[:, :b], decode.weight[:, b : 2 * b] = components.T, -components.T
    decode.bias[:] = mean


class _Network:
    """All weights in one flat vector, so that Adam is a few array operations; layers are views of it."""

    def __init__(self, widths: Sequence[int], relu: Sequence[bool]) -> None:
        sizes = list(pairwise(widths))
        count = sum(o * i + o for i, o in sizes)
        self._parameters, self._gradient = np.zeros(count, np.float32), np.zeros(count, np.float32)
        self._mean, self._square = np.zeros(count, np.float32), np.zeros(count, np.float32)
        self._t = 0
        self.layers: list[Dense] = []
        self._slopes: list[tuple[F32, F32]] = []
        at = 0
        for (i, o), active in zip(sizes, relu, strict=True):
            weight, bias = slice(at, at + o * i), slice(at + o * i, at + o * i + o)
            self.layers.append(Dense(self._parameters[weight].reshape(o, i), self._parameters[bias], active))
            self._slopes.append((self._gradient[weight].reshape(o, i), self._gradient[bias]))
            at += o * i + o

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
            layer, (weight, bias) = self.layers[index], self._slopes[index]
            if layer.relu:
                delta *= seen[index + 1] > 0
            np.matmul(delta.T, seen[index], out=weight)
            np.sum(delta, axis=0, out=bias)
            if index:
                delta = delta @ layer.weight
        self._adam(np.float32(LEARNING_RATE * share))

    def _adam(self, rate: np.float32) -> None:
        self._t += 1
        gradient = self._gradient
        self._mean += np.float32(0.1) * (gradient - self._mean)
        self._square += np.float32(0.001) * (gradient * gradient - self._square)
        mean = self._mean / np.float32(1 - 0.9**self._t)
        spread = np.sqrt(self._square / np.float32(1 - 0.999**self._t)) + np.float32(1e-8)
        self._parameters -= rate * mean / spread
