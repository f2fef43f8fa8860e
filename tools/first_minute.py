"""A new box in its first minute: the shipped base after a short calibration, own models, and peers.

Judged on simulated machines that no base was trained on, and on the ADI motor at 3.3 kHz: its recordings last
two seconds, so its base is trained for windows of 0.25 s in the same run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from appliance.analysis import base as bases
from appliance.analysis import baseline, calibration, standard
from appliance.analysis.calibration import Population
from appliance.analysis.features import Extractor
from appliance.config import Fault
from tools import datapile
from tools.measures import Fitted, fit_peer, peers_are_here
from tools.training import base, machines

F32 = np.ndarray
HELD_OUT = range(200, 220)
KINDS = ("imbalance", "misalignment", "outer_race", "gear", "lubrication", "looseness")
SEVERITY = 0.2
OWN_WINDOWS = (25, 40, 120)
PEERS = ("PCA-SPE", "Mahalanobis")
_MOTOR_RATE_HZ = 20_000 / 6


@dataclass(frozen=True)
class Case:
    """One machine, features (n, k): running in order of time, of which the first are learnt, and faults."""

    normal: F32
    faults: dict[str, F32]


def report() -> None:
    """Both tables."""
    shape = base.Shape(3332.0, 3, 1.28, 0.5)
    extractor = shape.extractor
    shipped = bases.find(extractor)
    assert shipped is not None
    print(
        f"\nFirst minute: {len(HELD_OUT)} simulated machines held out, windows of 1.28 s, faults of severity "
        f"{SEVERITY}"
    )
    cases = [_simulated(number, shape) for number in HELD_OUT]
    known = bases.population_of(shipped, extractor)
    _table(cases, extractor, {24: (known, shipped.threshold)}, OWN_WINDOWS)
    short = base.Shape(_MOTOR_RATE_HZ, 3, 0.25, 0.5)
    known, factor = _trained(short)
    by_speed, pooled = _motor(short)
    print(
        "\nFirst minute: ADI CbM at 3.3 kHz, windows of 0.25 s; each speed by itself, 5 normal windows judged"
    )
    _table(by_speed, short.extractor, {8: (known, factor)}, ())
    print("\nThe same, its five speeds as one")
    _table([pooled], short.extractor, {40: (known, factor)}, (40,))


def _simulated(number: int, shape: base.Shape) -> Case:
    machine = machines.draw(number, shape.rate_hz)

    def worn(run: int, kind: str) -> F32:
        faults = [Fault(kind=kind, severity=SEVERITY)]
        accel = machines.accel(machine, shape.rate_hz, shape.axes, 12.0, run=run, faults=faults)
        return machines.windows(accel, shape.extractor, shape.hop)

    return Case(shape.healthy(number, 150.0), {kind: worn(run, kind) for run, kind in enumerate(KINDS, 1)})


def _trained(shape: base.Shape) -> tuple[Population, float]:
    runs = [shape.healthy(number, 30.0) for number in range(48)]
    features = shape.extractor.features
    learnt = base.train(runs, features, progress=lambda _: None)
    known = Population(features, learnt.model, learnt.standard.scale, learnt.residual_scale, base.PRIOR)
    return known, learnt.threshold


def _motor(shape: base.Shape) -> tuple[list[Case], Case]:
    _, recordings = datapile.load("adi_cbm")
    parts = [
        (one.about, machines.windows(datapile.decimated(one, 6).accel, shape.extractor, shape.hop))
        for one in recordings
    ]
    by_speed = []
    for rpm in sorted({about["rpm"] for about, _ in parts}):
        here = [(about, X) for about, X in parts if about["rpm"] == rpm]
        [normal] = [X for about, X in here if not about["fault"]]
        by_speed.append(Case(normal, {about["label"]: X for about, X in here if about["fault"]}))
    normal = np.concatenate([one.normal[:8] for one in by_speed] + [one.normal[9:] for one in by_speed])
    labels = by_speed[0].faults
    faults = {label: np.concatenate([one.faults[label] for one in by_speed]) for label in labels}
    return by_speed, Case(normal, faults)


def _table(
    cases: Sequence[Case],
    extractor: Extractor,
    calibrated: dict[int, tuple[Population, float]],
    own: Sequence[int],
) -> None:
    """FPR, worst FPR of a machine, TPR and AUC: means over the machines."""
    print(f"  {'detector':30} {'windows':>7} {'FPR':>6} {'worst':>6} {'TPR':>6} {'AUC':>7}")

    def row(name: str, windows: int, fit: Callable[[F32], Fitted]) -> None:
        results = [
            fit(case.normal[:windows]).judge(case.normal[windows + 1 :], case.faults) for case in cases
        ]
        fpr, tpr, area = (np.array([getattr(r, key) for r in results]) for key in ("fpr", "tpr", "auc"))
        means = f"{fpr.mean():6.3f} {fpr.max():6.2f} {tpr.mean():6.3f} {area.mean():7.4f}"
        print(f"  {name:30} {windows:7} {means}", flush=True)

    for windows, (known, factor) in calibrated.items():
        row("base, calibrated", windows, lambda X, known=known, factor=factor: _fitted(X, known, factor))
        for peer in PEERS if peers_are_here() else ():
            row(f"{peer}, our f.", windows, lambda X, peer=peer: _peer(X, extractor, peer))
    for windows in own:
        row("own, learnt from them", windows, lambda X: _own(X, extractor))


def _fitted(X: F32, known: Population, factor: float) -> Fitted:
    here = calibration.standard_of(X, known.features, known.scale, known.prior)
    return Fitted(factor * calibration.worst_unseen(X, known), lambda Y: known.scores(here(Y)))


def _own(X: F32, extractor: Extractor) -> Fitted:
    learnt = baseline.learn([X], extractor.features)
    return Fitted(learnt.threshold, learnt.scores)


def _peer(X: F32, extractor: Extractor, name: str) -> Fitted:
    from tools import peers  # noqa: PLC0415 - the only part that needs scikit-learn

    level = standard.fit(X, extractor.features).level
    one = fit_peer(peers.PEERS[name], [level(X)], 0)
    return Fitted(one.threshold, lambda Y: one.scores(level(Y)))
