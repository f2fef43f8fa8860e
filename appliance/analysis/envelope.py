"""The envelope of one octave: the inverse transform of the one-sided band slice of the spectrum.

Ideal band-pass and alias-free down-sampling in one step, without a filter and its state (Randall, "Modern
envelope analysis"). The samples carry a Hann window (it keeps a strong low line from leaking a step at the
ends into every band), so each mean over time is divided by the mean of the window to the same power.
"""

from typing import NamedTuple

import numpy as np

from appliance.analysis.bands import Band, bins_of
from appliance.analysis.fft import C64, F32, fast_length, ifft, rfft
from appliance.analysis.spectrum import FLOOR_MPS2, HANN_MEAN_SQUARE

HANN_MEAN_FOURTH = 35 / 128
FIRST_MODULATION_BIN = 3
"""The squared window itself fills the bins 0 to 2 of the squared-envelope spectrum."""
MODULATION_TOP_HZ = 1000.0
"""Race and mesh modulations of machines up to 3600 rpm lie below; beyond is only more noise."""
SHALLOWEST = 1e-4
"""Modulation depth, in squared envelope, below which a line is not one."""
SILENT = 1e-2
"""Lines this far below the squared floor are rounding of single precision."""


class EnvelopeFigures(NamedTuple):
    """Each shape (axes,). rms_mps2: of the envelope (amplitude, not RMS, of a tone).

    kurtosis: E|z|⁴ / E²|z|² of the analytic band signal z; 1 for a tone, 2 for noise, more for impacts.
    line: highest over mean amplitude of the squared-envelope spectrum.
    """

    rms_mps2: F32
    kurtosis: F32
    line: F32


class Envelope:
    """Envelope figures of one band, for one rate and window length."""

    def __init__(self, band: Band, rate_hz: float, n: int) -> None:
        """Tables for `band`, which must be at least 16 bins wide."""
        first, last = bins_of(band, rate_hz, n)
        width = last - first
        self._slice = slice(first, last)
        self._length = fast_length(2 * width)  # the squared envelope is twice as wide as the band
        top = min(width // 2, int(MODULATION_TOP_HZ * n / rate_hz))
        self._modulations = slice(FIRST_MODULATION_BIN, max(top, FIRST_MODULATION_BIN + 1))

    def __call__(self, hann: C64) -> EnvelopeFigures:
        """Figures of a Hann spectrum as `hann_spectrum` gives it, (axes, bins)."""
        squared = self._squared(hann)
        spectrum = self._lines(squared)
        mean = np.mean(squared, axis=1)
        fourth = np.mean(np.square(squared), axis=1)
        floor = np.float32(FLOOR_MPS2**2)
        unwindowed = mean / np.float32(HANN_MEAN_SQUARE)
        square = np.float32(HANN_MEAN_FOURTH) * np.square(np.maximum(unwindowed, floor))
        kurtosis = np.divide(fourth, square)
        least = np.float32(SHALLOWEST) * mean + np.float32(SILENT) * floor
        line = np.divide(spectrum.max(axis=1), spectrum.mean(axis=1) + least)
        return EnvelopeFigures(np.sqrt(unwindowed), kurtosis, line)

    def modulation(self, hann: C64) -> F32:
        """Amplitude spectrum of the squared envelope, (axes, bins), m²/s⁴, from 0 Hz in steps of rate / n."""
        return self._lines(self._squared(hann), slice(0, self._modulations.stop))

    def _squared(self, hann: C64) -> F32:
        """The squared envelope, (axes, samples)."""
        band = np.zeros((hann.shape[0], self._length), np.complex64)
        band[:, : self._slice.stop - self._slice.start] = hann[:, self._slice]
        band *= np.float32(2 * self._length)
        analytic = ifft(band)
        squared = np.square(analytic.real)
        squared += np.square(analytic.imag)
        return squared

    def _lines(self, squared: F32, bins: slice | None = None) -> F32:
        return np.divide(np.abs(rfft(squared)[:, bins or self._modulations]), np.float32(self._length))
