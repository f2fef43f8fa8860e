"""`appliance score`: recordings against a bundle, window by window."""

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
    if arguments.jsonl is None:
        for path in arguments.recording:
            for _ in lines(path, bundle, settings, arguments):
                pass
        return 0
    with _all_or_nothing(arguments.jsonl) as out:
        for path in arguments.recording:
            for line in lines(path, bundle, settings, arguments):
                out.write(msgspec.json.encode(line) + b"\n")
    return 0


@contextmanager
def _all_or_nothing(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes its name only when the block has ended well. Raises ApplianceError."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with draft.open("wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        draft.replace(path)
    except OSError as fault:
        raise ApplianceError(f"{path}: {fault.strerror}, expected a file to write; choose another") from fault
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def lines(path: Path, bundle: Bundle, settings: Analysis, arguments: argparse.Namespace) -> Iterator[Line]:
    """Each window of a recording; shows progress and a summary on the terminal.

    Raises ApplianceError where the recording does not fit the bundle or has no window.
    """
    played = source.load(path, arguments)
    source.require_fit(path, played, bundle)
    sensor = bundle.manifest.sensor
    stream = SensorStream(sensor.name, played.rate_hz, sensor.axes, settings, bundle)
    progress = Progress(path.name)
    length_s = len(played.accel) / played.rate_hz
    judged: list[Score] = []
    t0_ns: int | None = None
    for block in source.blocks(played, sensor.name):
        t0_ns = block.t0_mono_ns if t0_ns is None else t0_ns
        for score in stream.push(block):
            judged.append(score)
            yield _line(path.name, (score.t0_mono_ns - t0_ns) * 1e-9, bundle.threshold, score)
        progress((block.t1_mono_ns - t0_ns) * 1e-9 / length_s)
    if not judged:
        raise ApplianceError(
            f"{path}: {length_s:g} s of samples, expected a window of {stream.window_s:g} s at least; "
            "record longer, or learn with shorter windows"
        )
    progress.done(_summary(judged, bundle.threshold))


def _line(recording: str, t_s: float, threshold: float, score: Score) -> Line:
    return Line(recording, round(t_s, 6), score.value, threshold, score.state, score.quality, score.top)


def _settings(bundle: Bundle, arguments: argparse.Namespace) -> Analysis:
    made = bundle.manifest.windows
    if arguments.window_s is not None and not abs(arguments.window_s - made.window_s) <= 1e-9:
        raise ApplianceError(
            f"--window-s {arguments.window_s:g}: bundle {bundle.id} was learnt with windows of "
            f"{made.window_s:g} s; leave the option out, or learn again"
        )
    overlap = made.overlap if arguments.overlap is None else arguments.overlap
    if not 0 <= overlap < 1:
        raise ApplianceError(f"--overlap {overlap:g}: expected 0 <= overlap < 1; 0.5 is usual")
    return Analysis(window_s=made.window_s, overlap=overlap)


def _summary(judged: list[Score], threshold: float) -> str:
    usable = [score for score in judged if score.value is not None]
    if not usable:
        return f"{len(judged)} windows{source.unusable(judged)}, none usable"
    values = np.array([score.value for score in usable])
    worst = usable[int(values.argmax())]
    over = float((values > threshold).mean())
    text = f"{len(judged)} windows{source.unusable(judged)}, score median {np.median(values):.2f}, "
    text += f"worst {values.max():.2f}, {over:.0%} over {threshold:.2f}"
    return f"{text}; worst: {worst.top[0].words}" if worst.top and over else text
