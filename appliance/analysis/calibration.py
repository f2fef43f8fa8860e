"""Fitting what is known of many machines to a few windows of one: centre, scales and level of its scores."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from appliance.analysis import residual, standard
from appliance.analysis.autoencoder import F32
from appliance.analysis.quantize import QuantizedModel
from appliance.analysis.standard import Standard

if TYPE_CHECKING:
    from appliance.analysis.catalogue import Feature

BLOCKS = 4
"""Of the calibrating windows, in time; each is scored by what the other blocks give."""


@dataclass(frozen=True, slots=True)
class Population:
    """What was learnt of many machines. Arrays are (k,), in the order of `features`.

    network: reconstructs standardised windows. scale: usual spread of a feature within one machine, as
    `standard.fit` gives it. residual_scale: of machines that the network had not seen. prior: `scale` counts
    for so many windows.
    """

    features: Sequence["Feature"]
    network: QuantizedModel
    scale: F32
    residual_scale: F32
    prior: float

    def reconstruct(self, Z: F32) -> F32:
        """What the network makes of standardised windows, (n, k) -> (n, k)."""
        return self.network.forward(Z)

    def scores(self, Z: F32) -> F32:
        """Scores of standardised windows, (n, k) -> (n,)."""
        return residual.score(residual.parts(residual.excess(Z, self.reconstruct(Z), self.residual_scale)))


def standard_of(X: F32, features: Sequence["Feature"], scale: F32, prior: float) -> Standard:
    """The transform of a machine from few windows, (n, k) in physical units, its spread drawn to `scale`."""
    own = standard.fit(X, features)
    square = (len(X) * own.scale**2 + prior * scale**2) / (len(X) + prior)
    return replace(own, scale=np.sqrt(square).astype(np.float32))


def blocks(n: int) -> NDArray[np.intp]:
    """Block of each of n windows."""
    return np.arange(n) * BLOCKS // n


def worst_unseen(X: F32, population: Population) -> float:
    """The worst score of a window that the calibration had not seen. X: (n, k), n >= 2 * BLOCKS."""
    of, worst = blocks(len(X)), 0.0
    for block in range(BLOCKS):
        rest = standard_of(X[of != block], population.features, population.scale, population.prior)
        worst = max(worst, float(population.scores(rest(X[of == block])).max()))
    return worst
