"""The textbook oracle: every feature again, slowly, in float64, straight from its definition.

Of the fast path only the catalogue is used (which features there are). Windows are applied in time, spectra
come from scipy.signal, envelopes are full-length analytic signals, velocity is an integrated waveform.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import signal, stats

from appliance.analysis.catalogue import Feature

F64 = NDArray[np.float64]
FLOOR_MPS2 = 1e-4


def features(accel: NDArray[np.float32], rate_hz: float, catalogue: Sequence[Feature]) -> F64:
    """The catalogue's features of `accel`, shape (axes, n), m/s²; axes in the catalogue's order."""
    axes = list(dict.fromkeys(feature.axis for feature in catalogue))
    of_axis = {name: np.asarray(row, np.float64) for name, row in zip(axes, accel, strict=True)}
    return np.array([one(of_axis[feature.axis], rate_hz, feature, catalogue) for feature in catalogue])


def one(x: F64, rate_hz: float, feature: Feature, catalogue: Sequence[Feature]) -> float:
    """One feature of one axis."""
    x = x - np.mean(x)
    edges = sorted({f.band_hz for f in catalogue if f.kind == "band"})
    if feature.kind in ("rms", "peak", "crest", "kurtosis", "skewness"):
        return _of_waveform(x, feature.kind)
    if feature.kind == "velocity":
        return velocity_rms_mms(x, rate_hz, feature.band_hz)
    if feature.kind == "band":
        f, power = power_spectrum(x, rate_hz)
        return float(np.sqrt(np.sum(power * share(f, edges, edges.index(feature.band_hz)))))
    if feature.kind in ("centroid", "spread", "flatness", "entropy"):
        return _of_shape(x, rate_hz, (edges[0][0], edges[-1][1]), feature.kind)
    return _of_envelope(x, rate_hz, feature.band_hz, feature.kind)


def _of_waveform(x: F64, kind: str) -> float:
    rms = float(np.sqrt(np.mean(x**2)))
    quiet = min(1.0, rms / FLOOR_MPS2)  # ratios of a signal below the floor shrink with it
    if kind == "rms":
        return rms
    if kind == "peak":
        return float(np.max(np.abs(x)))
    if rms == 0:
        return 0.0
    if kind == "crest":
        return float(np.max(np.abs(x))) / rms * quiet
    if kind == "kurtosis":
        return float(stats.kurtosis(x, fisher=False)) * quiet**4
    return float(stats.skew(x)) * quiet**3


def power_spectrum(x: F64, rate_hz: float) -> tuple[F64, F64]:
    """Frequencies and the mean square per bin, Hann window; the sum over bins is the mean square."""
    f, density = signal.periodogram(x, rate_hz, window="hann", detrend=False, scaling="density")
    return f, density * rate_hz / len(x)


def share(f: F64, edges: Sequence[tuple[float, float]], index: int) -> F64:
    """How much of each frequency belongs to band `index`: a triangle over log frequency, flat at the ends."""
    centres = [np.log(np.sqrt(low * high)) for low, high in edges]
    log_f = np.log(np.maximum(f, 1e-12))
    weight = np.ones_like(f)
    if index > 0:
        weight = np.minimum(weight, (log_f - centres[index - 1]) / (centres[index] - centres[index - 1]))
    if index < len(edges) - 1:
        weight = np.minimum(weight, (centres[index + 1] - log_f) / (centres[index + 1] - centres[index]))
    return np.where(_inside(f, (edges[0][0], edges[-1][1])), np.maximum(weight, 0), 0)


def velocity_rms_mms(x: F64, rate_hz: float, band_hz: tuple[float, float]) -> float:
    """RMS of the velocity waveform, mm/s: windowed acceleration, band-passed, divided by jω, back in time."""
    n = len(x)
    window = signal.get_window("hann", n)
    spectrum = np.fft.rfft(x * window)
    f = np.fft.rfftfreq(n, 1 / rate_hz)
    keep = _inside(f, band_hz)
    spectrum[keep] /= 2j * np.pi * f[keep]
    spectrum[~keep] = 0
    velocity_mps = np.fft.irfft(spectrum, n)
    return float(1e3 * np.sqrt(np.mean(velocity_mps**2) / np.mean(window**2)))


def _of_shape(x: F64, rate_hz: float, band_hz: tuple[float, float], kind: str) -> float:
    f, power = power_spectrum(x, rate_hz)
    keep = _inside(f, band_hz)
    f, power = f[keep], power[keep] + FLOOR_MPS2**2 / np.sum(keep)
    centroid = np.average(f, weights=power)
    if kind == "centroid":
        return float(centroid)
    if kind == "spread":
        return float(np.sqrt(np.average((f - centroid) ** 2, weights=power)))
    if kind == "flatness":
        return float(stats.gmean(power) / np.mean(power))
    return float(stats.entropy(power) / np.log(len(power)))


def analytic(x: F64, rate_hz: float, band_hz: tuple[float, float]) -> F64:
    """The analytic signal of the Hann-windowed `x` in a band, at the full rate."""
    n = len(x)
    spectrum = np.fft.fft(x * signal.get_window("hann", n))
    f = np.fft.fftfreq(n, 1 / rate_hz)
    return np.fft.ifft(np.where(_inside(f, band_hz), 2 * spectrum, 0))


def _of_envelope(x: F64, rate_hz: float, band_hz: tuple[float, float], kind: str) -> float:
    n = len(x)
    window = signal.get_window("hann", n)
    squared = np.abs(analytic(x, rate_hz, band_hz)) ** 2
    mean_square = np.mean(squared) / np.mean(window**2)
    if kind == "envelope":
        return float(np.sqrt(mean_square))
    if kind == "envelope-kurtosis":
        return float(np.mean(squared**2) / np.mean(window**4) / max(mean_square, FLOOR_MPS2**2) ** 2)
    lines = np.abs(np.fft.rfft(squared)) / n
    bins_in_band = int(np.sum(_inside(np.fft.rfftfreq(n, 1 / rate_hz), band_hz)))
    last = min(bins_in_band // 2, int(1000 * n / rate_hz))
    lines, zero = lines[3:last], lines[0]
    return float(np.max(lines) / (np.mean(lines) + 1e-4 * zero + 1e-2 * FLOOR_MPS2**2))


def _inside(f: F64, band_hz: tuple[float, float]) -> NDArray[np.bool_]:
    """Bins at or above the lower edge and below the upper; 1e-9 bins of slack for rounding."""
    slack = 1e-9 * (f[1] - f[0])
    return (f >= band_hz[0] - slack) & (f < band_hz[1] - slack)
