"""Tests on recordings that are tables: spectra of a cooling fan in two rooms, a pump's process values."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from appliance.analysis import baseline
from appliance.analysis.bands import log_bands, velocity_band
from appliance.analysis.baseline import Baseline
from appliance.analysis.catalogue import Feature
from appliance.analysis.features import Extractor
from appliance.analysis.spectrum import Bands, Velocity
from tools.datapile import FOLDER
from tools.measures import Fitted, rivals_of, row

F32 = np.ndarray
SPECTRUM_HZ = 1024
RUNNING = slice(0, 177)
RESTING = slice(185, 235)
"""Of a recording in which the fan steps through its speeds and is switched off."""


@dataclass(frozen=True)
class Fan:
    """One recording: (spectra, k) features and what the pile says of it."""

    speed: str
    room: str
    label: str
    X: F32


def fan_features() -> tuple[Feature, ...]:
    """Those of the catalogue that an amplitude spectrum carries."""
    kinds = ("rms", "velocity", "centroid", "spread", "flatness", "entropy", "band")
    return tuple(
        feature for feature in Extractor(SPECTRUM_HZ, SPECTRUM_HZ, ("x",)).features if feature.kind in kinds
    )


def fans() -> list[Fan]:
    bands = Bands(log_bands(SPECTRUM_HZ, SPECTRUM_HZ), SPECTRUM_HZ, SPECTRUM_HZ)
    velocity = Velocity(velocity_band(SPECTRUM_HZ, SPECTRUM_HZ), SPECTRUM_HZ, SPECTRUM_HZ)
    with np.load(FOLDER / "cooling_fan_spectra.npz", allow_pickle=False) as pile:
        out = []
        for about in json.loads(str(pile["meta"]))["recordings"]:
            power = np.zeros((about["spectra"], SPECTRUM_HZ // 2 + 1), np.float32)
            power[:, :-1] = (pile[about["key"]] * about["scale"]) ** 2 / 2
            square = bands.mean_square(power)
            scalars = [
                np.sqrt(power[:, 1:].sum(1)),
                velocity.rms_mms(power),
                *bands.shape(power, square.sum(1)),
            ]
            X = np.concatenate([np.stack(scalars, 1), np.sqrt(square)], 1).astype(np.float32)
            out.append(Fan(about["speed"], about["environment"], about["label"], X))
    return out


def fitted(learnt: Baseline, *, quantized: bool = True) -> Fitted:
    return Fitted(learnt.threshold, lambda X: learnt.scores(X, quantized=quantized))


def same_room(room: str) -> None:
    """Learn from 70 % at three constant speeds; judge the rest, and faults that step through the speeds."""
    recordings, features = [fan for fan in fans() if fan.room == room], fan_features()
    steady = [fan.X for fan in recordings if fan.speed in "hml"]
    train = [X[:210] for X in steady]
    healthy = np.concatenate([X[210:] for X in steady])
    faults = {
        label: np.concatenate([fan.X[RUNNING] for fan in recordings if fan.label == label])
        for label in ("damage1", "damage2")
    }
    compare(f"Cooling fan, {room} room, learnt and judged there", features, train, healthy, faults)


def compare(
    name: str, features: Sequence[Feature], train: Sequence[F32], healthy: F32, faults: dict[str, F32]
) -> None:
    """Ours and the peers on the same feature matrices."""
    print(
        f"\n{name}\n  {sum(map(len, train))} windows to learn from, {len(healthy)} healthy, "
        f"{sum(map(len, faults.values()))} faulty\n"
        f"  {'detector':26} {'AUC':>7} {'worst fault':>12} {'FPR':>6} {'TPR':>6}"
    )
    learnt = baseline.learn(list(train), features)
    row("ours, int8", [fitted(learnt).judge(healthy, faults)])
    row("ours, float", [fitted(learnt, quantized=False).judge(healthy, faults)])
    for label, detector in rivals_of(list(train), learnt.standard.level):
        row(label, [detector.judge(healthy, faults)])


def pump() -> None:
    """SKAB by its own protocol: learn from the first 400 rows of each file, judge the others."""
    features = [
        Feature(f"{kind}.{i}", "", kind, None, "", log=False, floor=0.0, min_scale=1e-4)
        for kind in ("value", "mean")
        for i in range(8)
    ]
    verdicts: dict[str, list[F32]] = {}
    truth = []
    with np.load(FOLDER / "skab.npz", allow_pickle=False) as pile:
        for about in json.loads(str(pile["meta"]))["recordings"]:
            key = about["key"]
            if f"{key}_y" not in pile.files:
                continue
            x = pile[key].astype(np.float32)
            sums = np.cumsum(np.concatenate([np.repeat(x[:1], 10, axis=0), x]), axis=0, dtype=np.float64)
            X = np.concatenate([x, (sums[10:] - sums[:-10]) / 10], axis=1).astype(np.float32)
            learnt = baseline.learn([X[:400]], features)
            truth.append(pile[f"{key}_y"][400:] > 0)
            detectors = [("ours, int8", fitted(learnt)), *rivals_of([X[:400]], learnt.standard.level)]
            for name, detector in detectors:
                verdicts.setdefault(name, []).append(detector.scores(X[400:]) > detector.threshold)
    y = np.concatenate(truth)
    print(
        f"\nSKAB, its own protocol: first 400 s of each of {len(truth)} files learnt, {len(y)} rows judged\n"
        f"  {'detector':26} {'F1':>6} {'FAR %':>6} {'MAR %':>6}"
    )
    for name, parts in verdicts.items():
        found = np.concatenate(parts)
        hits = np.count_nonzero(found & y)
        f1 = 2 * hits / max(1, np.count_nonzero(found) + np.count_nonzero(y))
        print(f"  {name:26} {f1:6.2f} {100 * found[~y].mean():6.1f} {100 * (~found[y]).mean():6.1f}")
