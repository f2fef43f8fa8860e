"""Broad-band velocity of the newest second, mm/s: what the severity zones of ISO 20816-3 are stated in."""

import numpy as np
from numpy.fft import rfft
from numpy.typing import NDArray

from appliance.records import SampleBlock, Validity
from appliance.severity import BAND_HZ, SAMPLES_PER_PERIOD, band_hz
from hw.ports import Vibration

I16 = NDArray[np.int16]
C64 = NDArray[np.complex64]

HOPS = 4
_HANN_MEAN_SQUARE = 3 / 8


class VelocityMeter:
    """Feed it every block of one sensor; it holds the newest second, and reads anew each quarter of one.

    band_hz: what it sums, None where the rate carries nothing of it.
    complete: whether that is all of 10–1000 Hz and the sensor passes it; if not, it may read low.
    """

    def __init__(self, sensor: Vibration) -> None:
        n = _samples_of_a_second(sensor.rate_hz)
        self.band_hz = band_hz(sensor.rate_hz)
        self.complete = self.band_hz == BAND_HZ and sensor.bandwidth_hz >= BAND_HZ[1]
        self._ring: I16 = np.zeros((sensor.axes, n), np.int16)
        self._parts = _parts_of(sensor.rate_hz)
        self._at = 0  # where the oldest sample is and the next one goes
        self._held = 0
        self._fresh = 0
        self._spoilt = Validity.OK
        self._rms_mms: float | None = None

    def update(self, block: SampleBlock) -> tuple[float | None, Validity]:
        """Take the next block; the RMS velocity of the worst axis, mm/s, at most a quarter of a second old.

        None until a whole second is there, without a gap and of blocks that are OK. The validity then tells
        why: the flags of what spoilt it, OK where it has merely begun.
        """
        if block.validity:
            self.forget(block.validity)
        elif self.band_hz is not None:
            self._append(np.frombuffer(block.counts, "<i2").reshape(-1, block.axes))
            if self._held == self._ring.shape[1] and self._fresh * HOPS >= self._held:
                self._rms_mms = self._read(self.band_hz, block.rate_hz) * block.scale_mps2 * 1e3
                self._fresh, self._spoilt = 0, Validity.OK
        return self._rms_mms, self._spoilt

    def forget(self, why: Validity) -> None:
        """Begin a new second, NOT OK until it is there."""
        self._held = self._fresh = 0
        self._spoilt |= why
        self._rms_mms = None

    def _append(self, counts: I16) -> None:
        n = self._ring.shape[1]
        newest = counts[-n:].T
        before_end = min(newest.shape[1], n - self._at)
        self._ring[:, self._at : self._at + before_end] = newest[:, :before_end]
        self._ring[:, : newest.shape[1] - before_end] = newest[:, before_end:]
        self._at = (self._at + newest.shape[1]) % n
        self._held = min(n, self._held + newest.shape[1])
        self._fresh += newest.shape[1]

    def _read(self, band: tuple[float, float], rate_hz: float) -> float:
        """RMS velocity of the worst axis, in counts times seconds."""
        n: int = self._ring.shape[1]
        first, last = (int(np.ceil(edge * n / rate_hz - 1e-9)) for edge in band)
        bins = np.arange(first - 1, last + 1)
        omega = 2.0 * np.pi * rate_hz / n * bins[1:-1]
        turn = np.exp(-2j * np.pi / n * bins).astype(np.complex64)
        worst = 0.0
        for axis in self._ring:
            plain = self._spectrum(axis, bins, turn)
            hann = plain[1:-1] - 0.5 * (plain[:-2] + plain[2:])
            worst = max(worst, float(np.sum(np.square(np.abs(hann) / omega))))
        return float(np.sqrt(worst / (2.0 * _HANN_MEAN_SQUARE))) / n

    def _spectrum(self, axis: I16, bins: NDArray[np.int_], turn: C64) -> C64:
        """These bins of the transform of one axis, oldest sample first. turn: e^(-2πi bin / n) of each.

        Put together from the transforms of every `_parts`-th sample (decimation in time): the bins are exact,
        nothing is folded into them, and those that nobody asks for take neither time nor memory.
        """
        mean = np.float32(axis.mean())
        spectrum = np.zeros(len(bins), np.complex64)
        for part in reversed(range(self._parts)):
            at, offset = divmod((self._at + part) % len(axis), self._parts)
            dealt = axis[offset :: self._parts]
            spectrum *= turn
            spectrum += rfft(np.concatenate((dealt[at:], dealt[:at])) - mean)[bins[0] : bins[-1] + 1]
        return spectrum


def _samples_of_a_second(rate_hz: float) -> int:
    """At least a second of samples and at most a sixteenth more, a number without large prime factors.

    26 667 samples take twenty times as long to transform as 27 648.
    """
    step = 1 << max(0, int(rate_hz).bit_length() - 5)
    return step * -int(-rate_hz // step)


def _parts_of(rate_hz: float) -> int:
    """Into how many parts of at least 2560 Hz the samples can be dealt out: a power of two."""
    return 1 << max(0, int(rate_hz / (SAMPLES_PER_PERIOD * BAND_HZ[1])).bit_length() - 1)
