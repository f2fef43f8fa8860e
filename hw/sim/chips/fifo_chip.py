"""A simulated accelerometer's FIFO: filled by the chip's own clock; when it is full the oldest give way."""

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from hw.ports import STANDARD_GRAVITY_MPS2
from hw.sim.chips.motion import Motion
from hw.sim.chips.register_chip import RegisterChip
from hw.sim.rotor import Machine

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]


class FifoChip(RegisterChip):
    """A register chip whose FIFO fills from the simulated machine."""

    DEPTH = 32

    def __init__(self, machine: Machine, clock_ppm: float = 0.0, noise_mps2: float = 0.0) -> None:
        """Mount it.

        Args:
            machine: what it is bolted to.
            clock_ppm: error of its oscillator.
            noise_mps2: RMS noise of each axis.
        """
        self.motion = Motion(machine, clock_ppm, noise_mps2)
        self.fifo: I32 = np.empty((0, 3), np.int32)
        self.overran = False
        """Whether samples have given way to newer ones; cleared as the chip does it."""
        self._mode = (0.0, False)
        super().__init__()

    @abstractmethod
    def mode(self) -> tuple[float, bool]:
        """Nominal rate by the registers, 0 = standby, and whether samples go into the FIFO."""

    @abstractmethod
    def scale(self) -> tuple[float, int]:
        """Counts a g, and the largest count, by the registers."""

    def power_cycle(self, t_s: float) -> None:
        """Begin anew, in standby."""
        super().power_cycle(t_s)
        self._apply(t_s)

    def transfer(self, write: bytes, read_bytes: int, t_s: float) -> bytes:
        """See hw.sim.bus.Chip."""
        self._fill(t_s)
        return super().transfer(write, read_bytes, t_s)

    def stored(self, register: int, value: int, t_s: float) -> None:
        """A write may begin or end the measurement."""
        super().stored(register, value, t_s)
        self._apply(t_s)

    def pop(self, count: int) -> I32:
        """Take up to `count` of the oldest samples, shape (n, 3), counts."""
        taken, self.fifo = self.fifo[:count], self.fifo[count:]
        return taken

    def first(self) -> int:
        """Number of the oldest sample in the FIFO, since the measurement began."""
        return self.motion.taken - len(self.fifo)

    def _apply(self, t_s: float) -> None:
        (was_hz, _), mode = self._mode, self.mode()
        if mode == self._mode:
            return
        self._mode = mode
        self.fifo, self.overran = self.fifo[:0], False
        if mode[0] == 0.0:
            self.motion.end()
        elif mode[0] != was_hz:
            self.motion.begin(mode[0], t_s)

    def _fill(self, t_s: float) -> None:
        accel = self.motion.until(t_s)
        if not self._mode[1] or not len(accel):
            return
        self.fifo = np.concatenate((self.fifo, self._counts(accel)))
        if len(self.fifo) > self.DEPTH:
            self.fifo, self.overran = self.fifo[-self.DEPTH :], True

    def _counts(self, accel: F32) -> I32:
        counts_per_g, largest = self.scale()
        counts = np.rint(accel * np.float32(counts_per_g / STANDARD_GRAVITY_MPS2))
        clipped: I32 = np.clip(counts, -largest - 1, largest).astype(np.int32)
        return clipped
