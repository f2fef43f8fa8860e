"""A fault that grows over weeks under a daily load cycle: when it is alarmed, with adaptation off and on.

Eight windows every four hours, one week learnt healthy, then the fault grows for seven weeks. With adaptation
on, a day's running is learnt as the box does with `models.adapt_every_h = 24`: not while an alarm stands or
zone C is reached, and never again once the drift budget is spent.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from appliance.analysis import adapt, baseline
from appliance.analysis.baseline import Baseline
from appliance.analysis.condition import Conditions
from appliance.analysis.features import Extractor
from appliance.analysis.novelty import MOST, STRETCH
from appliance.analysis.slow_change import SlowChange
from appliance.config import Duty, Fault
from appliance.errors import BudgetError
from hw.sim.rotor import Machine

RATE_HZ, WINDOW_S, AXES = 2000.0, 1.28, ("x", "y", "z")
HEALTHY_DAYS, DAYS, VISITS_A_DAY = 7, 56, 6
VISIT_S = 40
"""Machine time from visit to visit: it stands for four hours, in which only load and fault change."""
DAY_S = VISITS_A_DAY * VISIT_S
PERIOD_S, VISITED_S, APART_S = 86_400.0, 4 * 3600.0, 300.0
"""In time as the box has it: a period, from visit to visit, from window to window."""
LOADS = (0.55, 0.6, 0.75, 0.85, 0.8, 0.65)
"""Over a day, four hours each."""
ZONE_C_MMS = 2.8
"""Velocity from which zone C begins: 15 to 300 kW, rigid support."""
SETTLED_S = 20


@dataclass(frozen=True)
class Life:
    """What one life came to, in days from its start; None: never."""

    zone_c: float | None
    alarm: float | None
    budget: float | None
    adapted: int


def visits(kind: str, seed: int) -> Iterator[tuple[np.ndarray, float]]:
    """Features of eight windows, (8, k), and velocity RMS in mm/s of the worst axis, every four hours."""
    fault = Fault(kind=kind, start_s=HEALTHY_DAYS * DAY_S, full_s=DAYS * DAY_S)
    steps = range(DAYS * VISITS_A_DAY)
    duty = [Duty(at_s=i * VISIT_S, speed=1.0, load=LOADS[i % VISITS_A_DAY]) for i in steps]
    point = Machine(seed=seed, resonance_hz=600.0, faults=[fault], duty=duty).vibration(RATE_HZ, len(AXES))
    extractor = Extractor(RATE_HZ, round(WINDOW_S * RATE_HZ), AXES)
    velocity = [i for i, feature in enumerate(extractor.features) if feature.kind == "velocity"]
    for step in steps:
        point.skip(step * VISIT_S + SETTLED_S)
        chunks, gathered = [], 0
        while gathered < STRETCH * extractor.n:
            chunks.append(point.chunk(RATE_HZ))
            gathered += len(chunks[-1])
        accel = np.concatenate(chunks)[: STRETCH * extractor.n].reshape(STRETCH, extractor.n, len(AXES))
        X = np.stack([extractor(np.ascontiguousarray(window.T, np.float32)) for window in accel])
        yield X, float(np.median(X[:, velocity].max(axis=1)))


def live(life: list[tuple[np.ndarray, float]], *, adapting: bool) -> Life:
    learnt = baseline.learn([X for X, _ in life[: HEALTHY_DAYS * VISITS_A_DAY]], _features())
    zone_c = alarm = budget = None
    adapted, slow_change = 0, SlowChange(PERIOD_S)
    for step, (X, velocity_mms) in enumerate(life):
        day = step / VISITS_A_DAY
        zone_c = day if zone_c is None and velocity_mms >= ZONE_C_MMS else zone_c
        if day < HEALTHY_DAYS or alarm is not None:
            continue
        alarm = day if _alarmed(learnt, X) else None
        for place, row in enumerate(X):
            at_s = step * VISITED_S + place * APART_S
            slow_change.ran(row, None, at_s, may_learn=alarm is None and zone_c is None)
        if adapting and budget is None and slow_change.due:
            rows, _ = slow_change.take()
            try:
                learnt, adapted = adapt.adapt(learnt, np.stack(rows), accepted=False), adapted + 1
            except BudgetError:
                budget = day
    return Life(zone_c, alarm, budget, adapted)


def _alarmed(learnt: Baseline, X: np.ndarray) -> bool:
    if np.count_nonzero(learnt.scores(X) > learnt.threshold) < MOST:
        return False
    judged = Conditions(learnt.memory, learnt.standard, learnt.features).judge(learnt.standard(X), [])
    return judged.kind == "fault"


def _features() -> tuple:
    return Extractor(RATE_HZ, round(WINDOW_S * RATE_HZ), AXES).features


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="tools/bench drift", description=__doc__)
    parser.parse_args(arguments)
    started_s = time.monotonic()
    print(
        f"a fault grows from day {HEALTHY_DAYS} to day {DAYS}; loads {min(LOADS):.0%} to {max(LOADS):.0%} "
        f"a day; zone C from {ZONE_C_MMS} mm/s\n"
        f"  {'fault':14} {'adaptation':>10} {'alarm day':>10} {'zone C day':>11} {'budget spent':>13} "
        f"{'adapted':>8}"
    )
    for kind in ("imbalance", "misalignment", "outer_race", "gear", "lubrication"):
        life = list(visits(kind, 3))
        for adapting in (False, True):
            found = live(life, adapting=adapting)
            days = [
                "never" if day is None else f"{day:.1f}" for day in (found.alarm, found.zone_c, found.budget)
            ]
            print(
                f"  {kind:14} {'on' if adapting else 'off':>10} {days[0]:>10} {days[1]:>11} {days[2]:>13} "
                f"{found.adapted:>8}",
                flush=True,
            )
    print(f"{time.monotonic() - started_s:.0f} s")
    return 0
