"""One vibration sensor as the guard sees it: its measured clock, its validity, its peak and RMS."""

from collections import deque

import numpy as np

from appliance.guard.latency import LatencyHistogram
from appliance.guard.limits import peak_rms_mps2
from appliance.guard.sampleclock import SampleClock
from appliance.guard.validity import BlockValidity
from appliance.guard.velocity import VelocityMeter
from appliance.records import ClockHealth, SampleBlock, Validity
from hw.ports import Samples, Vibration

_ARRIVALS = 256
_SLACK_NS = 1_000


class VibrationWatch:
    """Turns raw drains into SampleBlocks that carry their own clock and validity."""

    def __init__(self, name: str, sensor: Vibration) -> None:
        self.name = name
        self.clock = SampleClock(sensor.rate_hz)
        self.lateness = LatencyHistogram()
        self._sensor = sensor
        self._validity = BlockValidity(sensor)
        self._velocity = VelocityMeter(sensor)
        self._seq = 0
        self.arrivals: deque[tuple[int, int]] = deque(maxlen=_ARRIVALS)
        """(end of block, `time.perf_counter_ns` when it was in memory) of the newest blocks."""

    def arrived_ns(self, t_mono_ns: int) -> int | None:
        """When the sample of this time was in memory (`time.perf_counter_ns`); None if it is too long ago."""
        arrivals = tuple(self.arrivals)  # the sensor's own thread adds to them meanwhile
        if not arrivals or t_mono_ns < arrivals[0][0]:
            return None
        late_ns = t_mono_ns - _SLACK_NS  # the window's end and its block's end are rounded apart
        return next((got_ns for end_ns, got_ns in arrivals if end_ns >= late_ns), None)

    def clock_health(self) -> ClockHealth:
        """How the sample clock and its FIFO do."""
        clock = self.clock
        late_p50_us, late_p99_us, late_max_us = self.lateness.summary_us()
        return ClockHealth(
            self.name,
            clock.rate_hz,
            clock.ppm,
            clock.jitter_ms,
            clock.lost,
            clock.blocks,
            late_p99_us / 1e3,
            late_max_us / 1e3,
            late_p50_us / 1e3,
        )

    def judge(self, samples: Samples) -> tuple[SampleBlock, float | None, float | None]:
        """The block of one drain with n >= 1 samples, and its peak and RMS in m/s²; see `peak_rms_of`."""
        counts = samples.counts
        if self.clock.nominal_hz != self._sensor.rate_hz:  # a chip may know its own trim, once it is started
            self.clock = SampleClock(self._sensor.rate_hz, lost=self.clock.lost)
            self._velocity = VelocityMeter(self._sensor)
        self.clock.update(len(counts), samples.host_ns, samples.lost)
        self.lateness.add(samples.late_ns / 1e3)
        validity = self._validity.check(counts, samples.lost, self.clock.ppm)
        if samples.clipped:
            validity |= Validity.CLIP
        rate_hz = self.clock.rate_hz
        block = SampleBlock(
            sensor=self.name,
            seq=self._seq,
            t0_mono_ns=self.clock.end_ns() - round(len(counts) * 1e9 / rate_hz),
            rate_hz=rate_hz,
            axes=self._sensor.axes,
            scale_mps2=self._sensor.scale_mps2,
            counts=counts.astype("<i2", copy=False).tobytes(),
            lost=samples.lost,
            validity=validity,
            nominal_hz=self._sensor.rate_hz,
            mean_counts=self._mean_counts(),
        )
        self._seq += 1
        return block, *peak_rms_of(block)

    @property
    def reads_velocity(self) -> bool:
        """Whether its rate carries any of the band in which velocity is read."""
        return self._velocity.band_hz is not None

    def velocity(self, block: SampleBlock) -> tuple[float | None, Validity]:
        """Broad-band velocity of the last second, mm/s, of every block in turn; see `VelocityMeter.update`.

        Takes a spectrum four times a second, so call it when the relay is driven, and no lock held.
        """
        return self._velocity.update(block)

    def _mean_counts(self) -> tuple[float | None, ...]:
        stuck, mean_counts = self._validity.stuck.tolist(), self._validity.mean_counts.tolist()
        return tuple(None if still else mean for still, mean in zip(stuck, mean_counts, strict=True))

    def restarted(self) -> None:
        """The sensor was started again: its clock, its mounting and its velocity are measured anew."""
        self.clock = self.clock.restarted()
        self._validity = BlockValidity(self._sensor)
        self._velocity.forget(Validity.GAP)


def peak_rms_of(block: SampleBlock) -> tuple[float | None, float | None]:
    """Peak and RMS of a block, m/s²: all that they are made of is in it, so evidence gives them bit for bit.

    Those of the axes that are not stuck, None where all are: the others see the machine all the same.
    """
    counts = np.frombuffer(block.counts, "<i2").reshape(-1, block.axes)
    mean_counts = np.array(block.mean_counts, np.float64)
    stuck = np.isnan(mean_counts)
    if stuck.all():
        return None, None
    if stuck.any():
        counts, mean_counts = counts[:, ~stuck], mean_counts[~stuck]
    return peak_rms_mps2(counts, mean_counts, block.scale_mps2)
