"""A simulated MEMS accelerometer with a FIFO, bolted to the simulated machine."""

import random
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hw.ports import STANDARD_GRAVITY_MPS2, PortError, Samples
from hw.sim.clock import SimClock
from hw.sim.rotor import Machine
from hw.sim.trouble import Trouble, active

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I16 = NDArray[np.int16]

NOISE_G_RTHZ = 75e-6
LATE_S = 1e-4
"""Typical delay from the last sample to its arrival in host memory."""
CLIP_GAIN = 1000.0


class SimAccelerometer:
    """hw.ports.Vibration on a simulated machine, gravity on the last axis. Block size changes no sample."""

    full_scale_counts = 32767
    dc_coupled = True

    def __init__(
        self,
        machine: Machine,
        clock: SimClock,
        rate_hz: float = 6400.0,
        axes: int = 3,
        block_s: float = 0.1,
        range_g: float = 16.0,
        clock_ppm: float = 0.0,
        troubles: Sequence[Trouble] = (),
    ) -> None:
        """Bolt it on.

        Args:
            machine: what it measures.
            clock: the machine's clock.
            rate_hz: nominal rate; the true one is off by clock_ppm.
            axes: 1 to 3.
            block_s: one drain, seconds of samples.
            range_g: full scale.
            clock_ppm: error of the chip's clock.
            troubles: dropout, stuck, clip, fallen, clock_drift, lost, in machine time.
        """
        self.rate_hz = rate_hz
        self.axes = axes
        self.scale_mps2 = range_g * STANDARD_GRAVITY_MPS2 / 32768.0
        self.noise_mps2 = NOISE_G_RTHZ * STANDARD_GRAVITY_MPS2 * float(np.sqrt(rate_hz / 2.0))
        self.bandwidth_hz = rate_hz / 2.0
        self._clock = clock
        self._clock_ppm = clock_ppm
        self._troubles = tuple(troubles)
        self._drain = max(1, round(block_s * rate_hz))
        self._late = random.Random(machine.seed)
        self._vibration = machine.vibration(rate_hz, axes)
        self._rng = np.random.Generator(np.random.SFC64([machine.seed, 5, self._vibration.mount]))
        self._counts: I16 = np.empty((0, axes), np.int16)
        self._taken_s = np.empty(0)
        self._held: I16 | None = None
        self._missed = 0
        self._silent = False
        self._started = False

    def start(self) -> None:
        """Begin to sample. In real time the first sample is taken now, else where the last stop left off.

        After `lost` it is taken now in any case: the trouble is over when the machine's time says so.
        """
        first_s = self._clock.now_s() if self._silent else self._clock.first_s()
        if first_s > self._vibration.t_s:
            self._vibration.skip(first_s)
            self._counts, self._taken_s = self._counts[:0], self._taken_s[:0]
        self._missed = 0
        self._silent = False
        self._started = True

    def stop(self) -> None:
        """Stop sampling."""
        self._started = False

    def read(self) -> Samples:
        """The next drain; empty when not due within 0.25 s. Raises PortError: not started, or `lost`."""
        if not self._started:
            raise PortError("simulated accelerometer: read before start; call start() first")
        while len(self._counts) < self._drain:
            self._sample()
        end_s = float(self._taken_s[self._drain - 1])
        if not self._clock.wait(end_s):
            return Samples(self._counts[:0], self._clock.stamp_ns(self._clock.now_s()))
        counts, self._counts = self._counts[: self._drain], self._counts[self._drain :]
        self._taken_s = self._taken_s[self._drain :]
        return self._deliver(counts, end_s)

    def _deliver(self, counts: I16, end_s: float) -> Samples:
        if active(self._troubles, "lost", end_s):
            self._missed += len(counts)
            self._silent = True
            raise PortError(
                f"simulated accelerometer: no answer at {end_s:.1f} s; expected samples; check the wiring"
            )
        if active(self._troubles, "dropout", end_s):
            overrun = (len(counts) + 1) // 2
            counts, self._missed = counts[overrun:], self._missed + overrun
        missed, self._missed = self._missed, 0
        return Samples(counts, self._clock.stamp_ns(end_s, abs(self._late.gauss(0.0, LATE_S))), missed)

    def _sample(self) -> None:
        """Put one more chunk into the FIFO."""
        first_s = self._vibration.t_s
        drift = active(self._troubles, "clock_drift", first_s)
        ppm = self._clock_ppm + (drift.amount if drift else 0.0)
        true_rate_hz = self.rate_hz * (1.0 + ppm * 1e-6)
        accel = self._vibration.chunk(true_rate_hz)
        taken_s = first_s + np.arange(1, len(accel) + 1) / true_rate_hz
        accel += np.float32(self.noise_mps2) * self._rng.standard_normal(accel.shape, np.float32)
        self._counts = np.concatenate((self._counts, self._convert(accel, taken_s)))
        self._taken_s = np.concatenate((self._taken_s, taken_s))

    def _convert(self, accel: F32, taken_s: F64) -> I16:
        """Add gravity, apply what is wrong with the sensor, convert to counts."""
        fallen = self._during("fallen", taken_s)
        accel[~fallen, -1] += STANDARD_GRAVITY_MPS2
        if self.axes > 1:
            accel[fallen, 0] += STANDARD_GRAVITY_MPS2
        accel[self._during("clip", taken_s)] *= CLIP_GAIN
        steps = np.rint(accel / np.float32(self.scale_mps2))
        counts: I16 = np.clip(steps, -32768, 32767).astype(np.int16)
        stuck = self._during("stuck", taken_s)
        if stuck.any():
            self._held = counts[np.argmax(stuck)].copy() if self._held is None else self._held
            counts[stuck] = self._held
        else:
            self._held = None
        return counts

    def _during(self, kind: str, taken_s: F64) -> NDArray[np.bool_]:
        inside = np.zeros(len(taken_s), np.bool_)
        for trouble in self._troubles:
            if trouble.kind == kind:
                inside |= (taken_s >= trouble.start_s) & (taken_s < trouble.end_s)
        return inside
