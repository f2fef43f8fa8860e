"""The base model shipped with the appliance: it knows machines, and a few windows fit it to this one.

Its network and the spread of its residuals come from many machines; `calibration` tells what comes from this
one. Its threshold is a factor: so many times the worst score of windows that the calibration had not seen.
"""

from dataclasses import replace
from math import log
from pathlib import Path

import msgspec
import numpy as np

from appliance.analysis import bundle as bundles
from appliance.analysis import calibration, memory, recall, steadiness, tail
from appliance.analysis import manifest as manifests
from appliance.analysis.autoencoder import F32
from appliance.analysis.bundle import Bundle
from appliance.analysis.calibration import Population
from appliance.analysis.card import card
from appliance.analysis.commission import Gathered
from appliance.analysis.diagnose import normal_of
from appliance.analysis.features import Extractor
from appliance.analysis.manifest import Manifest, Recording, Sensor, Threshold
from appliance.errors import LearningError

FOLDER = Path(__file__).resolve().parent.parent / "base_models"
OWN_WINDOWS = 120
"""Of a machine that a base watches, for the first model of its own: on machines held out those of 40 windows
called 12 % of normal running abnormal, a calibrated base 1.5 %."""


def find(extractor: Extractor, folder: Path = FOLDER) -> Bundle | None:
    """The base for windows of this extractor, verified; None where none is shipped. Raises BundleError."""
    for path in sorted(folder.glob(f"*/{bundles.MANIFEST}")):
        if fits(manifests.read(path.read_bytes()), extractor):
            return bundles.load(path.parent)
    return None


def fits(manifest: Manifest, extractor: Extractor) -> bool:
    """Whether it is of a base for windows of this extractor."""
    made_for = manifest.sensor.rate_hz, manifest.windows.n, manifest.features.names
    return made_for == (extractor.rate_hz, extractor.n, extractor.names) and manifest.base.windows > 0


def population_of(base: Bundle, extractor: Extractor) -> Population:
    """What a base knows of machines."""
    columns = base.manifest.features
    scale, spread = (np.array(x, np.float32) for x in (columns.scale, columns.residual_scale))
    return Population(extractor.features, base.network, scale, spread, base.manifest.base.prior)


def calibrate(base: Bundle, gathered: Gathered, extractor: Extractor) -> Bundle:
    """A provisional bundle of this machine: the base, fitted to the windows in `gathered`.

    gathered: normal running, at least `manifest.base.windows` of it.

    Raises LearningError: the machine changed its way of running meanwhile; a threshold would end too high.
    """
    if ways := int(steadiness.conditions(np.stack(gathered.rows), extractor.features).max()):
        raise LearningError(
            f"{ways + 1} ways of running in {len(gathered.rows)} windows, expected one to calibrate a base; "
            "the machine's own model will know them all"
        )
    X, before, population = np.stack(gathered.rows), base.manifest, population_of(base, extractor)
    here = calibration.standard_of(X, extractor.features, population.scale, population.prior)
    worst, times = calibration.worst_unseen(X, population), before.threshold.value
    threshold = min(times * worst, tail.HIGHEST)
    learnt = recall.baseline(before, base.network, extractor.features)
    scores = replace(learnt.tail, start=learnt.tail.start + log(worst))
    hop_s = before.windows.n * (1 - before.windows.overlap) / extractor.rate_hz
    Z = here(X)
    manifest = msgspec.structs.replace(
        before,
        sensor=Sensor(gathered.name, before.sensor.rate_hz, before.sensor.axes, before.sensor.axis_names),
        windows=msgspec.structs.replace(before.windows, lowest_level=min(gathered.levels)),
        features=msgspec.structs.replace(
            before.features, center=tuple(here.center.tolist()), scale=tuple(here.scale.tolist())
        ),
        threshold=_threshold(threshold, population.scores(Z), worst, times),
        false_alarms=bundles.false_alarms(scores, threshold, hop_s),
        model=msgspec.structs.replace(before.model, parent_sha256=before.model.sha256),
        recordings=(Recording(gathered.name, len(X)),),
        memory=recall.kept(
            replace(learnt, tail=scores, memory=_memory(base, Z, gathered.speeds_hz, threshold))
        ),
        base=msgspec.structs.replace(before.base, windows=0),
        normal=normal_of(gathered.lines),
    )
    return bundles.with_manifest(base, manifest, card(manifest))


def _threshold(value: float, scores: F32, worst: float, times: float) -> Threshold:
    return Threshold(
        value=value,
        rule=f"{times:.2f} times the worst of {len(scores)} calibrating windows",
        held_out_windows=len(scores),
        held_out_median=float(np.median(scores)),
        held_out_p99=float(np.percentile(scores, 99)),
        held_out_worst=worst,
    )


def _memory(base: Bundle, Z: F32, speeds_hz: list[float | None], threshold: float) -> memory.Memory:
    """What novelty and drift are measured from: the calibrating windows, (n, k) standardised."""
    return memory.Memory(
        gram=memory.gram(base.network, Z),
        windows=len(Z),
        conditions=1,
        landmarks=memory.landmarks(Z, calibration.blocks(len(Z))),
        speeds_hz=memory.distinct([speed for speed in speeds_hz if speed is not None]),
        background=np.zeros(0, np.float32),
        threshold=threshold,
    )
