"""Detection on real machines: AUC and false alarms, ours (int8 as shipped) beside scikit-learn.

Every detector gets the same windows in the same run. Peers run on a plain standard feature set ("std") and
on the appliance's features ("our f."); their threshold is the worst of their held-out training scores (five
blocks in time). Ours is the threshold that the bundle carries. Random detectors: mean over the seeds.
"""

import argparse
import importlib.util
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from appliance.analysis import baseline, bundle, standard
from appliance.analysis.features import Extractor
from appliance.analysis.scorer import Scorer
from tools import datapile
from tools.datapile import F32, Recording

if TYPE_CHECKING:
    from tools import peers

Floats = NDArray[np.floating]
SEEDS = range(3)
AXES = ("x", "y", "z")


@dataclass(frozen=True)
class Cut:
    """How recordings become windows: window_s long, a new one every hop_s."""

    rate_hz: float
    window_s: float
    hop_s: float
    axes: tuple[str, ...]

    @property
    def n(self) -> int:
        return round(self.window_s * self.rate_hz)

    def windows(self, accel: F32) -> list[F32]:
        """(axes, n) windows of a recording, (samples, axes); snippets, (m, n, axes), are windows already."""
        if accel.ndim == 3:
            return [np.ascontiguousarray(snippet.T) for snippet in accel]
        hop = round(self.hop_s * self.rate_hz)
        starts = range(0, len(accel) - self.n + 1, hop)
        return [np.ascontiguousarray(accel[s : s + self.n].T) for s in starts]


@dataclass(frozen=True)
class Case:
    """One test: windows to learn from (one list a recording), healthy ones to judge, faulty ones by label."""

    name: str
    cut: Cut
    train: list[list[F32]]
    healthy: list[F32]
    faults: dict[str, list[F32]]


@dataclass(frozen=True)
class Result:
    """auc: all faults; worst: the hardest fault; fpr, tpr: per window at the threshold."""

    auc: float
    worst: float
    fpr: float
    tpr: float


def auc(healthy: Floats, faulty: Floats) -> float:
    """Area under the ROC: chance that a faulty window scores above a healthy one (ties count half)."""
    ranks = rankdata(np.concatenate([healthy, faulty]))[len(healthy) :]
    return float((ranks.sum() - len(faulty) * (len(faulty) + 1) / 2) / (len(healthy) * len(faulty)))


@dataclass(frozen=True)
class Fitted:
    """A detector that has learnt: scores of windows, and the score from which it calls one abnormal."""

    threshold: float
    scores: Callable[[Sequence[F32]], Floats]

    def judge(self, healthy: Sequence[F32], faults: dict[str, list[F32]]) -> Result:
        normal = self.scores(healthy)
        by_label = {label: self.scores(windows) for label, windows in faults.items()}
        everything = np.concatenate(list(by_label.values()))
        return Result(
            auc(normal, everything),
            min(auc(normal, scores) for scores in by_label.values()),
            float(np.mean(normal > self.threshold)),
            float(np.mean(everything > self.threshold)),
        )


def fit_ours(cut: Cut, train: Sequence[Sequence[F32]], seed: int) -> tuple[Fitted, Fitted]:
    """int8 through the bundle and its runner, and the float network, by the same threshold."""
    extractor = Extractor(cut.rate_hz, cut.n, cut.axes)
    matrix = matrices(extractor)
    learnt = baseline.learn([matrix(part) for part in train], extractor.features, seed=seed)
    made = bundle.make(
        learnt,
        sensor="bench",
        rate_hz=cut.rate_hz,
        axis_names=cut.axes,
        window_s=cut.window_s,
        n=cut.n,
        overlap=max(0.0, 1 - cut.hop_s / cut.window_s),
        lowest_level=0.0,
        level_unit="m/s²",
        recordings=tuple(str(i) for i in range(len(train))),
        created_utc_ns=0,
    )
    scorer = Scorer(made)
    return (
        Fitted(scorer.threshold, lambda windows: scorer.scores(matrix(windows))),
        Fitted(scorer.threshold, lambda windows: learnt.scores(matrix(windows), quantized=False)),
    )


