"""A base model: what many machines have in common, so that a few windows of another one calibrate it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from appliance.analysis import autoencoder, baseline, bundle, calibration, standard, tail
from appliance.analysis.autoencoder import F32
from appliance.analysis.baseline import FOLDS, INPUT_LIMIT, LEAST_RESIDUAL, Baseline
from appliance.analysis.bundle import Bundle
from appliance.analysis.calibration import Population
from appliance.analysis.catalogue import Feature
from appliance.analysis.features import Extractor
from appliance.analysis.manifest import Base, Manifest
from appliance.analysis.memory import Memory, gram
from appliance.analysis.quantize import QuantizedModel, quantize
from tools.training import machines

Progress = Callable[[float], None]
WINDOWS = 24
"""Of a machine that calibrate it: 16 s at a hop of 0.64 s. 12 gave ten times the false alarms of 24."""
PRIOR = 10.0
RATE = 0.01
"""Share of a healthy machine's windows that may lie above the threshold. On machines held out 1 % gave
FPR .015 and TPR .90 of small faults; 0.3 % .001 and .79; 2 % .035 and .93."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a base is for: rate, axes and how windows are cut."""

    rate_hz: float
    axes: int
    window_s: float
    overlap: float

    @property
    def extractor(self) -> Extractor:
        """For these windows."""
        return Extractor(self.rate_hz, round(self.window_s * self.rate_hz), ("x", "y", "z")[: self.axes])

    @property
    def hop(self) -> int:
        """Samples from window to window."""
        return max(1, round(self.window_s * self.rate_hz * (1 - self.overlap)))

    def healthy(self, number: int, seconds: float) -> F32:
        """Features of a run of one healthy machine of the population."""
        machine = machines.draw(number, self.rate_hz)
        run = machines.accel(machine, self.rate_hz, self.axes, seconds)
        return machines.windows(run, self.extractor, self.hop)


