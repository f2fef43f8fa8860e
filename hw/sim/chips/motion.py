"""What the mass inside a simulated accelerometer feels: the machine, gravity and its own noise."""

import numpy as np
from numpy.typing import NDArray

from hw.ports import STANDARD_GRAVITY_MPS2
from hw.sim.rotor import Machine, Vibration

F32 = NDArray[np.float32]

AXES = 3
BACKLOG_S = 2.0
"""Nobody reads what lies farther back: no FIFO is so long."""


class Motion:
    """True acceleration at the chip's own sample times, which its clock makes wrong."""

    def __init__(self, machine: Machine, clock_ppm: float, noise_mps2: float) -> None:
        """clock_ppm: error of the chip's oscillator; noise_mps2: RMS noise of each axis."""
        self._machine = machine
        self._rate = 1.0 + clock_ppm * 1e-6
        self._noise_mps2 = np.float32(noise_mps2)
        self._point: Vibration | None = None
        self._ahead: F32 = np.empty((0, AXES), np.float32)
        self.began_s = 0.0
        """Machine time at which the running measurement began: sample k is taken (k + 1) / rate_hz later."""
        self.rate_hz = 0.0
        """True rate; 0 while nothing is measured."""
        self.taken = 0
        self.mount = 0
        """Number of the measuring point, which seeds its noise."""

    def begin(self, nominal_hz: float, t_s: float) -> None:
        """Measure from now on."""
        self._point = self._machine.vibration(nominal_hz, AXES)
        self.mount = self._point.mount
        self._rng = np.random.Generator(np.random.SFC64([self._machine.seed, 6, self._point.mount]))
        self._point.skip(t_s)
        self.began_s = self._point.t_s
        self.rate_hz = nominal_hz * self._rate
        self.taken = 0
        self._ahead = self._ahead[:0]

    def end(self) -> None:
        """Measure no more."""
        self._point, self.rate_hz = None, 0.0

    def until(self, t_s: float) -> F32:
        """What was measured since the last call, shape (n, 3), m/s², gravity on the last axis."""
        if self._point is None:
            return self._ahead[:0]
        due = int((t_s - self.began_s) * self.rate_hz) - self.taken
        if due <= 0:
            return self._ahead[:0]
        if due > BACKLOG_S * self.rate_hz:
            self._leave_out(self._point, due)
            due = int((t_s - self.began_s) * self.rate_hz) - self.taken
        while len(self._ahead) < due:
            self._ahead = np.concatenate((self._ahead, self._felt(self._point)))
        fresh, self._ahead = self._ahead[:due], self._ahead[due:]
        self.taken += due
        return fresh

    def _leave_out(self, point: Vibration, due: int) -> None:
        self._ahead = self._ahead[:0]
        self.taken += due - int(BACKLOG_S * self.rate_hz / 2)
        point.skip(self.began_s + self.taken / self.rate_hz)

    def _felt(self, point: Vibration) -> F32:
        accel = point.chunk(self.rate_hz)
        accel[:, -1] += np.float32(STANDARD_GRAVITY_MPS2)
        if self._noise_mps2:
            accel += self._noise_mps2 * self._rng.standard_normal(accel.shape, np.float32)
        return accel
