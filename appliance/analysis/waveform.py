"""Statistics of the waveform in time: what a shock does to a signal that its spectrum does not show."""

from typing import NamedTuple

import numpy as np

from appliance.analysis.fft import F32
from appliance.analysis.spectrum import FLOOR_MPS2

BELIEVABLE_MPS2 = 1e6
"""Beyond this no accelerometer measures, and the fourth power leaves single precision."""


class Statistics(NamedTuple):
    """Of the mean-free signal, each shape (axes,). peak_mps2: largest magnitude; crest: peak / RMS.

    kurtosis: m4 / m2², 3 for Gaussian noise, 1.5 for a sine; skewness: m3 / m2^1.5.
    """

    rms_mps2: F32
    peak_mps2: F32
    crest: F32
    kurtosis: F32
    skewness: F32


def centred(accel: F32) -> F32:
    """`accel` (axes, n) less the mean of each axis, which is taken in float64: gravity would cost the digits.

    Raises:
        ValueError: NaN, infinity or a value beyond 1e6 m/s².
    """
    with np.errstate(invalid="ignore"):  # an infinity of each sign: answered below, in words
        mean = np.mean(accel, axis=1, keepdims=True, dtype=np.float64)
    if not np.all(np.abs(mean) < BELIEVABLE_MPS2):
        raise ValueError(_unbelievable(accel))
    free: F32 = accel - mean.astype(np.float32)
    return free


def statistics(free: F32) -> Statistics:
    """Statistics of mean-free rows (axes, n). Silence (RMS below 1e-4 m/s²) reads as shapeless: towards 0.

    Raises:
        ValueError: a value beyond 1e6 m/s².
    """
    peak = np.maximum(free.max(axis=1), -free.min(axis=1))
    if not np.all(peak < BELIEVABLE_MPS2):
        raise ValueError(_unbelievable(free))
    square = np.square(free)
    rms = np.sqrt(np.mean(square, axis=1))
    scale = np.maximum(rms, np.float32(FLOOR_MPS2))
    cube_mean = np.mean(square * free, axis=1)
    fourth_mean = np.mean(np.square(square, out=square), axis=1)
    return Statistics(rms, peak, np.divide(peak, scale), fourth_mean / scale**4, cube_mean / scale**3)


def _unbelievable(accel: F32) -> str:
    worst = accel.flat[np.argmax(~(np.abs(accel) < BELIEVABLE_MPS2))]
    return (
        f"the window holds {worst} m/s², expected finite values below {BELIEVABLE_MPS2:g}; "
        "drop the window as NOT OK and look at the sensor"
    )
