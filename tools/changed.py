"""Changed conditions: what is said of them, what a short top-up of normal running makes of them.

Each case is learnt in some conditions and judged in another, whose first windows are the top-up. Windows that
follow each other make stretches of eight; a stretch that the model explains is known, any other is judged.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from appliance.analysis import adapt, baseline
from appliance.analysis.baseline import Baseline
from appliance.analysis.catalogue import Feature
from appliance.analysis.condition import Conditions
from appliance.analysis.features import Extractor
from appliance.analysis.novelty import MOST, STRETCH
from appliance.analysis.speed import speed_hz
from tools import datapile, tables
from tools.measures import auc

F32 = np.ndarray
AXES = ("x", "y", "z")


@dataclass(frozen=True)
class Part:
    """Windows of one recording: features (n, k), speeds heard (0: none), and the machine at rest (k,)."""

    X: F32
    speeds_hz: F32
    rest: F32 | None = None

    def __getitem__(self, some: slice) -> "Part":
        return Part(self.X[some], self.speeds_hz[some], self.rest)


@dataclass(frozen=True)
class Change:
    """Learnt in `train`; `topups`, `healthy` and `faults` are of the changed condition, `old_faults` not."""

    kind: str
    features: Sequence[Feature]
    train: list[Part]
    topups: list[Part]
    healthy: list[Part]
    faults: list[Part]
    old_faults: list[Part]


def quiet(X: F32) -> Part:
    return Part(X, np.zeros(len(X)))


def motor(rate_hz: float) -> Iterator[Change]:
    """ADI CbM, each of its five speeds left out: windows of 1 s, so that the speed is heard."""
    nominal_hz, recordings = datapile.load("adi_cbm")
    n = round(rate_hz)
    extractor, parts = Extractor(rate_hz, n, AXES), []
    for recording in recordings:
        accel = datapile.decimated(recording, round(nominal_hz / rate_hz)).accel
        hop = n // 40 if not recording.fault else n // 8
        windows = [accel[at : at + n].T for at in range(0, len(accel) - n + 1, hop)]
        analysed = [extractor.analyse(np.ascontiguousarray(window)) for window in windows]
        heard = [speed_hz(one.power, rate_hz / n) or 0.0 for one in analysed]
        parts.append((recording, Part(np.stack([one.features for one in analysed]), np.array(heard))))
    for rpm in sorted({recording.about["rpm"] for recording, _ in parts}):
        known = [part for r, part in parts if not r.fault and r.about["rpm"] != rpm]
        (here,) = [part for r, part in parts if not r.fault and r.about["rpm"] == rpm]
        faults = [
            [p for r, p in parts if r.fault and (r.about["rpm"] == rpm) == new] for new in (True, False)
        ]
        train = [part[::3] for part in known]
        yield Change(
            f"ADI {rate_hz / 1000:g} kHz, a new speed",
            extractor.features,
            train,
            [here[:25]],
            [here[25:]],
            *faults,
        )


def weights() -> Iterator[Change]:
    """UCI fan, each speed from 50 % on left out: below, balanced and unbalanced hardly differ."""
    rate_hz, recordings = datapile.load("uci_fan")
    extractor = Extractor(rate_hz, round(2 * rate_hz), AXES)
    parts = [(r.about["speed_percent"], r.fault, quiet(_cut(extractor, r.accel, 50))) for r in recordings]
    for speed in range(50, 101, 10):
        (here,) = [part for s, fault, part in parts if s == speed and not fault]
        faults = [[p for s, fault, p in parts if fault and (s == speed) == new] for new in (True, False)]
        train = [part[:40] for s, fault, part in parts if s != speed and not fault]
        yield Change("UCI fan, a new speed", extractor.features, train, [here[:30]], [here[31:]], *faults)


def ceiling() -> Iterator[Change]:
    rate_hz, recordings = datapile.load("ceiling_fan")
    extractor = Extractor(rate_hz, round(rate_hz), AXES)
    parts = {
        (r.about["speed"], r.fault): quiet(np.stack([extractor(np.ascontiguousarray(w.T)) for w in r.accel]))
        for r in recordings
    }
    for old, new in (("low", "med"), ("med", "low")):
        here = parts[new, False]
        train, faults = [parts[old, False][:400]], ([parts[new, True]], [parts[old, True]])
        yield Change("Ceiling fan, a new speed", extractor.features, train, [here[:60]], [here[60:]], *faults)


def rooms() -> Iterator[Change]:
    """Cooling fan, silent and noisy room; its resting sound is that of its switched-off recording."""
    recordings = tables.fans()
    rest = {fan.room: np.median(fan.X, axis=0) for fan in recordings if fan.speed == "o"}
    for old, new in (("silentA", "noisy"), ("noisy", "silentA")):
        steady = {
            room: [
                Part(fan.X, np.zeros(len(fan.X)), rest[room])
                for fan in recordings
                if fan.room == room and fan.speed in "hml"
            ]
            for room in (old, new)
        }
        faults = [
            [
                Part(fan.X[tables.RUNNING], np.zeros(177), np.median(fan.X[tables.RESTING], axis=0))
                for fan in recordings
                if fan.room == room and fan.label != "normal"
            ]
            for room in (new, old)
        ]
        topups, healthy = [p[:40] for p in steady[new]], [p[40:] for p in steady[new]]
        name = f"Cooling fan, {old} → {new} room"
        yield Change(name, tables.fan_features(), [p[:250] for p in steady[old]], topups, healthy, *faults)


def report() -> None:
    """What is said of each change before, and the figures before and after its top-up, mean of the cases."""
    said = f"{'known':>6}{'new':>6}{'fault':>6}"
    print(
        "\nChanged conditions. Before: FPR, AUC; then what is said of stretches of 8 windows.\n"
        "After a top-up of at most 40 windows a condition: FPR, TPR, AUC; TPR of known faults; AUC from\n"
        "scratch\n"
        f"  {'':34} {'before':^13} {'normal is':^18} {'known fault is':^18} {'after':^20} "
        f"{'old':>6} {'scratch':>7}\n"
        f"  {'change':34} {'FPR':>6} {'AUC':>6} {said} {said} {'FPR':>6} {'TPR':>6} {'AUC':>6} "
        f"{'TPR':>6} {'AUC':>7}"
    )
    for source in (motor(20000.0), motor(2000.0), weights(), ceiling(), rooms()):
        by_kind: dict[str, list[list[float]]] = {}
        for change in source:
            by_kind.setdefault(change.kind, []).append(_figures(change))
        for kind, figures in by_kind.items():
            print(f"  {kind:34} " + " ".join(f"{v:6.3f}" for v in np.mean(figures, axis=0)), flush=True)


def _figures(change: Change) -> list[float]:
    rest = change.train[0].rest
    heard = [s for part in change.train for s in part.speeds_hz if s]
    learnt = baseline.learn([p.X for p in change.train], change.features, speeds_hz=heard, background=rest)
    topped = learnt
    for part in change.topups:
        topped = adapt.adapt(topped, part.X, speeds_hz=[s for s in part.speeds_hz if s], accepted=True)
    scratch = baseline.learn([p.X for p in (*change.train, *change.topups)], change.features)
    healthy, faults, old = (_all(parts) for parts in (change.healthy, change.faults, change.old_faults))
    before = [_over(learnt, healthy), auc(learnt.scores(healthy), learnt.scores(faults))]
    said = [
        share
        for parts in ([*change.topups, *change.healthy], change.old_faults)
        for share in _said(learnt, parts)
    ]
    after = [_over(topped, X) for X in (healthy, faults)]
    areas = [auc(one.scores(healthy), one.scores(faults)) for one in (topped, scratch)]
    return [*before, *said, *after, areas[0], _over(topped, old), areas[1]]


def _said(learnt: Baseline, parts: Sequence[Part]) -> list[float]:
    """Shares of the stretches that are known, a new condition, and a fault."""
    conditions, said = Conditions(learnt.memory, learnt.standard, learnt.features), Counter()
    for part in parts:
        for at in range(0, len(part.X) - STRETCH + 1, STRETCH):
            X, heard = part.X[at : at + STRETCH], part.speeds_hz[at : at + STRETCH]
            if np.count_nonzero(learnt.scores(X) > learnt.threshold) < MOST:
                said["known"] += 1
                continue
            rest = None if part.rest is None else learnt.standard(part.rest)
            said[conditions.judge(learnt.standard(X), [s for s in heard if s], rest).kind] += 1
    return [said[kind] / max(1, sum(said.values())) for kind in ("known", "new", "fault")]


def _over(learnt: Baseline, X: F32) -> float:
    return float(np.mean(learnt.scores(X) > learnt.threshold))


def _all(parts: Sequence[Part]) -> F32:
    return np.concatenate([part.X for part in parts])


def _cut(extractor: Extractor, accel: F32, hop: int) -> F32:
    starts = range(0, len(accel) - extractor.n + 1, hop)
    return np.stack([extractor(np.ascontiguousarray(accel[at : at + extractor.n].T)) for at in starts])
