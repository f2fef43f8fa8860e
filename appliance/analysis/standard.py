"""Features as the model sees them: logarithms of magnitudes, centred and scaled by robust statistics."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from appliance.analysis.autoencoder import F32

if TYPE_CHECKING:
    from appliance.analysis.catalogue import Feature

MAD_TO_SIGMA = 1.4826
IQR_TO_SIGMA = 0.7413


@dataclass(frozen=True, slots=True)
class Standard:
    """The transform of k features: (t - center) / scale, with t = ln(max(x, floor)) where `log`, else x.

    All arrays are (k,); center and scale are in units of t.
    """

    log: NDArray[np.bool_]
    floor: F32
    center: F32
    scale: F32

    def level(self, X: F32) -> F32:
        """Features in the units that are compared: ln of magnitudes, others as they are. (…, k) -> (…, k)."""
        magnitudes = np.maximum(X, self.floor)
        return np.log(magnitudes, out=np.array(X, np.float32), where=self.log)

    def __call__(self, X: F32) -> F32:
        """Standardised features, (…, k) -> (…, k); not clipped."""
        return ((self.level(X) - self.center) / self.scale).astype(np.float32)


def fit(X: F32, features: Sequence["Feature"]) -> Standard:
    """Center = median; scale = the larger of MAD and IQR (as sigmas), at least the feature's `min_scale`.

    X: (n, k) in physical units, finite; k = len(features).
    """
    log = np.array([feature.log for feature in features])
    floor = np.array([feature.floor for feature in features], np.float32)
    unscaled = Standard(log, floor, np.zeros_like(floor), np.ones_like(floor))
    level = unscaled.level(X)
    low, center, high = np.percentile(level, (25, 50, 75), axis=0)
    mad = MAD_TO_SIGMA * np.median(np.abs(level - center), axis=0)
    least = np.array([feature.min_scale for feature in features])
    scale = np.maximum(np.maximum(mad, IQR_TO_SIGMA * (high - low)), least)
    return Standard(log, floor, center.astype(np.float32), scale.astype(np.float32))
