"""A recorded waveform, whatever file it came from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hw.ports import STANDARD_GRAVITY_MPS2

F32 = NDArray[np.float32]
I16 = NDArray[np.int16]

Units = Literal["g", "m/s2"]
UNIT_MPS2: dict[str, float] = {"g": STANDARD_GRAVITY_MPS2, "m/s2": 1.0}
MOST_AXES = 3
SLOWEST_HZ, FASTEST_HZ = 50.0, 200_000.0
RATE_SLACK = 1e-3
"""How far two rates may differ and still agree; also how far a rounded time column may miss a limit."""
MOST_BYTES = 2 << 30
MOST_MPS2 = 1e9
"""No accelerometer says more: beyond it a number is damage."""
DEFAULT_AXES = ("x", "y", "z")


class RecordingError(Exception):
    """A recording cannot be read: the message says what was found, what was expected, what to do."""


class Gap(NamedTuple):
    """`missing` samples are missing after sample `after` (an index; -1 = before the first)."""

    after: int
    missing: int


@dataclass(frozen=True, slots=True)
class Recording:
    """Samples of one sensor.

    accel: shape (n, axes), m/s²; NaN where the file has no value. rate_hz: samples per second.
    t0_utc_ns: time of the first sample, where the file says it.
    counts, scale_mps2: the raw counts, shape (n, axes), and m/s² of one, where the file holds 16-bit counts.
    """

    name: str
    rate_hz: float
    accel: F32
    axis_names: tuple[str, ...]
    gaps: tuple[Gap, ...] = ()
    t0_utc_ns: int | None = None
    counts: I16 | None = None
    scale_mps2: float | None = None


def checked_rate_hz(path: Path, rate_hz: float) -> float:
    """The rate if the appliance can work with it. Raises RecordingError."""
    if not SLOWEST_HZ * (1.0 - RATE_SLACK) <= rate_hz <= FASTEST_HZ * (1.0 + RATE_SLACK):
        raise RecordingError(
            f"{path}: rate {rate_hz:g} Hz; expected {SLOWEST_HZ:g} to {FASTEST_HZ:g} Hz; "
            "record faster, or correct the time column or the rate given"
        )
    return rate_hz


def agreed_rate_hz(path: Path, file_hz: float, given_hz: float | None, slack: float) -> float:
    """The file's own rate, if it does not contradict the one given. Raises RecordingError."""
    if given_hz is not None and abs(file_hz - given_hz) > slack * given_hz:
        raise RecordingError(
            f"{path}: the file says {file_hz:g} Hz, {given_hz:g} Hz was given; give no rate, or the file's"
        )
    return checked_rate_hz(path, file_hz)


def chosen_axes(path: Path, found: int, wanted: int | None) -> int:
    """How many of the channels to take: the first `wanted`, or all of at most 3. Raises RecordingError."""
    if wanted is not None and not 1 <= wanted <= MOST_AXES:
        raise RecordingError(
            f"{path}: {wanted} axes asked for; expected 1 to {MOST_AXES}; correct the number of axes"
        )
    if found < (wanted or 1):
        raise RecordingError(
            f"{path}: {found} data columns; expected {wanted or 1} axes; give the number of axes it has"
        )
    if wanted is None and found > MOST_AXES:
        raise RecordingError(
            f"{path}: {found} data columns; expected 1 to {MOST_AXES}; give the number of axes to take"
        )
    return found if wanted is None else wanted
