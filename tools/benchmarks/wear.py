"""Run to failure (FEMTO bearings): false alarms before any onset, alarms before the end, beside peers.

Learn from the first 10 % of life, 25 snapshots at least. AUC: last 5 % of life against 20–50 %. False
alarms: share of the snapshots from there to 20 % of life above the threshold. Alarmed: bearings with three
snapshots in a row above it before the end; lead: median time from there to the end. Nobody labelled an
onset: an early "lead" may be drift.
"""

import argparse
from collections.abc import Sequence

import numpy as np

from tools import datapile
from tools.benchmarks.detection import Cut, fit_ours, rivals
from tools.datapile import F32, Recording
from tools.measures import Fitted, auc

IN_A_ROW = 3
FEWEST = 25


def part(windows: Sequence[F32], start: float, end: float) -> list[F32]:
    """Windows between two shares of life."""
    n = len(windows)
    return list(windows[round(start * n) : round(end * n)])


def learnt_share(n: int) -> float:
    return max(0.1, FEWEST / n)


def lead_min(fitted: Fitted, windows: Sequence[F32], snapshot_s: float) -> float | None:
    """Minutes from the first alarm after learning to the end; None without an alarm."""
    over = fitted.scores(windows) > fitted.threshold
    over[: round(learnt_share(len(over)) * len(over))] = False
    runs = np.flatnonzero(np.convolve(over, np.ones(IN_A_ROW), "valid") == IN_A_ROW)
    return (len(over) - int(runs[0]) - IN_A_ROW) * snapshot_s / 60 if len(runs) else None


def row(name: str, figures: Sequence[tuple[float, float, float | None]]) -> None:
    aucs, alarms, leads = zip(*figures, strict=True)
    alarmed = [lead for lead in leads if lead is not None]
    print(
        f"  {name:26} {np.mean(aucs):7.3f} {min(aucs):7.3f} {np.mean(alarms):13.3f} "
        f"{len(alarmed):6} of {len(leads)} {np.median(alarmed) if alarmed else 0:10.0f}",
        flush=True,
    )


def figures(fitted: Fitted, windows: Sequence[F32], snapshot_s: float) -> tuple[float, float, float | None]:
    early = part(windows, learnt_share(len(windows)), 0.2)
    middle, late = part(windows, 0.2, 0.5), part(windows, 0.95, 1.0)
    return (
        auc(fitted.scores(middle), fitted.scores(late)),
        float(np.mean(fitted.scores(early) > fitted.threshold)),
        lead_min(fitted, windows, snapshot_s),
    )


def main(arguments: list[str]) -> int:
    argparse.ArgumentParser(prog="tools/bench wear", description=__doc__).parse_args(arguments)
    rate_hz, recordings = datapile.load("femto")
    table: dict[str, list[tuple[float, float, float | None]]] = {}
    for recording in recordings:
        for name, result in _bearing(recording, rate_hz):
            table.setdefault(name, []).append(result)
    print(f"FEMTO, {rate_hz / 1000:g} kHz, one snapshot of 0.1 s every 30 s, {len(recordings)} bearings")
    print(f"  {'detector':26} {'AUC':>7} {'worst':>7} {'false alarms':>13} {'alarmed':>11} {'lead, min':>10}")
    for name, results in table.items():
        row(name, results)
    return 0


def _bearing(recording: Recording, rate_hz: float) -> list[tuple[str, tuple[float, float, float | None]]]:
    snapshots = recording.accel
    cut = Cut(rate_hz, snapshots.shape[1] / rate_hz, snapshots.shape[1] / rate_hz, ("h", "v"))
    windows = cut.windows(snapshots)
    train = [part(windows, 0, learnt_share(len(windows)))]
    snapshot_s = float(recording.about["life_s"]) / len(windows)
    fitted = [("ours, int8 as shipped", fit_ours(cut, train, 0)[0])]
    fitted += [(name, detectors[0]) for name, detectors in rivals(cut, train, [0])]
    return [(name, figures(one, windows, snapshot_s)) for name, one in fitted]
