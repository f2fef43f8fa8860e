"""The simulated rotating machine: shaft, gear, bearing, noise and heat, with faults that grow.

A shaft whose speed follows its duty, tones locked to the shaft, impacts that ring, broadband noise.
Deterministic by seed; a stream of any length needs constant memory.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hw.sim.bearing import KINDS, BearingFault
from hw.sim.duty import Duty, DutyCurve
from hw.sim.gear import Gear
from hw.sim.growth import Fault, severities
from hw.sim.harmonics import DIRECTIONS, Harmonics, order_basis
from hw.sim.shaft import Shaft
from hw.sim.thermal import Thermal

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

NOISE_MPS2_RTHZ = 0.0045
"""Density of the broadband noise at full load and speed; up to NOISE_HZ."""
NOISE_HZ = 10_000.0
LUBRICATION_NOISE = 2.5
GEAR_SHARE = np.array([0.6, 0.8, 1.0], np.float32)
BEARING_SHARE = np.array([0.4, 0.8, 1.0], np.float32)
LONGEST_CHUNK = 2048
CHUNK_S = 0.1


class Machine:
    """One machine. Sensors bolted to it see the same shaft, gear and impacts, each with noise of its own."""

    def __init__(
        self,
        seed: int = 1,
        shaft_hz: float = 24.7,
        resonance_hz: float = 3500.0,
        faults: Sequence[Fault] = (),
        duty: Sequence[Duty] = (),
    ) -> None:
        """A machine whose whole life follows from these; see appliance.config.Simulation for the ranges."""
        self.seed = seed
        self.shaft_hz = shaft_hz
        self.resonance_hz = resonance_hz
        self.faults = tuple(faults)
        self.curve = DutyCurve(duty)
        self._mounted = 0

    def vibration(self, rate_hz: float, axes: int) -> "Vibration":
        """A new measuring point, at machine time 0; axes: 1 to 3, the last is vertical."""
        self._mounted += 1
        return Vibration(self, rate_hz, axes, self._mounted)

    def thermal(self) -> Thermal:
        """The bearing housing's temperature from machine time 0 on."""
        return Thermal(self.curve, self.faults)


class Vibration:
    """True acceleration at one measuring point, chunk by chunk."""

    def __init__(self, machine: Machine, rate_hz: float, axes: int, mount: int) -> None:
        """mount: number of the measuring point; it seeds the noise."""
        self._machine = machine
        self.mount = mount
        self._rng = np.random.Generator(np.random.SFC64([machine.seed, 4, mount]))
        self._shaft = Shaft(machine.seed, machine.shaft_hz, machine.curve)
        self._harmonics = Harmonics(machine.seed, machine.shaft_hz, rate_hz, axes)
        self._gear = Gear(machine.shaft_hz, rate_hz)
        kinds = {fault.kind for fault in machine.faults} & set(KINDS)
        self._bearing = {
            kind: BearingFault(machine.seed, kind, rate_hz, machine.resonance_hz) for kind in sorted(kinds)
        }
        self._use = slice(DIRECTIONS - axes, DIRECTIONS)
        self._noise_mps2 = NOISE_MPS2_RTHZ * float(np.sqrt(min(rate_hz / 2.0, NOISE_HZ)))
        self._n = int(np.clip(rate_hz * CHUNK_S, 1, LONGEST_CHUNK))
        self._ramp = np.linspace(0.0, 1.0, self._n, endpoint=False, dtype=np.float32)
        self.t_s = 0.0
        """Machine time of the next sample."""

    def skip(self, t_s: float) -> None:
        """Go on to machine time t_s without measuring; no way back."""
        self.t_s = max(self.t_s, t_s)
        turns = float(self._shaft.turns(np.array([self.t_s]))[0])
        for fault in self._bearing.values():
            fault.skip(turns)

    def chunk(self, true_rate_hz: float) -> F32:
        """The next chunk, shape (n, axes), m/s², without gravity, sampled at true_rate_hz from `t_s` on."""
        t_s = self.t_s + np.arange(self._n + 1) / true_rate_hz
        before, after = (severities(self._machine.faults, float(t)) for t in (t_s[0], t_s[-1]))
        turns = self._shaft.turns(t_s)
        speed, load = self._machine.curve.at(t_s)
        accel = self._tones(t_s[:-1], turns[:-1], speed[:-1], load[:-1], before, after)
        drive = load * speed**1.5
        for kind, fault in self._bearing.items():
            hits = fault.block(turns, drive, (before[kind], after[kind]))
            accel += BEARING_SHARE[self._use, None] * hits
        dry = self._between(before, after, "lubrication")
        loud = (load * speed**2)[:-1].astype(np.float32) * (1.0 + LUBRICATION_NOISE * dry) * self._noise_mps2
        accel += loud * self._rng.standard_normal(accel.shape, np.float32)
        self.t_s = float(t_s[-1])
        return np.ascontiguousarray(accel.T)

    def _tones(
        self, t_s: F64, turns: F64, speed: F64, load: F64, before: dict[str, float], after: dict[str, float]
    ) -> F32:
        """Everything locked to the shaft or the mains, shape (axes, n)."""
        basis = order_basis(turns)
        weights = self._harmonics.coefficients(before), self._harmonics.coefficients(after)
        looseness = self._between(before, after, "looseness")
        accel = self._harmonics.block(basis, weights, self._ramp, looseness, turns)
        accel *= (speed**2).astype(np.float32)
        accel += self._harmonics.hum(t_s) * (load * speed).astype(np.float32)
        mesh = self._gear.block(turns, basis[:2], self._between(before, after, "gear"))
        accel += GEAR_SHARE[self._use, None] * (mesh * (load * speed**2).astype(np.float32))
        return accel

    def _between(self, before: dict[str, float], after: dict[str, float], kind: str) -> F32:
        first = before.get(kind, 0.0)
        result: F32 = np.float32(first) + self._ramp * np.float32(after.get(kind, 0.0) - first)
        return result
