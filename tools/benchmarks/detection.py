"""Detection on real machines: AUC and false alarms, ours (int8 as shipped) beside scikit-learn.

Every detector gets the same windows in the same run. Peers run on a plain standard feature set ("std") and
on the appliance's features ("our f."); their threshold is the worst of their held-out training scores (five
blocks in time). Ours is the threshold that the bundle carries. Random detectors: mean over the seeds.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from appliance.analysis import baseline, bundle, standard
from appliance.analysis.features import Extractor
from appliance.analysis.scorer import Scorer
from tools import datapile, peers
from tools.datapile import F32, Recording

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


def auc(healthy: NDArray[np.floating], faulty: NDArray[np.floating]) -> float:
    """Area under the ROC: chance that a faulty window scores above a healthy one (ties count half)."""
    ranks = rankdata(np.concatenate([healthy, faulty]))[len(healthy) :]
    return float((ranks.sum() - len(faulty) * (len(faulty) + 1) / 2) / (len(healthy) * len(faulty)))


def judge(threshold: float, healthy: NDArray[np.floating], faults: dict[str, NDArray[np.floating]]) -> Result:
    everything = np.concatenate(list(faults.values()))
    return Result(
        auc(healthy, everything),
        min(auc(healthy, scores) for scores in faults.values()),
        float(np.mean(healthy > threshold)),
        float(np.mean(everything > threshold)),
    )


def ours(case: Case, seed: int) -> tuple[Result, Result]:
    """int8 through the bundle and its runner, and the float network, by the same threshold."""
    cut = case.cut
    extractor = Extractor(cut.rate_hz, cut.n, cut.axes)
    matrix = _matrix(extractor)
    learnt = baseline.learn([matrix(part) for part in case.train], extractor.features, seed=seed)
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
        recordings=tuple(str(i) for i in range(len(case.train))),
        created_utc_ns=0,
    )
    scorer = Scorer(made)
    healthy, faults = matrix(case.healthy), {label: matrix(part) for label, part in case.faults.items()}

    def judged(score: Callable[[F32], F32]) -> Result:
        return judge(learnt.threshold, score(healthy), {label: score(X) for label, X in faults.items()})

    return judged(scorer.scores), judged(lambda X: learnt.scores(X, quantized=False))


def peer(fit: peers.Fit, case: Case, features: Callable[[Sequence[F32]], F32], seed: int) -> Result:
    train = [features(part) for part in case.train]
    X = np.concatenate(train)
    folds = np.concatenate([np.arange(len(part)) * 5 // len(part) for part in train])
    detector = peers.scaled(fit)
    threshold = float(peers.held_out(detector, X, folds, seed).max())
    score = detector(X, seed)
    return judge(
        threshold,
        score(features(case.healthy)),
        {label: score(features(w)) for label, w in case.faults.items()},
    )


def _matrix(extract: Callable[[F32], F32]) -> Callable[[Sequence[F32]], F32]:
    """Feature matrix of windows, each window computed once in a run."""
    known: dict[int, F32] = {}

    def matrix(windows: Sequence[F32]) -> F32:
        for window in windows:
            if id(window) not in known:
                known[id(window)] = extract(window)
        return np.stack([known[id(window)] for window in windows])

    return matrix


def report(case: Case) -> None:
    cut = case.cut
    extractor = Extractor(cut.rate_hz, cut.n, cut.axes)
    plain = _matrix(lambda w: peers.standard_features(w, cut.rate_hz))
    raw = _matrix(extractor)
    level = standard.fit(raw([w for part in case.train for w in part]), extractor.features).level
    print(
        f"\n{case.name}\n  {sum(map(len, case.train))} windows of {cut.window_s:g} s to learn from "
        f"({len(case.train)} recordings), {len(case.healthy)} healthy and "
        f"{sum(map(len, case.faults.values()))} faulty to judge, {len(extractor.names)} features\n"
        f"  {'detector':26} {'AUC':>7} {'worst fault':>12} {'FPR':>6} {'TPR':>6}"
    )
    results = [ours(case, seed) for seed in SEEDS]
    _row("ours, int8 as shipped", [int8 for int8, _ in results])
    _row("ours, float", [exact for _, exact in results])
    gap = max(abs(int8.auc - exact.auc) for int8, exact in results)
    print(f"  {'int8 against float':26} {gap:7.4f} AUC at most")
    axes = len(cut.axes)
    _row("RMS", [peer(peers.rms, case, lambda w: plain(w)[:, :axes], 0)])
    for label, features in (("std", plain), ("our f.", lambda w: level(raw(w)))):
        for name, fit in peers.PEERS.items():
            seeds = SEEDS if name in peers.RANDOM else range(1)
            _row(f"{name}, {label}", [peer(fit, case, features, seed) for seed in seeds])


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
        case = Case(f"{rpm}", cut, [cut.windows(r.accel) for r in others], healthy, faults)
        result = ours(case, 0)[0]
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
