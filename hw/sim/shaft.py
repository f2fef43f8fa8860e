"""The shaft: its angle over time. Every sensor follows a copy; the seed makes all copies the same shaft."""

import numpy as np
from numpy.typing import NDArray

from hw.sim.duty import DutyCurve

F64 = NDArray[np.float64]

WANDER_RMS = 0.002
WANDER_TAU_S = 3.0
SLIP_AT_FULL_LOAD = 0.015
TICKS_PER_S = 128
"""Speed is linear between ticks. A power of two, so that tick times are exact."""
_KEEP = 3 * TICKS_PER_S


class Shaft:
    """Turns of the shaft since machine time 0, asked for in the order of time."""

    def __init__(self, seed: int, shaft_hz: float, curve: DutyCurve) -> None:
        """Put the shaft at rest angle 0; shaft_hz is the speed at speed share 1 without load."""
        self._rng = np.random.default_rng([seed, 1])
        self._shaft_hz = shaft_hz
        self._curve = curve
        steps = np.arange(TICKS_PER_S)
        forget = np.exp(-1.0 / (TICKS_PER_S * WANDER_TAU_S))
        self._fade = forget ** (steps + 1)
        self._mix = np.tril(forget ** np.abs(np.subtract.outer(steps, steps)))
        self._push = WANDER_RMS * np.sqrt(1.0 - forget**2)
        self._wander = WANDER_RMS * self._rng.standard_normal(1)
        self._first_tick = 0
        self._speed_hz = self._speeds(np.zeros(1), self._wander)
        self._turns = np.zeros(1)

    def _speeds(self, t_s: F64, wander: F64) -> F64:
        speed, load = self._curve.at(t_s)
        result: F64 = self._shaft_hz * speed * (1.0 + wander - SLIP_AT_FULL_LOAD * load)
        return result

    def _extend(self) -> None:
        """One more second: an Ornstein-Uhlenbeck wander on the speed that the duty asks for."""
        pushes = self._push * self._rng.standard_normal(TICKS_PER_S)
        wander = self._fade * self._wander[-1] + self._mix @ pushes
        last_tick = self._first_tick + len(self._turns) - 1
        speed_hz = self._speeds((last_tick + 1 + np.arange(TICKS_PER_S)) / TICKS_PER_S, wander)
        joined_hz = np.concatenate((self._speed_hz[-1:], speed_hz))
        turns = self._turns[-1] + np.cumsum(joined_hz[:-1] + joined_hz[1:]) / (2 * TICKS_PER_S)
        self._wander = wander
        self._speed_hz = np.concatenate((self._speed_hz, speed_hz))[-_KEEP:]
        self._turns = np.concatenate((self._turns, turns))[-_KEEP:]
        self._first_tick = last_tick + TICKS_PER_S - len(self._turns) + 1

    def turns(self, t_s: F64) -> F64:
        """Turns at the increasing times t_s, shape (n,), at most a second before the last asked for."""
        while t_s[-1] * TICKS_PER_S >= self._first_tick + len(self._turns) - 1:
            self._extend()
        where = t_s * TICKS_PER_S - self._first_tick
        tick = where.astype(np.intp)
        part = where - tick
        speed_hz, next_hz = self._speed_hz[tick], self._speed_hz[tick + 1]
        result: F64 = self._turns[tick] + part * (speed_hz + 0.5 * part * (next_hz - speed_hz)) / TICKS_PER_S
        return result
