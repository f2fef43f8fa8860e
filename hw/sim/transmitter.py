"""What a transmitter on the simulated machine measures: the registers behind a Modbus slave."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hw.register_map import RegisterMap
from hw.sim.clock import SimClock
from hw.sim.rotor import Machine

RATE_HZ = 12_800.0
BAND_HZ = (10.0, 4000.0)
HIGH_BAND_HZ = (1000.0, 4000.0)
RENEWED_S = 1.0
AXES = "xyz"


class MachineRegisters:
    """Registers of a map, filled from the simulated machine once a second of its time."""

    def __init__(self, machine: Machine, clock: SimClock, registers: RegisterMap) -> None:
        """Bolt it on."""
        self._vibration = machine.vibration(RATE_HZ, len(AXES))
        self._thermal = machine.thermal()
        self._clock = clock
        self._map = registers
        self._words: dict[int, int] = {}
        self._measured_s = -1.0
        self.values: dict[str, float] = {}
        """What was measured, before it was rounded into registers."""

    def __call__(self, first: int, count: int) -> Sequence[int] | None:
        """The registers asked for; None where the map has no such block."""
        start = self._map.first
        if first < start or first + count > start + self._map.count:
            return None
        now_s = self._clock.now_s()
        if self._measured_s < 0.0 or now_s - self._measured_s >= RENEWED_S:
            self._measured_s = now_s
            self._measure(now_s)
        return [self._words.get(address, 0) for address in range(first, first + count)]

    def _measure(self, now_s: float) -> None:
        self._vibration.skip(now_s)
        chunks = [self._vibration.chunk(RATE_HZ) for _ in range(5)]
        accel = np.concatenate(chunks).astype(np.float64)
        self.values = {"temperature": self._thermal.degc(now_s)}
        for axis, signal in zip(AXES, accel.T, strict=True):
            self.values |= {f"{axis}-{name}": value for name, value in quantities(signal).items()}
        for register in self._map.registers:
            words = register.content(self.values.get(register.name, 0.0))
            self._words.update(enumerate(words, register.address))


def quantities(accel: NDArray[np.float64]) -> dict[str, float]:
    """What such parts work out of one axis: accel of shape (n,), m/s², n / RATE_HZ seconds of it."""
    hz = np.fft.rfftfreq(len(accel), 1.0 / RATE_HZ)
    lines = np.fft.rfft(accel - accel.mean())
    lines[(hz < BAND_HZ[0]) | (hz > BAND_HZ[1])] = 0.0
    wave = np.fft.irfft(lines, len(accel))
    turns = 2j * np.pi * np.where(hz > 0.0, hz, 1.0)
    velocity_mms = np.fft.irfft(lines / turns, len(accel)) * 1e3
    high = np.fft.irfft(np.where(hz >= HIGH_BAND_HZ[0], lines, 0.0), len(accel))
    rms, peak = float(wave.std()), float(np.abs(wave).max())
    return {
        "rms": rms,
        "peak": peak,
        "kurtosis": float(np.mean(wave**4)) / rms**4 if rms else 3.0,
        "crest": peak / rms if rms else 0.0,
        "high-frequency-rms": float(high.std()),
        "velocity-rms": float(velocity_mms.std()),
        "velocity-peak": float(np.abs(velocity_mms).max()),
        "velocity": float(velocity_mms.std()),
        "acceleration": float(accel[-1]),
        "peak-velocity-frequency": float(hz[np.argmax(np.abs(lines / turns))]),
        "frequency": float(hz[np.argmax(np.abs(lines / turns))]),
        "displacement": float(np.abs(np.fft.irfft(lines / turns**2, len(accel))).max() * 1e6),
    }