def fit_peer(
    fit: "peers.Fit", train: Sequence[Sequence[F32]], features: Callable[[Sequence[F32]], F32], seed: int
) -> Fitted:
    """A detector of scikit-learn behind a standard scaler; threshold: its worst held-out training score."""
    from tools import peers  # noqa: PLC0415

    parts = [features(part) for part in train]
    X = np.concatenate(parts)
    folds = np.concatenate([np.arange(len(part)) * 5 // len(part) for part in parts])
    detector = peers.scaled(fit)
    score = detector(X, seed)
    return Fitted(
        float(peers.held_out(detector, X, folds, seed).max()), lambda windows: score(features(windows))
    )


def matrices(extract: Callable[[F32], F32]) -> Callable[[Sequence[F32]], F32]:
    """Feature matrix of windows, (n, k); each window is worked on once."""
    known: dict[int, F32] = {}

    def matrix(windows: Sequence[F32]) -> F32:
        for window in windows:
            if id(window) not in known:
                known[id(window)] = extract(window)
        return np.stack([known[id(window)] for window in windows])

    return matrix


def rivals(
    cut: Cut, train: Sequence[Sequence[F32]], seeds: Sequence[int]
) -> Iterator[tuple[str, list[Fitted]]]:
    """Every peer on both feature sets, one detector a seed where it is random."""
    if importlib.util.find_spec("sklearn") is None:
        print("  scikit-learn is not installed: peers left out; pip install '.[bench]' to see them")
        return
    from tools import peers  # noqa: PLC0415 - the only part that needs scikit-learn

    extractor = Extractor(cut.rate_hz, cut.n, cut.axes)
    plain = matrices(lambda window: peers.standard_features(window, cut.rate_hz))
    raw = matrices(extractor)
    level = standard.fit(raw([w for part in train for w in part]), extractor.features).level
    axes = len(cut.axes)
    yield "RMS", [fit_peer(peers.rms, train, lambda windows: plain(windows)[:, :axes], 0)]
    for label, features in (("std", plain), ("our f.", lambda windows: level(raw(windows)))):
        for name, fit in peers.PEERS.items():
            tries = seeds if name in peers.RANDOM else seeds[:1]
            yield f"{name}, {label}", [fit_peer(fit, train, features, seed) for seed in tries]


def report(case: Case) -> None:
    cut = case.cut
    print(
        f"\n{case.name}\n  {sum(map(len, case.train))} windows of {cut.window_s:g} s to learn from "
        f"({len(case.train)} recordings), {len(case.healthy)} healthy and "
        f"{sum(map(len, case.faults.values()))} faulty to judge, "
        f"{len(Extractor(cut.rate_hz, cut.n, cut.axes).names)} features\n"
        f"  {'detector':26} {'AUC':>7} {'worst fault':>12} {'FPR':>6} {'TPR':>6}"
    )
    own = [fit_ours(cut, case.train, seed) for seed in SEEDS]
    int8, exact = (
        [fitted.judge(case.healthy, case.faults) for fitted in kind] for kind in zip(*own, strict=True)
    )
    _row("ours, int8 as shipped", int8)
    _row("ours, float", exact)
    gap = max(abs(a.auc - b.auc) for a, b in zip(int8, exact, strict=True))
    print(f"  {'int8 against float':26} {gap:7.4f} AUC at most")
    for name, fitted in rivals(cut, case.train, SEEDS):
        _row(name, [one.judge(case.healthy, case.faults) for one in fitted])


def _row(name: str, results: Sequence[Result]) -> None:
    mean = [np.mean([getattr(r, key) for r in results]) for key in ("auc", "worst", "fpr", "tpr")]
    print(f"  {name:26} {mean[0]:7.4f} {mean[1]:12.4f} {mean[2]:6.3f} {mean[3]:6.3f}", flush=True)


def time_split(name: str, cut: Cut, recordings: Sequence[Recording], share: float) -> Case:
    """Learn from the first `share` of every healthy recording, judge its rest; no window spans the cut."""
    train, healthy, faults = [], [], {}
    for recording in recordings:
        accel = recording.accel
        if recording.fault:
            faults.setdefault(recording.about["label"], []).extend(cut.windows(accel))
            continue
        at = round(share * len(accel))
        train.append(cut.windows(accel[:at]))
        healthy += cut.windows(accel[at:])
    return Case(name, cut, train, healthy, faults)


def adi(rate_hz: float) -> tuple[Cut, list[Recording]]:
    nominal_hz, recordings = datapile.load("adi_cbm")
    recordings = [datapile.decimated(r, round(nominal_hz / rate_hz)) for r in recordings]
    return Cut(rate_hz, 0.25, 0.125, AXES), recordings


def left_out(rate_hz: float) -> None:
    """ADI: learn at four speeds, judge the fifth: how bad an unknown operating condition is."""
    cut, recordings = adi(rate_hz)
    print(
        f"\nADI CbM, {rate_hz / 1000:g} kHz, one speed left out: learn from the other four, judge "
        f"this one\n  (ours, int8; FPR = share of healthy windows flagged at a speed never learnt)\n"
        f"  {'rpm':>6} {'AUC':>7} {'FPR':>7} {'TPR':>7}"
    )
    results = []
    for rpm in sorted({r.about["rpm"] for r in recordings}):
        here = [r for r in recordings if r.about["rpm"] == rpm]
        faults: dict[str, list[F32]] = {}
        for recording in here:
            if recording.fault:
                faults.setdefault(recording.about["label"], []).extend(cut.windows(recording.accel))
        others = [r for r in recordings if not r.fault and r.about["rpm"] != rpm]
        healthy = [w for r in here if not r.fault for w in cut.windows(r.accel)]
        result = fit_ours(cut, [cut.windows(r.accel) for r in others], 0)[0].judge(healthy, faults)
        results.append(result)
        print(f"  {rpm:6} {result.auc:7.4f} {result.fpr:7.4f} {result.tpr:7.4f}")
    print(
        f"  {'mean':>6} "
        + " ".join(f"{np.mean([getattr(r, k) for r in results]):7.4f}" for k in ("auc", "fpr", "tpr"))
    )


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="tools/bench detection", description=__doc__)
    parser.parse_args(arguments)
    started_s = time.monotonic()
    split = "time split: learn from the first 70 % of each healthy recording, judge the rest and all faults"
    for rate_hz in (20000.0, 2000.0):
        how = "" if rate_hz == 20000 else ", decimated from 20 kHz, edges left out"
        cut, recordings = adi(rate_hz)
        report(time_split(f"ADI CbM, {rate_hz / 1000:g} kHz{how}; {split}", cut, recordings, 0.7))
    rate_hz, recordings = datapile.load("uci_fan")
    report(time_split(f"UCI fan, 50 Hz; {split}", Cut(rate_hz, 2.0, 1.0, AXES), recordings, 0.7))
    rate_hz, recordings = datapile.load("ceiling_fan")
    running = [r for r in recordings if r.about["label"] != "off"]
    report(time_split(f"Ceiling fan, 200 Hz; {split}", Cut(rate_hz, 1.0, 1.0, AXES), running, 0.7))
    for rate_hz in (20000.0, 2000.0):
        left_out(rate_hz)
    print(f"\n{time.monotonic() - started_s:.0f} s")
    return 0
