"""The ports: what every vibration sensor, thermometer, relay and accelerator offers, real or simulated.

A driver answers raw facts (counts, host time, lost samples). It does not judge them: the measured sample
clock, validity and limits belong to the guard. A port's host time is CLOCK_MONOTONIC in nanoseconds; a
simulated or recorded source may run its own clock faster, and stamps everything it returns with that clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

STANDARD_GRAVITY_MPS2 = 9.80665


class PortError(Exception):
    """The device answered wrongly or not at all; the caller retries, and the channel is NOT OK meanwhile."""


class EndOfSource(Exception):  # noqa: N818 - not a fault: a recording has been played to its end
    """A recording has no more samples."""


@dataclass(frozen=True, slots=True)
class Samples:
    """One drain of a vibration sensor's FIFO.

    counts: shape (n, axes), oldest first, raw two's complement counts; n may be 0.
    host_ns: host time at which the last of them was in host memory.
    lost: samples known to be lost since the previous drain (FIFO overrun, sequence gap); 0 if none.
    clipped: the device says that its front end was overdriven, though the counts may not show it.
    late_ns: how much later than it was due the FIFO was emptied, at worst; 0 where nobody can tell.
    """

    counts: NDArray[np.int16]
    host_ns: int
    lost: int = 0
    clipped: bool = False
    late_ns: int = 0


class Vibration(Protocol):
    """An accelerometer with a FIFO, or something that behaves like one."""

    axes: int
    rate_hz: float
    """Nominal output data rate, samples per second."""
    scale_mps2: float
    """Acceleration of one count, m/s²."""
    full_scale_counts: int
    """Largest count the converter can give."""
    noise_mps2: float
    """RMS noise of one axis over the whole bandwidth, m/s²; 0 where unknown."""
    bandwidth_hz: float
    """Highest frequency that it passes (-3 dB); half the rate where no more is known."""
    dc_coupled: bool
    """True where gravity is in the signal (MEMS), so that the guard can watch the mounting."""

    def start(self) -> None:
        """Configure the chip and start sampling. Raises PortError."""

    def read(self) -> Samples:
        """Wait for the next drain (at most about 0.25 s of real time) and return it.

        Raises PortError on a bus or device fault, EndOfSource when a recording ends.
        """

    def stop(self) -> None:
        """Stop sampling and release the bus."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One temperature. degc: °C; host_ns: host time of the reading."""

    degc: float
    host_ns: int


class Temperature(Protocol):
    """A thermometer."""

    period_s: float
    """Seconds between readings, in the source's own time."""

    def read(self) -> Reading | None:
        """Wait for the next reading (at most about 0.25 s of real time before it is taken) and return it.

        None where it is not due yet: whoever reads can look up between two tries, however long the period.
        Raises PortError, EndOfSource.
        """


@dataclass(frozen=True, slots=True)
class Quantity:
    """One measured quantity. value: in unit; unit: mm/s, m/s², °C, Hz, … or 1 for a plain number."""

    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class Quantities:
    """What a smart sensor says at one time. by_name: its quantities; host_ns: host time of the answer."""

    by_name: Mapping[str, Quantity]
    host_ns: int


class Scalars(Protocol):
    """A sensor that works out its own quantities and gives numbers instead of samples."""

    period_s: float
    """Seconds between readings, in the source's own time."""
    units: Mapping[str, str]
    """Unit of each quantity it gives, by name; known before the first reading."""

    def read(self) -> Quantities | None:
        """The next reading; waits, and is None, as a thermometer's. Raises PortError."""


class Relay(Protocol):
    """The shutdown output. Normally energised: energised means "machine may run"."""

    def write(self, energised: bool) -> None:
        """Set the line. Returns when the line is written. Raises PortError."""

    def read(self) -> bool:
        """The level read back from the line. Raises PortError."""


class Input(Protocol):
    """A contact: bypass key, start-up contact, reset button."""

    def read(self) -> bool:
        """Whether it is active. Raises PortError."""


class Accelerator(Protocol):
    """Runs one int8 model."""

    name: str
    """Backend name; golden outputs are keyed by it."""

    def invoke(self, x: NDArray[np.int8]) -> NDArray[np.int8]:
        """Run the model on one input vector, shape (k,) -> (k,). Raises PortError."""
