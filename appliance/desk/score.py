"""`appliance score`: recordings against a bundle, window by window."""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import msgspec
import numpy as np

from appliance.analysis import bundle as bundles
from appliance.analysis.bundle import Bundle
from appliance.analysis.stream import SensorStream
from appliance.config import Analysis
from appliance.desk import source
from appliance.desk.progress import Progress
from appliance.errors import ApplianceError
from appliance.records import Contribution, MachineState, Quality, Score


class Line(msgspec.Struct):
    """One line of `--jsonl`: one window. t_s: its start, from the start of the recording."""

    recording: str
    t_s: float
    score: float | None
    threshold: float
    state: MachineState
    quality: Quality
    top: tuple[Contribution, ...]


def run(arguments: argparse.Namespace) -> int:
    """Score every recording; prints a line each. With --jsonl the file is complete or not there."""
    bundle = bundles.load(arguments.bundle)
    settings = _settings(bundle, arguments)
    draft = arguments.jsonl.with_name(f".{arguments.jsonl.name}.part") if arguments.jsonl else None
    try:
        with open(draft or os.devnull, "wb") as out:
            for path in arguments.recording:
                _recording(path, bundle, settings, arguments, out)
            out.flush()
            if draft:
                os.fsync(out.fileno())
        if draft:
            draft.replace(arguments.jsonl)
    except OSError as fault:
        raise ApplianceError(
            f"{draft}: {fault.strerror}, expected a file to write; choose another"
        ) from fault
    finally:
        if draft:
            draft.unlink(missing_ok=True)
    return 0


def scores(
    path: Path, bundle: Bundle, settings: Analysis, arguments: argparse.Namespace
) -> Iterator[tuple[float, Score]]:
    """(start in s, score) of each window of a recording. Raises ApplianceError where it does not fit."""
    played = source.load(path, arguments.rate, arguments.units, arguments.axes)
    sensor = bundle.manifest.sensor
    axes = played.accel.shape[1]
    if abs(played.rate_hz / sensor.rate_hz - 1) > source.RATE_TOLERANCE or axes != sensor.axes:
        raise ApplianceError(
            f"{path}: {played.rate_hz:g} Hz and {axes} axes, expected {sensor.rate_hz:g} Hz and {sensor.axes} "
            f"as in bundle {bundle.id}; correct --rate and --axes, or learn a bundle for this recording"
        )
    stream = SensorStream(sensor.name, sensor.rate_hz, axes, settings, bundle)
    t0_ns: int | None = None
    for block in source.blocks(played, sensor.name):
        t0_ns = block.t0_mono_ns if t0_ns is None else t0_ns
        for score in stream.push(block):
            yield (score.t0_mono_ns - t0_ns) * 1e-9, score


def _settings(bundle: Bundle, arguments: argparse.Namespace) -> Analysis:
    made = bundle.manifest.windows
    if arguments.window_s and abs(arguments.window_s - made.window_s) > 1e-9:
        raise ApplianceError(
            f"--window-s {arguments.window_s:g}: bundle {bundle.id} was learnt with windows of "
            f"{made.window_s:g} s; leave the option out, or learn again"
        )
    overlap = made.overlap if arguments.overlap is None else arguments.overlap
    if not 0 <= overlap < 1:
        raise ApplianceError(f"--overlap {overlap:g}: expected 0 <= overlap < 1; 0.5 is usual")
    return Analysis(window_s=made.window_s, overlap=overlap)


def _recording(
    path: Path, bundle: Bundle, settings: Analysis, arguments: argparse.Namespace, out: IO[bytes]
) -> None:
    progress = Progress(path.name)
    judged: list[Score] = []
    for t_s, score in scores(path, bundle, settings, arguments):
        judged.append(score)
        line = Line(
            path.name, round(t_s, 6), score.value, bundle.threshold, score.state, score.quality, score.top
        )
        out.write(msgspec.json.encode(line) + b"\n")
    progress.done(_summary(judged, bundle.threshold))


def _summary(judged: list[Score], threshold: float) -> str:
    usable = [score for score in judged if score.value is not None]
    if not usable:
        return f"{len(judged)} windows, none usable"
    values = np.array([score.value for score in usable])
    worst = usable[int(values.argmax())]
    over = float((values > threshold).mean())
    text = f"{len(judged)} windows, score median {np.median(values):.2f}, worst {values.max():.2f}, "
    text += f"{over:.0%} over {threshold:.2f}"
    return f"{text}; worst: {worst.top[0].words}" if worst.top and over else text
