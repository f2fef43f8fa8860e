"""Whole lives: FEMTO bearings run to failure, and a machine's temperature until it fails (NAB)."""

import json
import math
from dataclasses import dataclass

import numpy as np

from appliance.analysis import adapt, baseline, tail
from appliance.analysis.baseline import Baseline
from appliance.analysis.condition import Conditions
from appliance.analysis.features import Extractor
from appliance.analysis.novelty import STRETCH
from appliance.errors import LearningError
from tools import datapile

F32 = np.ndarray
SNAPSHOT_S = 30.0
LEARNT_SHARE, FEWEST = 0.1, 40
EVERY = 25
"""Windows between two adaptations."""
ONSET = 1.5
"""Running median of the louder axis' RMS over its median in 10–50 % of life that ends early life."""


@dataclass(frozen=True)
class Course:
    """early: alarmed share of 10–20 % of life; before: of all before the onset. lead_min: alarm to end."""

    early: float
    before: float
    caught: bool
    lead_min: float


def bearings() -> None:
    rate_hz, recordings = datapile.load("femto")
    extractor = Extractor(rate_hz, 2560, ("h", "v"))
    rms = [i for i, feature in enumerate(extractor.features) if feature.kind == "rms"]
    print(
        "\nFEMTO, 25.6 kHz, with the time delay the model asks for; onset: RMS 1.5 times that of early life\n"
        f"  {'learnt':34} {'alarmed in 10–20 %':>19} {'before onset':>13} {'caught':>8} {'median lead':>12}"
    )
    lives = [np.stack([extractor(np.ascontiguousarray(w.T)) for w in r.accel]) for r in recordings]
    for name, share, matured in (
        ("first 10 %, fixed", LEARNT_SHARE, False),
        ("first 20 %, fixed", 2 * LEARNT_SHARE, False),
        ("first 10 %, matures and adapts", LEARNT_SHARE, True),
    ):
        onsets = [_onset(X[:, rms].max(axis=1)) for X in lives]
        found = [_course(X, at, share, extractor, matured) for X, at in zip(lives, onsets, strict=True)]
        worn = [course for course, X, at in zip(found, lives, onsets, strict=True) if at < len(X)]
        early, before = (np.mean([getattr(c, key) for c in found]) for key in ("early", "before"))
        caught = [c.lead_min for c in worn if c.caught]
        print(
            f"  {name:34} {early:19.3f} {before:13.3f} {len(caught):>6}/{len(worn)} "
            f"{np.median(caught):9.0f} min",
            flush=True,
        )


def _course(X: F32, onset: int, share: float, extractor: Extractor, matured: bool) -> Course:
    start = max(FEWEST, round(share * len(X)))
    learnt, size = baseline.learn([X[:start]], extractor.features), start
    alarmed = np.zeros(len(X), bool)
    run, free = 0, True
    for index in range(start, len(X)):
        run = run + 1 if learnt.scores(X[index : index + 1])[0] > learnt.threshold else 0
        alarmed[index] = run >= _delay(learnt) and _faulty(learnt, X[index - STRETCH + 1 : index + 1])
        if matured and free and not alarmed[index] and index % EVERY == 0:
            try:
                learnt, size = _mature(learnt, X[: index + 1], size, extractor)
            except LearningError:
                free = False
    end = len(X) - 1
    first = np.flatnonzero(alarmed)
    tenth = len(X) // 10
    return Course(
        float(alarmed[max(start, tenth) : max(start + 1, 2 * tenth)].mean()),
        float(alarmed[start : max(start + 1, onset)].mean()),
        bool(alarmed[onset:].any()),
        (end - first[0]) * SNAPSHOT_S / 60 if len(first) else 0.0,
    )


def _mature(learnt: Baseline, X: F32, size: int, extractor: Extractor) -> tuple[Baseline, int]:
    """Follow slow change within the budget; learn anew from all so far each time it has doubled."""
    followed = adapt.adapt(learnt, X[-EVERY:], accepted=False)
    if len(X) < 2 * size:
        return followed, size
    return baseline.learn([X], extractor.features), len(X)


def _faulty(learnt: Baseline, X: F32) -> bool:
    conditions = Conditions(learnt.memory, learnt.standard, learnt.features)
    return conditions.judge(learnt.standard(X), []).kind == "fault"


def _delay(learnt: Baseline) -> int:
    return tail.persistence(learnt.tail, learnt.threshold, SNAPSHOT_S).windows


def _onset(rms: F32) -> int:
    level = np.array([np.median(rms[max(0, i - 6) : i + 1]) for i in range(len(rms))])
    low = np.flatnonzero(level < ONSET * np.median(level[len(level) // 10 : len(level) // 2]))
    return int(low[-1]) + 1 if len(low) else 0


HOUR, DAY = 12, 288
PROBATION = 750
"""Values, by the rules of NAB, in which nothing is judged."""


def temperature() -> None:
    """A slope and a level channel, limits from the probation and fixed; the standard score of NAB."""
    with np.load(datapile.FOLDER / "nab_machine_temperature.npz", allow_pickle=False) as pile:
        about, x, t = json.loads(str(pile["meta"])), pile["value"][:, 0].astype(float), pile["value_t"]
    hour = np.convolve(x, np.ones(HOUR) / HOUR)[: len(x)]
    level = np.array([np.median(x[max(0, i - 2 * DAY) : i + 1]) for i in range(len(x))])
    slope = np.concatenate([np.zeros(3 * HOUR), hour[3 * HOUR :] - hour[: -3 * HOUR]])
    channels = [np.abs(hour - level), np.abs(slope)]
    limits = [tail.fit(c[DAY:PROBATION] + 1e-3).level(1e-4) for c in channels]
    over = np.any([c > limit for c, limit in zip(channels, limits, strict=True)], axis=0)
    over[:PROBATION] = False
    alarms, quiet = [], DAY
    for index in np.flatnonzero(over):
        if index - quiet > DAY:  # an alarm stands for a day after its cause
            alarms.append(index)
        quiet = index
    windows = [(np.searchsorted(t, a), np.searchsorted(t, b, "right")) for a, b in about["windows"]]
    found = [any(a <= index < b for index in alarms) for a, b in windows]
    false = sum(not any(a <= index < b for a, b in windows) for index in alarms)
    print(
        f"\nNAB machine temperature, slope and level with limits from the probation, fixed before\n"
        f"  NAB score, standard profile: {_nab(alarms, windows):.1f} (published: ARTime 82.0, HTM 67.0); "
        f"windows found {sum(found)} of {len(windows)}, false alarms {false}"
    )


def _nab(alarms: list[int], windows: list[tuple[int, int]]) -> float:
    """Score of the standard profile: 100 perfect, 0 no detection. Source: Lavin & Ahmad 2015."""

    def sigmoid(y: float) -> float:
        return 2 / (1 + math.exp(min(5 * y, 700))) - 1

    top, score = sigmoid(-1.0), 0.0
    for begin, end in windows:
        first = next((index for index in alarms if begin <= index < end), None)
        score += -1.0 if first is None else sigmoid((first - end + 1) / (end - begin)) / top
    for index in alarms:
        if any(begin <= index < end for begin, end in windows):
            continue
        past = [(begin, end) for begin, end in windows if end <= index]
        away = (index - past[-1][1] + 1) / (past[-1][1] - past[-1][0]) if past else math.inf
        score += 0.11 * (sigmoid(away) if away < 3 else -1.0)
    missed = -float(len(windows))
    return 100 * (score - missed) / (len(windows) - missed)
