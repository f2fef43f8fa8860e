"""A sensor of a scenario: the wave, temperature or numbers of its making, as the guard gets it."""

import math
import time
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from scenario import Numbers, Warmth, Wave

from appliance import register_maps
from appliance.config import Transmitter
from appliance.guard.protection import Protection
from appliance.sensors import SimTemperature, SimVibration
from hw.ports import STANDARD_GRAVITY_MPS2, Quantities, Quantity, Reading, Samples
from hw.sim.accelerometer import SimAccelerometer
from hw.sim.clock import SimClock
from hw.sim.rotor import Machine

RETRY_S = 0.5
F64 = NDArray[np.float64]
KINDS = {SimVibration: Wave, SimTemperature: Warmth, Transmitter: Numbers}
Spec = SimVibration | SimTemperature | Transmitter


class Sensor:
    """One sensor of the configuration: what it feels, and when it gives it to the guard."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.period_s = spec.block_s if isinstance(spec, SimVibration) else spec.period_s
        self.signal: Any = KINDS[type(spec)]()
        self.port: SimAccelerometer | None = None
        if isinstance(spec, SimVibration):
            self.port = SimAccelerometer(
                Machine(), SimClock(), spec.rate_hz, spec.axes, spec.block_s, spec.range_g
            )
        self.taken_s = self.period_s
        self._n = round(self.period_s * self.port.rate_hz) if self.port else 1
        self._missed = 0
        self._since_s = self._before = 0.0
        self._faulty = False
        self._rng = np.random.default_rng(1)

    @property
    def due_s(self) -> float:
        """When the guard gets what was taken."""
        return self.taken_s + getattr(self.signal, "late_s", 0.0)

    def feel(self, raw: dict[str, Any], now_s: float) -> None:
        """From now on this."""
        before = float(self._level(now_s))
        try:
            self.signal = msgspec.convert(raw, KINDS[type(self.spec)])
        except msgspec.ValidationError as fault:
            raise ValueError(f"signal.{self.spec.name} at {now_s:g} s: {fault}") from None
        self._before, self._since_s = before, now_s

    def turn(self, protection: Protection, boot_s: float) -> None:
        """Hand on what it has to say, as the guard process does."""
        name, got_ns, at_ns = self.spec.name, time.perf_counter_ns(), round((self.taken_s - boot_s) * 1e9)
        trouble = self.signal.trouble
        if trouble == "unplugged":
            protection.fault(name, "no answer", got_ns)
        elif trouble == "silent":
            self._missed += self._n
        else:
            if self._faulty and self.port:
                protection.restarted(name)
            self._say(protection, at_ns, got_ns)
            self._missed = 0
        self._faulty = trouble == "unplugged"
        self.taken_s = round(self.taken_s + (RETRY_S if self._faulty else self.period_s), 6)

    def _say(self, protection: Protection, at_ns: int, got_ns: int) -> None:
        name = self.spec.name
        if self.port:
            counts = self._counts(self.port)
            lost = self._n // 2 if self.signal.trouble == "gap" else 0
            protection.block(name, Samples(counts[lost:], at_ns, lost + self._missed), got_ns)
        elif isinstance(self.spec, Transmitter):
            units = register_maps.load(self.spec.map).units
            by_name = {one: Quantity(self.signal.values.get(one, 0.0), unit) for one, unit in units.items()}
            protection.quantities(name, Quantities(by_name, at_ns), got_ns)
        else:
            protection.reading(name, Reading(float(self._level(self.taken_s)), at_ns), got_ns)

    def _level(self, t_s: float | F64) -> F64:
        """Peak in m/s², or °C, at these times."""
        signal, level = self.signal, 0.0
        if isinstance(signal, Wave):
            level = signal.peak_mps2 + signal.velocity_mms * 1e-3 * math.sqrt(2) * 2 * math.pi * signal.hz
        elif isinstance(signal, Warmth):
            level = signal.degc
        over_s = getattr(signal, "over_s", 0.0)
        gone_s = np.asarray(t_s) - self._since_s
        share = np.clip(gone_s / over_s, 0.0, 1.0) if over_s else gone_s > -1e-9
        return np.asarray(self._before + (level - self._before) * share)

    def _counts(self, port: SimAccelerometer) -> NDArray[np.int16]:
        """(n, axes): the wave with a little noise, and gravity on one axis."""
        n = self._n
        t_s = self.taken_s + (np.arange(n) - n) / port.rate_hz
        gravity = np.zeros(port.axes)
        gravity[0 if self.signal.trouble == "fallen" else -1] = STANDARD_GRAVITY_MPS2
        accel = (self._level(t_s) * np.sin(2 * np.pi * self.signal.hz * t_s))[:, None] + gravity
        accel += self._rng.normal(0, port.noise_mps2, (n, port.axes))
        if self.signal.trouble == "stuck":
            accel[:, list(self.signal.axes)] = gravity[list(self.signal.axes)]
        counts: NDArray[np.int16] = np.clip(np.rint(accel / port.scale_mps2), -32768, 32767).astype(np.int16)
        return counts
