"""The guard's inputs from the raw counts of evidence, once more: peak, RMS and velocity, bit for bit."""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec
import numpy as np

from appliance.desk.evidence_file import blocks
from appliance.guard.judge import measured
from appliance.guard.rack import Input, Value
from appliance.guard.sensor import peak_rms_of
from appliance.guard.velocity import VelocityMeter
from appliance.records import SampleBlock, Validity
from hw.evidence import Track
from hw.player import RecordingVibration
from hw.sim.clock import SimClock
from hw.waveform import DEFAULT_AXES, Recording

Traced = Mapping[tuple[int, str], Input]
"""What the rack was given, by time and channel."""
_VELOCITY_S = 1.2
"""More than the second, and a sixteenth of one, that a reading of velocity is made of."""


class Compared(NamedTuple):
    """One input. found: made anew from the counts; traced: what the rack was given."""

    t_ns: int
    channel: str
    found: Input
    traced: Input

    @property
    def identical(self) -> bool:
        """Bit for bit."""
        return msgspec.msgpack.encode(self.found) == msgspec.msgpack.encode(self.traced)


def inputs(track: Track, traced: Traced) -> Iterator[Compared]:
    """Every input of this sensor that was traced and whose counts are there."""
    made = blocks(track)
    for block in made:
        peak_mps2, rms_mps2 = peak_rms_of(block)
        for quantity, value in (("peak", peak_mps2), ("rms", rms_mps2)):
            channel = f"{block.sensor}.{quantity}"
            if given := traced.get((block.t1_mono_ns, channel)):
                yield Compared(block.t1_mono_ns, channel, measured(channel, value, block.validity), given)
    yield from _velocity(made, traced)


def _velocity(made: list[SampleBlock], traced: Traced) -> Iterator[Compared]:
    """Each new reading; between two of them the guard gives the last one again."""
    last: Input | None = None
    for n, block in enumerate(made):
        channel = f"{block.sensor}.velocity"
        given = traced.get((block.t1_mono_ns, channel))
        if isinstance(given, Value) and last is not None and given != last:
            value = _velocity_mms(made[: n + 1])
            if value is not None:
                yield Compared(block.t1_mono_ns, channel, measured(channel, value, Validity.OK), given)
        last = given


def _velocity_mms(made: list[SampleBlock]) -> float | None:
    """Of the second that ends with the last block; None where it is not all there."""
    last = made[-1]
    first = len(made) - 1
    while first > 0 and made[first].t0_mono_ns > last.t1_mono_ns - _VELOCITY_S * 1e9:
        if made[first].seq != made[first - 1].seq + 1:
            break
        first -= 1
    counts = b"".join(block.counts for block in made[first:])
    return _meter(last).update(msgspec.structs.replace(last, counts=counts))[0]


def _meter(block: SampleBlock) -> VelocityMeter:
    """A fresh one for the sensor of this block."""
    axes = block.axes
    silent = np.zeros((2, axes), np.int16)
    nominal = Recording(
        name=block.sensor,
        rate_hz=block.nominal_hz,
        accel=silent.astype(np.float32),
        axis_names=DEFAULT_AXES[:axes],
        counts=silent,
        scale_mps2=block.scale_mps2,
    )
    return VelocityMeter(RecordingVibration(nominal, 1.0, SimClock(math.inf, 0)))
