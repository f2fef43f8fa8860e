"""`appliance learn`: recordings of normal running, or a live source, into one bundle."""

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from appliance import check
from appliance.analysis import commission, slots
from appliance.analysis.bundle import Bundle
from appliance.analysis.commission import Gathered
from appliance.analysis.stream import SensorStream
from appliance.config import Analysis
from appliance.desk import source
from appliance.desk.progress import Progress
from appliance.errors import ApplianceError, LearningError
from appliance.geometry import Geometry
from appliance.guard.devices import running_world
from appliance.guard.sensor import VibrationWatch
from appliance.guard.sensors import open_vibration
from appliance.records import SampleBlock, Score
from appliance.sensors import RecordedVibration
from hw.ports import EndOfSource, PortError, Vibration
from hw.waveform import RecordingError

QUIET_SHARE = 0.1
"""Windows quieter than this share of a recording's median are the machine at rest, not its normal."""


@dataclass(frozen=True, slots=True)
class Take:
    """One source of normal running. seconds: how long it is, None where the file ends it."""

    name: str
    sensor: str
    rate_hz: float
    axes: int
    seconds: float | None
    blocks: Iterator[SampleBlock]
    geometry: Geometry = field(default_factory=Geometry)


def run(arguments: argparse.Namespace) -> int:
    """Learn and write the bundle; prints its card's figures."""
    started_s = time.monotonic()
    slots.require_place(arguments.out)
    gathered, stream = gather(arguments.source, arguments)
    try:
        bundle = _learn(gathered, stream, arguments, progress := Progress("training"))
    except LearningError as fault:
        raise LearningError(f"{', '.join(map(str, arguments.source))}: {fault}") from fault
    progress.done(f"in {time.monotonic() - started_s:.1f} s")
    slots.save(bundle, arguments.out)
    _print(bundle, arguments.out)
    return 0


def gather(sources: Sequence[Path], arguments: argparse.Namespace) -> tuple[list[Gathered], SensorStream]:
    """Windows of running in each source, and the stream that cut them, as the options of `learn` say.

    Raises ApplianceError: a source that cannot be read, too short, or unlike the first one.
    """
    settings = _settings(arguments)
    gathered: list[Gathered] = []
    stream: SensorStream | None = None
    for path in sources:
        sensor = stream.sensor if stream else None
        take = _live(path, sensor) if path.suffix == ".toml" else _recorded(path, arguments, sensor)
        fresh = _stream(take, settings, stream)
        gathered.append(_gather(take, fresh))
        stream = fresh
    assert stream is not None  # argparse wants at least one source
    return gathered, stream


def _learn(
    gathered: list[Gathered], stream: SensorStream, arguments: argparse.Namespace, progress: Progress
) -> Bundle:
    settings = _settings(arguments)
    return commission.learn(
        gathered,
        stream.extractor,
        sensor=stream.sensor,
        window_s=stream.window_s,
        overlap=settings.overlap,
        created_utc_ns=time.time_ns(),
        seed=settings.seed,
        progress=progress,
    )


def _settings(arguments: argparse.Namespace) -> Analysis:
    """Gather all that a person calls normal, changes of load included; its median tells what is at rest."""
    defaults = Analysis()
    window_s = defaults.window_s if arguments.window_s is None else arguments.window_s
    overlap = defaults.overlap if arguments.overlap is None else arguments.overlap
    if not 0.1 <= window_s <= 60:
        raise ApplianceError(f"--window-s {window_s:g}: expected 0.1 to 60 seconds; 1.28 is usual")
    if not 0 <= overlap < 1:
        raise ApplianceError(f"--overlap {overlap:g}: expected 0 <= overlap < 1; 0.5 is usual")
    if arguments.seed < 0:
        raise ApplianceError(f"--seed {arguments.seed}: expected 0 or more; 1 is usual")
    return Analysis(
        window_s=window_s, overlap=overlap, learn_s=1e12, settle_s=0.0, off_mms=0.0, seed=arguments.seed
    )