def train(runs: Sequence[F32], features: Sequence[Feature], *, seed: int = 1, progress: Progress) -> Baseline:
    """What machines have in common. runs: windows of one machine each, (n_i, k) in physical units.

    Every machine is standardised by its first WINDOWS windows, as a new one will be. The spread of residuals
    and the threshold, a factor of the worst calibrating window, are of machines unknown to the network.
    """
    own = [standard.fit(X, features) for X in runs]
    usual: F32 = np.exp(np.median(np.log([one.scale for one in own]), axis=0)).astype(np.float32)
    transforms = [calibration.standard_of(X[:WINDOWS], features, usual, PRIOR) for X in runs]
    Zs = [transform(X) for transform, X in zip(transforms, runs, strict=True)]
    folds = [number % FOLDS for number in range(len(runs))]

    def network(held: int) -> tuple[tuple[autoencoder.Dense, ...], QuantizedModel]:
        kept = [Z for Z, fold in zip(Zs, folds, strict=True) if fold != held]
        clipped = np.clip(np.concatenate(kept), -INPUT_LIMIT, INPUT_LIMIT)
        share = 1 / (FOLDS + 1)
        told = lambda done: progress((held + done) * share)  # noqa: E731
        layers = autoencoder.train(
            clipped, steps=autoencoder.steps_for(len(clipped)), seed=seed + held, progress=told
        )
        return layers, quantize(layers, clipped)

    unseen_by = [
        Population(features, network(fold)[1], usual, np.ones_like(usual), PRIOR) for fold in range(FOLDS)
    ]
    later = [Z[WINDOWS:] for Z in Zs]
    away = [Z - unseen_by[fold].reconstruct(Z) for Z, fold in zip(later, folds, strict=True)]
    spread = np.sqrt(np.mean(np.clip(np.concatenate(away), -INPUT_LIMIT, INPUT_LIMIT) ** 2, axis=0))
    spread = np.maximum(spread, LEAST_RESIDUAL).astype(np.float32)
    unseen_by = [replace(one, residual_scale=spread) for one in unseen_by]
    ratios = np.concatenate(
        [
            unseen_by[fold].scores(Z) / calibration.worst_unseen(X[:WINDOWS], unseen_by[fold])
            for X, Z, fold in zip(runs, later, folds, strict=True)
        ]
    )
    machine = np.repeat(np.arange(len(runs)), [len(Z) for Z in later])
    ratio_tail = tail.fit(ratios, machine)
    factor = ratio_tail.level(RATE)
    layers, model = network(FOLDS)
    Z = np.concatenate(Zs)
    reconstruction = autoencoder.forward(layers, np.clip(Z, -INPUT_LIMIT, INPUT_LIMIT))
    return Baseline(
        features=tuple(features),
        standard=replace(own[0], center=np.zeros_like(usual), scale=usual),
        layers=layers,
        model=model,
        residual_scale=spread,
        threshold=factor,
        threshold_rule=(
            f"times the worst of the {WINDOWS} windows that calibrate it: exceeded by {RATE:.1%} of the "
            f"windows of {len(runs)} machines, each scored by a network that had not seen it"
        ),
        tail=ratio_tail,
        held_out_scores=ratios,
        windows=tuple(len(X) for X in runs),
        receipt=baseline.receipt(Z, reconstruction, model, spread, factor),
        samples=Z[:: len(Z) // 8][:8],
        memory=Memory(
            gram=gram(model, Z),
            windows=len(Z),
            conditions=len(runs),
            landmarks=np.zeros((1, len(usual)), np.float32),
            speeds_hz=(),
            background=np.zeros(0, np.float32),
            threshold=factor,
        ),
    )


def make(learnt: Baseline, shape: Shape, name: str, created_utc_ns: int) -> Bundle:
    """The bundle of a base; it scores nothing before it is calibrated."""
    extractor = shape.extractor
    velocity = any(feature.kind == "velocity" for feature in extractor.features)
    made = bundle.make(
        learnt,
        sensor="any",
        rate_hz=shape.rate_hz,
        axis_names=extractor.axis_names,
        window_s=shape.window_s,
        n=extractor.n,
        overlap=shape.overlap,
        lowest_level=0.0,
        level_unit="mm/s" if velocity else "m/s²",
        recordings=tuple(f"simulated machine {number}" for number in range(len(learnt.windows))),
        created_utc_ns=created_utc_ns,
    )
    base = Base(name, len(learnt.windows), WINDOWS, PRIOR)
    manifest = msgspec.structs.replace(made.manifest, base=base)
    return bundle.with_manifest(made, manifest, card(manifest))


def card(manifest: Manifest) -> str:
    """The card of a base, as Markdown."""
    base, sensor, windows, model = manifest.base, manifest.sensor, manifest.windows, manifest.model
    receipts, axes = manifest.receipts, ", ".join(sensor.axis_names)
    return f"""# Base model {base.name}

For windows of {windows.window_s:g} s at {sensor.rate_hz:g} Hz, axes {axes}, of any machine.
It scores nothing as it is: {base.windows} windows of normal running calibrate it.

- Trained on {sum(one.windows for one in manifest.recordings)} windows of {base.machines} simulated machines
  (`tools/training/machines.py`, under this project's licence): shaft 12 to 60 Hz, load 40 to 100 % and
  speed 70 to 110 % of nameplate, each wandering by its own measure; mounting turned and scaled at random;
  noise of the surroundings. No recording of a real machine.
- From a machine come: centre and scale of every feature (its own spread, and the usual one as if of
  {base.prior:g} more windows), the level of its scores, its speeds, its quietest level.
- Threshold, {manifest.threshold.value:.2f}
  {manifest.threshold.rule}.
- Model: dense autoencoder, int8, {model.parameters} parameters, {len(manifest.features.names)} features.
- int8 against float: same verdict on {receipts.int8_same_verdict:.1%} of the windows, score differs by
  at most {receipts.int8_largest_difference:.3f} of the threshold.

Know its limits: simulated machines are smoother than real ones, and it knows of one way of running at a time.
It is for the minute until the machine's own baseline is there. Measured: docs/DETECTION.md.

Model SHA-256: `{model.sha256}`
"""
