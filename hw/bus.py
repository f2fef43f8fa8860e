"""Buses under the drivers: what an I2C or SPI bus offers, real or simulated, and the clock drivers wait on.

A driver prepares the transfers it repeats once (a prebuilt ioctl costs 1.1 µs, building it anew 37 µs) and
runs them in its FIFO loop. Every failure is a BusError with the errno in words; the driver says which chip.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hw.ports import PortError

U8 = NDArray[np.uint8]


class BusError(PortError):
    """The bus did not carry out a transfer: no acknowledge, stuck line, arbitration lost, adapter gone."""


class Transfer(Protocol):
    """A prepared transfer with a buffer of its own."""

    def run(self, read_bytes: int | None = None) -> U8:
        """Carry it out; the bytes read, a view that the next run overwrites. Raises BusError.

        read_bytes: 1 to the number it was prepared for; None = all of them.
        """


class I2c(Protocol):
    """One I2C adapter."""

    def prepare(self, address: int, write: bytes, read_bytes: int) -> Transfer:
        """Write `write` to the 7-bit address, then, after a repeated start, read `read_bytes` (0 = none)."""

    def recover(self) -> None:
        """After a lock-up: free the bus as far as this adapter can, and open it again. Raises BusError."""

    def close(self) -> None:
        """Let the adapter go."""


class Spi(Protocol):
    """One SPI device (bus and chip select), full duplex."""

    def prepare(self, write: bytes, read_bytes: int) -> Transfer:
        """Clock out `write`, then `read_bytes` more under the same chip select; the latter are returned."""

    def close(self) -> None:
        """Let the device go."""


class Clock(Protocol):
    """The time a driver lives in: CLOCK_MONOTONIC, or a simulated machine's clock."""

    def now_ns(self) -> int:
        """Nanoseconds."""

    def sleep(self, seconds: float) -> None:
        """Wait so long in this clock's time."""
