"""One machine's bundle, trained on a workstation: gather, search, distil, quantize, report."""

import argparse
import sys
from pathlib import Path

import numpy as np

from appliance.analysis import commission
from appliance.analysis.autoencoder import F32
from appliance.analysis.bundle import Bundle
from appliance.analysis.commission import Gathered
from appliance.desk import learn
from appliance.desk.progress import Progress
from appliance.errors import LearningError
from tools.training import edgetpu, figures, search
from tools.training.report import Findings, write
from tools.training.search import Data


def run(chosen: argparse.Namespace, created_utc_ns: int) -> tuple[Bundle, Findings]:
    """Train as the command says; nothing is written. Raises ApplianceError."""
    gathered, stream = learn.gather(chosen.recording, chosen)
    extractor = stream.extractor
    data = Data(gathered, extractor, _rows(gathered), _faulty(chosen, extractor.names), chosen.seed)
    candidates = search.search(data, Progress)
    best = search.choose(candidates, chosen.most_bytes, chosen.most_us)
    print(f"chosen: {best.name}, {best.cost.file_bytes} bytes", file=sys.stderr)
    distilled = search.distil(data, best, Progress)
    learnt = distilled.learnt if distilled.helps else best.learnt
    bundle = commission.bundle_of(
        learnt,
        gathered,
        extractor,
        sensor=stream.sensor,
        window_s=stream.window_s,
        overlap=chosen.overlap,
        created_utc_ns=created_utc_ns,
    )
    return bundle, Findings(
        candidates=candidates,
        chosen=best,
        distillation=distilled,
        learnt=learnt,
        exact=figures.quality(learnt, data.normal, data.faulty, quantized=False),
        int8=data.quality(learnt),
        int4=data.quality(figures.int4(learnt, data.normal)),
        faulty_scores=None if data.faulty is None else learnt.scores(data.faulty),
        most_bytes=chosen.most_bytes,
        most_us=chosen.most_us,
    )


def report(bundle: Bundle, findings: Findings, folder: Path) -> None:
    """Write the report and, where there is a compiler, the network for an Edge TPU."""
    folder.mkdir(parents=True, exist_ok=True)
    write(findings, bundle, edgetpu.compiled(bundle, folder), folder)


def _rows(gathered: list[Gathered]) -> F32:
    rows = [row for part in gathered for row in part.rows]
    if not rows:
        raise LearningError("no window of a running machine, expected minutes; check the recordings")
    return np.stack(rows)


def _faulty(chosen: argparse.Namespace, names: tuple[str, ...]) -> F32 | None:
    if not chosen.faulty:
        return None
    gathered, stream = learn.gather(chosen.faulty, chosen)
    if stream.extractor.names != names:
        raise LearningError(
            "faulty recordings of another rate or other axes than the normal ones; cut them alike"
        )
    return _rows(gathered)
