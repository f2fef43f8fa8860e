"""The report of a training: one page of Markdown and one figure."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path

import numpy as np

from appliance.analysis.autoencoder import F32
from appliance.analysis.baseline import Baseline
from appliance.analysis.bundle import Bundle
from tools.training import figures
from tools.training.figures import Quality
from tools.training.search import SEEDS, TEACHER, Candidate, Distillation

PAGE, FIGURE = "report.md", "report.png"


@dataclass(frozen=True, slots=True)
class Findings:
    """All that a training found. exact, int8, int4: of the network in the bundle."""

    candidates: Sequence[Candidate]
    chosen: Candidate
    distillation: Distillation
    learnt: Baseline
    exact: Quality
    int8: Quality
    int4: Quality
    faulty_scores: F32 | None
    most_bytes: int
    most_us: float


def write(findings: Findings, bundle: Bundle, edgetpu: str, folder: Path) -> None:
    """report.md and report.png into the folder; without matplotlib the page alone."""
    drawn = _draw(findings, folder / FIGURE)
    (folder / PAGE).write_text(page(findings, bundle, edgetpu, drawn=drawn))


def page(found: Findings, bundle: Bundle, edgetpu: str, *, drawn: bool) -> str:
    """The page, as Markdown."""
    receipt, many, windows = found.learnt.receipt, found.distillation, bundle.manifest.windows
    plain, taught = (
        " | ".join(_mean(some, key) for key in ("rise_db", "auc", "tpr"))
        for some in (many.plain, many.distilled)
    )
    verdict = "helps: the distilled" if many.helps else "does not help: the plain"
    searched = "".join(_searched(one, chosen=one is found.chosen) for one in found.candidates)
    model = found.learnt.model
    picture = f"\n![Size and worth of each network; scores of the chosen one]({FIGURE})\n" if drawn else ""
    return f"""# Training of {bundle.id}

{sum(found.learnt.windows)} windows of {windows.window_s:g} s at {bundle.manifest.sensor.rate_hz:g} Hz,
{len(found.learnt.features)} features. Threshold {found.learnt.threshold:.3f}: {found.learnt.threshold_rule}.
{picture}
## Widths
Budget: {found.most_bytes} bytes, {found.most_us:g} µs (p99, measured on this workstation; `appliance bench`
measures a device). Chosen: the smallest within it that is as good as the best within it.

| network | parameters | bytes | p50 µs | p99 µs | rise dB | AUC | FPR | TPR | |
|---|---|---|---|---|---|---|---|---|---|
{searched}
rise: how much louder one axis must be until half of the windows are over the threshold; less is better.
AUC and TPR: of the faulty recordings; FPR: of windows learnt, each scored by a network that had not seen it.

## Distillation
A teacher of {TEACHER[0]} and {TEACHER[1]} units, trained twice as long; {SEEDS} seeds each.

| network | rise dB | AUC | TPR |
|---|---|---|---|
| plain | {plain} |
| distilled | {taught} |

It {verdict} network is in the bundle.

## Quantization
| arithmetic | bytes of weights and biases | rise dB | AUC | TPR |
|---|---|---|---|---|
| float32 | {figures.bytes_of(model, 32)} | {_row(found.exact)} |
| int8, as shipped | {figures.bytes_of(model, 8)} | {_row(found.int8)} |
| int4 weights, report only | {figures.bytes_of(model, 4)} | {_row(found.int4)} |

int8 against float: the score differs by at most {receipt.largest:.4f} of the threshold,
{receipt.mean:.4f} on the mean; same verdict on {receipt.agreement:.1%} of them, rank {receipt.rank:.4f}.
int4 is emulated, one scale an output; no such file is written.

## Edge TPU
{edgetpu[:1].upper()}{edgetpu[1:]}.
"""


def _searched(one: Candidate, *, chosen: bool) -> str:
    cost, quality = one.cost, one.quality
    took = f"{cost.parameters} | {cost.file_bytes} | {cost.p50_us:.1f} | {cost.p99_us:.1f}"
    told = f"{quality.rise_db:.2f} | {_number(quality.auc)} | {quality.fpr:.3f} | {_number(quality.tpr)}"
    return f"| {one.name} | {took} | {told} | {'**chosen**' if chosen else ''} |\n"


def _row(quality: Quality) -> str:
    return f"{quality.rise_db:.2f} | {_number(quality.auc)} | {_number(quality.tpr)}"


def _mean(some: Sequence[Quality], key: str) -> str:
    values = [getattr(one, key) for one in some]
    return "–" if isnan(values[0]) else f"{np.mean(values):.4f} ± {np.std(values, ddof=1):.4f}"


def _number(value: float) -> str:
    return "–" if isnan(value) else f"{value:.4f}"


def _draw(found: Findings, path: Path) -> bool:
    """Size against worth, and the scores about the threshold; False where matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra
    except ImportError:
        return False
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for one in found.candidates:
        left.plot(one.cost.file_bytes / 1000, one.quality.rise_db, "C1o" if one is found.chosen else "C0.")
        left.annotate(
            "-".join(map(str, one.widths)), (one.cost.file_bytes / 1000, one.quality.rise_db), fontsize=7
        )
    left.set(xlabel="model.tflite, kB", ylabel="rise to the threshold, dB", title="Hidden-bottleneck widths")
    left.set_ylim(bottom=0)
    for scores, label in (
        (found.learnt.held_out_scores, "normal, held out"),
        (found.faulty_scores, "faulty"),
    ):
        if scores is not None:
            right.hist(np.log10(np.maximum(scores, 1e-3)), bins=40, density=True, alpha=0.6, label=label)
    right.axvline(np.log10(found.learnt.threshold), color="k", linewidth=1, label="threshold")
    right.set(xlabel="log10 score", yticks=[], title=f"{found.chosen.name}, int8")
    right.legend(fontsize=7)
    figure.savefig(path, dpi=120)
    return True