def _recorded(path: Path, arguments: argparse.Namespace, name: str | None) -> Take:
    played = source.load(path, arguments)
    rate_hz, (n, axes) = played.rate_hz, played.accel.shape
    name = name or path.stem
    return Take(path.name, name, rate_hz, axes, n / rate_hz, source.blocks(played, name))


def _live(path: Path, name: str | None) -> Take:
    """Sample the first vibration sensor of a configuration for its `analysis.learn_s`."""
    config = check.load(path)
    spec = config.vibration[0]
    try:
        sensor = open_vibration(spec, running_world(config.simulation))
    except (RecordingError, PortError) as fault:
        raise ApplianceError(str(fault)) from fault
    name = name or spec.name
    seconds = None if isinstance(spec, RecordedVibration) else config.analysis.learn_s
    blocks = _sampled(name, sensor, seconds)
    return Take(str(path), name, sensor.rate_hz, sensor.axes, seconds, blocks, config.geometry)


def _sampled(name: str, sensor: Vibration, length_s: float | None) -> Iterator[SampleBlock]:
    watch = VibrationWatch(name, sensor)
    taken_s = 0.0
    try:
        sensor.start()
        while length_s is None or taken_s < length_s:
            samples = sensor.read()
            if len(samples.counts):
                taken_s += len(samples.counts) / sensor.rate_hz
                yield watch.judge(samples)[0]
    except EndOfSource:
        return
    except PortError as fault:
        raise ApplianceError(f"{name}: {fault}") from fault
    finally:
        sensor.stop()


def _stream(take: Take, settings: Analysis, before: SensorStream | None) -> SensorStream:
    if before is not None:
        same_rate = abs(take.rate_hz / before.extractor.rate_hz - 1) <= source.RATE_TOLERANCE
        if not same_rate or take.axes != before.axes:
            raise LearningError(
                f"{take.name}: {take.rate_hz:g} Hz and {take.axes} axes, expected "
                f"{before.extractor.rate_hz:g} Hz and {before.axes} as in the first one; learn them apart"
            )
    rate_hz = before.extractor.rate_hz if before else take.rate_hz
    try:
        return SensorStream(take.sensor, rate_hz, take.axes, settings, geometry=take.geometry)
    except ValueError as fault:
        raise ApplianceError(f"{take.name}: {fault}") from fault


def _gather(take: Take, stream: SensorStream) -> Gathered:
    """The windows of running in one source, with what was left out and why."""
    progress = Progress(take.name)
    scores: list[Score] = []
    taken_s = 0.0
    for block in take.blocks:
        taken_s += block.n / block.rate_hz
        scores += stream.push(block)
        progress(taken_s / take.seconds if take.seconds else 0.0)
    assert stream.gathering is not None  # it has no bundle
    running = stream.gathering.gathered
    running.name = take.name
    if running.rows:
        quiet = QUIET_SHARE * float(np.median(running.levels))
        kept = [index for index, level in enumerate(running.levels) if level >= quiet]
        running = running.only(kept)
    windows = f"{len(scores)} windows{source.unusable(scores)}"
    progress.done(f"{taken_s:.1f} s, {windows}, {len(running.rows)} of normal running")
    if not scores:
        raise LearningError(
            f"{take.name}: {taken_s:g} s of samples, expected a window of {stream.window_s:g} s at least; "
            "record longer or choose shorter windows"
        )
    return running


def _print(bundle: Bundle, folder: Path) -> None:
    manifest = bundle.manifest
    receipts = manifest.receipts
    print(f"{folder}: {bundle.id}")
    print(
        f"  {manifest.threshold.held_out_windows} windows of {manifest.windows.window_s:g} s at "
        f"{manifest.sensor.rate_hz:g} Hz, {len(manifest.features.names)} features, "
        f"{manifest.model.parameters} parameters, {len(bundle.files['model.tflite'])} bytes"
    )
    print(f"  threshold {manifest.threshold.value:.3f}: {manifest.threshold.rule}")
    print(
        f"  int8 against float: same verdict {receipts.int8_same_verdict:.1%}, largest difference "
        f"{receipts.int8_largest_difference:.3f} of the threshold"
    )
