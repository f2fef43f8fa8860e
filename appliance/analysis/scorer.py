"""Score windows with a bundle: features in, one number and its reasons out."""

import numpy as np

from appliance.analysis import explain, recall, residual
from appliance.analysis.autoencoder import F32
from appliance.analysis.bundle import Bundle
from appliance.analysis.standard import Standard
from appliance.records import Contribution

Reconstructed = tuple[F32, F32]
"""A window's standardised features and what the network makes of them, both (k,)."""


class Scorer:
    """Scores windows of one sensor. threshold: score from which a window is abnormal; id: of the model."""

    def __init__(self, bundle: Bundle) -> None:
        """Take a bundle that `bundle.load` or `bundle.make` has given."""
        columns = bundle.manifest.features
        self.id = bundle.id
        self.threshold = bundle.threshold
        self.standard = Standard(
            np.array(columns.log),
            np.array(columns.floor, np.float32),
            np.array(columns.center, np.float32),
            np.array(columns.scale, np.float32),
        )
        self._columns = columns
        self._residual_scale = np.array(columns.residual_scale, np.float32)
        self._input, self._output = bundle.network.input, bundle.network.output
        self._runner = bundle.runner
        self.memory = recall.memory(bundle.manifest, bundle.network)

    @property
    def backend(self) -> str:
        """What runs the network: "litert-xnnpack", "tflite-runtime" or "numpy"."""
        return self._runner.name

    def score(
        self, features: F32, pair: Reconstructed | None = None
    ) -> tuple[float, tuple[Contribution, ...]]:
        """The score of one window (>= 0, about 1 where normal) and its largest contributions.

        features: (k,) float32, in physical units and in the order of the bundle. pair: as `through` gave it.

        Raises:
            ValueError: wrong shape, or a value that is not a number.
            PortError: the runtime failed.
        """
        standardised, reconstruction = pair or self.through(features)
        parts = residual.parts(residual.excess(standardised, reconstruction, self._residual_scale))
        top = explain.contributions(self._columns, self.standard, features, reconstruction, parts)
        return float(residual.score(parts)), top

    def residual(self, pair: Reconstructed) -> F32:
        """What the network cannot explain of one window, in spreads of normal, (k,)."""
        standardised, reconstruction = pair
        spreads: F32 = (standardised - reconstruction) / self._residual_scale
        return spreads

    def scores(self, X: F32) -> F32:
        """The score of each window, (n, k) -> (n,); the very same arithmetic as `score`."""
        pairs = [self.through(x) for x in X]
        rows = [residual.parts(residual.excess(z, output, self._residual_scale)) for z, output in pairs]
        return residual.score(np.array(rows, np.float32).reshape(len(X), len(self._columns.names)))

    def through(self, features: F32) -> Reconstructed:
        """Run the network on one window, (k,). Raises as `score`."""
        k = len(self._columns.names)
        if features.shape != (k,) or not np.all(np.isfinite(features)):
            raise ValueError(
                f"features of shape {features.shape}, expected {k} finite numbers; see the manifest"
            )
        standardised = self.standard(features)
        return standardised, self._output.dequantize(self._runner.invoke(self._input.quantize(standardised)))
