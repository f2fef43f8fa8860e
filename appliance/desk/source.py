"""Recordings as the guard would see them: the very blocks, validity and clock of the live path."""

import argparse
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from appliance.analysis.bundle import Bundle
from appliance.errors import ApplianceError
from appliance.guard.sensor import VibrationWatch
from appliance.records import Quality, SampleBlock, Score
from hw import recording
from hw.player import RecordingVibration
from hw.ports import EndOfSource
from hw.sim.clock import SimClock
from hw.waveform import Recording, RecordingError

BLOCK_S = 0.1
RATE_TOLERANCE = 0.01


def load(path: Path, arguments: argparse.Namespace) -> Recording:
    """Read a recording as --rate, --units, --axes and --sensor say.

    Raises ApplianceError with the file and what is wrong with it.
    """
    rate_hz = arguments.rate
    if rate_hz is not None and not 0 < rate_hz < math.inf:
        raise ApplianceError(f"{path}: --rate {rate_hz:g}; expected samples per second; correct --rate")
    try:
        return recording.load(path, rate_hz, arguments.units or "g", arguments.axes, arguments.sensor)
    except RecordingError as fault:
        raise ApplianceError(str(fault)) from fault


def require_fit(path: Path, played: Recording, bundle: Bundle) -> None:
    """Raise ApplianceError where the bundle was learnt at another rate or with another number of axes."""
    sensor, axes = bundle.manifest.sensor, played.accel.shape[1]
    if abs(played.rate_hz / sensor.rate_hz - 1) > RATE_TOLERANCE or axes != sensor.axes:
        raise ApplianceError(
            f"{path}: {played.rate_hz:g} Hz and {axes} axes, expected {sensor.rate_hz:g} Hz and "
            f"{sensor.axes} as in bundle {bundle.id}; correct --rate and --axes, or learn a bundle for it"
        )


def blocks(played: Recording, sensor: str) -> Iterator[SampleBlock]:
    """The recording's samples as blocks of 0.1 s, as fast as they are taken."""
    player = RecordingVibration(played, BLOCK_S, SimClock(math.inf, 0))
    watch = VibrationWatch(sensor, player)
    player.start()
    try:
        while True:
            samples = player.read()
            if len(samples.counts):
                yield watch.judge(samples)[0]
    except EndOfSource:
        return


def unusable(scores: Sequence[Score]) -> str:
    """How many windows are NOT OK and what most of these have, as ", 3 NOT OK (samples are missing)"."""
    found = Counter(
        score.hypotheses[0].words if score.hypotheses else "they cannot be analysed"
        for score in scores
        if score.quality is Quality.NOT_OK
    )
    return f", {found.total()} NOT OK ({found.most_common(1)[0][0]})" if found else ""
