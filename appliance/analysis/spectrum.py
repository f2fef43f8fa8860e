"""The spectrum of a window and what is read from it: band RMS, velocity, shape.

One transform of the mean-free samples serves everything; the Hann window is applied to the spectrum (periodic
Hann = three-term convolution), which also makes a slow drift of the sensor vanish from the velocity.
"""

from typing import NamedTuple

import numpy as np

from appliance.analysis.bands import Band, bins_of
from appliance.analysis.fft import C64, F32, rfft

HANN_MEAN_SQUARE = 3 / 8
FLOOR_MPS2 = 1e-4
"""Smallest acceleration that means anything: below the noise of any sensor in one band."""


class Shape(NamedTuple):
    """Scalars of a spectrum, each shape (axes,): centroid_hz, spread_hz, flatness 0–1, entropy 0–1."""

    centroid_hz: F32
    spread_hz: F32
    flatness: F32
    entropy: F32


def hann_spectrum(centred: F32) -> C64:
    """One-sided Hann-windowed spectrum of mean-free rows, (axes, n) -> (axes, n // 2 + 1), divided by n.

    A tone of amplitude A on a bin reads A / 4 there (half a line's amplitude times the Hann mean of 1/2).
    """
    n = centred.shape[1]
    plain = rfft(centred)
    plain *= np.float32(0.5 / n)
    hann = plain.copy()
    half = np.float32(0.5)
    hann[:, 1:-1] -= half * (plain[:, :-2] + plain[:, 2:])
    hann[:, 0] -= plain[:, 1].real
    beyond = plain[:, -2].conj() if n % 2 == 0 else plain[:, -1].conj()
    hann[:, -1] -= half * (plain[:, -2] + beyond)
    return hann


def power(hann: C64) -> F32:
    """Mean square per bin, m²/s⁴, (axes, bins): summed over a band, the mean square in it (Parseval)."""
    squared = np.square(hann.real)
    squared += np.square(hann.imag)
    squared *= np.float32(2 / HANN_MEAN_SQUARE)
    return squared


class Bands:
    """RMS of log-spaced bands that cross-fade.

    Each bin is shared by the two bands whose centres (geometric) enclose it, linearly in log frequency; the
    shares of a bin add up to 1, and adjacent bands share equally at their common edge. A line that drifts
    over an edge with speed then moves its energy gradually, where brick walls would make two features jump.
    """

    def __init__(self, bands: tuple[Band, ...], rate_hz: float, n: int) -> None:
        """Tables for `bands` (adjoining, ascending, not empty) at this rate and window length."""
        low, high = bands[0][0], bands[-1][1]
        bin_hz = rate_hz / n
        first, last = bins_of((low, high), rate_hz, n)
        self.bins = slice(first, last)
        self.frequency_hz: F32 = (np.arange(first, last) * bin_hz).astype(np.float32)
        centres = np.log([(a * b) ** 0.5 for a, b in bands])
        position = np.interp(np.log(np.arange(first, last) * bin_hz), centres, np.arange(len(bands)))
        lower = np.minimum(position.astype(np.intp), max(0, len(bands) - 2))
        self._upper_share: F32 = (position - lower).astype(np.float32)
        self._lower_share: F32 = (1 - (position - lower)).astype(np.float32)
        self._segments, self._starts = np.unique(lower, return_index=True)
        self._count = len(bands)

    def mean_square(self, power: F32) -> F32:
        """Mean square per band, m²/s⁴, (axes, bins) -> (axes, bands)."""
        used = power[:, self.bins]
        total = np.zeros((power.shape[0], self._count + 1), np.float32)
        total[:, self._segments] = np.add.reduceat(used * self._lower_share, self._starts, axis=1)
        total[:, self._segments + 1] += np.add.reduceat(used * self._upper_share, self._starts, axis=1)
        return total[:, : self._count]

    def shape(self, power: F32, total: F32) -> Shape:
        """Shape of the spectrum between the outermost edges; `total`: mean square there, (axes,).

        A floor far below any sensor's noise keeps the shape of silence defined: flat.
        """
        used = power[:, self.bins]
        n = used.shape[1]
        eps = np.float32(FLOOR_MPS2**2 / n)
        raised = used + eps
        whole = total + eps * n
        centroid = (raised @ self.frequency_hz) / whole
        away = np.square(self.frequency_hz - centroid[:, None])
        away *= raised
        spread = np.sqrt(np.sum(away, axis=1) / whole)
        log = np.log(raised)
        flatness = np.exp(np.mean(log, axis=1)) * n / whole
        log *= raised
        entropy = (np.log(whole) - np.sum(log, axis=1) / whole) / np.float32(np.log(n))
        return Shape(centroid, spread, flatness, entropy)


class Velocity:
    """RMS velocity in a band, by division by jω in the frequency domain.

    Source: ISO 20816-1, broad-band velocity. Integration in time loses 39 % at 900 Hz of 3200 (trapezoid).
    """

    def __init__(self, band: Band, rate_hz: float, n: int) -> None:
        """Table for `band` at this rate and window length."""
        first, last = bins_of(band, rate_hz, n)
        self.bins = slice(first, last)
        omega = 2 * np.pi * np.arange(first, last) * rate_hz / n
        self._per_power: F32 = (1e6 / omega**2).astype(np.float32)

    def squares_mms2(self, power: F32) -> F32:
        """Mean square of each bin of the band: (axes, all bins) m²/s⁴ -> (axes, bins) mm²/s²."""
        squares: F32 = power[:, self.bins] * self._per_power
        return squares

    def rms_mms(self, power: F32) -> F32:
        """(axes, bins) m²/s⁴ -> (axes,) mm/s."""
        mean_square: F32 = power[:, self.bins] @ self._per_power
        return np.sqrt(mean_square)
