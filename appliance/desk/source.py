"""Recordings as the guard would see them: the very blocks, validity and clock of the live path."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from appliance.errors import ApplianceError
from appliance.guard.sensor import VibrationWatch
from appliance.records import SampleBlock
from hw import recording
from hw.player import RecordingVibration
from hw.ports import EndOfSource
from hw.sim.clock import SimClock
from hw.waveform import Recording, RecordingError

BLOCK_S = 0.1
RATE_TOLERANCE = 0.01
LEAST_HZ = 50.0


def load(
    path: Path, rate_hz: float | None, units: Literal["g", "m/s2"] | None, axes: int | None
) -> Recording:
    """Read a recording. Raises ApplianceError with the file and what is wrong with it."""
    try:
        return recording.load(path, rate_hz, units or "g", axes)
    except RecordingError as fault:
        raise ApplianceError(str(fault)) from fault


def blocks(played: Recording, sensor: str = "recording") -> Iterator[SampleBlock]:
    """The recording's samples as blocks of 0.1 s, as fast as they are taken."""
    player = RecordingVibration(played, BLOCK_S, SimClock(math.inf))
    watch = VibrationWatch(sensor, player)
    player.start()
    try:
        while True:
            samples = player.read()
            if len(samples.counts):
                yield watch.judge(samples)[0]
    except EndOfSource:
        return
