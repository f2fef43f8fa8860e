"""Tones of the rotor: shaft harmonics 1 to 16 with imbalance, misalignment, looseness, and the mains hum."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

ORDERS: F64 = np.arange(1.0, 17.0)
DIRECTIONS = 3
"""Axial, horizontal, vertical. A sensor with fewer axes has the last of them."""
HEALTHY_MMS = 0.72 * ORDERS**-1.25
HEALTHY_SHARE = np.array([0.5, 1.0, 0.9])
IMBALANCE_MMS, IMBALANCE_SHARE = 3.0, np.array([0.2, 1.0, 0.9])
BREAK_UP_RMS_MPS2 = 42.0
"""1x acceleration of imbalance at severity 1, when things fly: ∝ severity⁸, so 0.5 is but a warning."""
MISALIGNMENT_MMS, MISALIGNMENT_SHARE = (5.0, 3.0), np.array([1.0, 0.5, 0.5])
LOOSENESS_MMS, LOOSENESS_SHARE = 2.5, np.array([0.4, 0.8, 1.0])
HALF_ORDER_MMS = 1.5
HUM_HZ, HUM_MMS, HUM_SHARE = 100.0, 0.2, np.array([0.3, 1.0, 0.8])


def bandwidth_gain(frequency_hz: float | F64, rate_hz: float) -> F64:
    """What the sensor's fourth-order low-pass at half its rate leaves of `frequency_hz`; that folds."""
    gain: F64 = np.asarray(1.0 / np.sqrt(1.0 + (2.0 * np.asarray(frequency_hz) / rate_hz) ** 8))
    return gain


def acceleration_mps2(velocity_mms: float | F64, frequency_hz: float | F64) -> F64:
    """Amplitude in m/s² of a vibration of `velocity_mms` RMS at `frequency_hz`."""
    peak: F64 = np.asarray(velocity_mms * 1e-3 * 2.0 * np.pi * np.asarray(frequency_hz) * np.sqrt(2.0))
    return peak


class Harmonics:
    """Acceleration of the rotor on the last `axes` directions, at full speed; the caller scales by speed²."""

    def __init__(self, seed: int, shaft_hz: float, rate_hz: float, axes: int) -> None:
        """Draw the phases of this machine; gains of orders follow from the sensor's rate."""
        rng = np.random.default_rng([seed, 2])
        phases = rng.uniform(0.0, 2.0 * np.pi, len(ORDERS)) - np.pi / 2 * np.arange(DIRECTIONS)[:, None]
        self._use = slice(DIRECTIONS - axes, DIRECTIONS)
        self._turn = np.stack((np.cos(phases), -np.sin(phases)), axis=-1)
        self._order_hz: F64 = ORDERS * shaft_hz
        self._gain = bandwidth_gain(self._order_hz, rate_hz)
        half = acceleration_mps2(HALF_ORDER_MMS, shaft_hz / 2) * bandwidth_gain(shaft_hz / 2, rate_hz)
        self._half = (LOOSENESS_SHARE[self._use] * half).astype(np.float32)
        hum = HUM_SHARE * acceleration_mps2(HUM_MMS, HUM_HZ) * bandwidth_gain(HUM_HZ, rate_hz)
        self._hum = hum[self._use].astype(np.float32)

    def coefficients(self, severity: Mapping[str, float]) -> F32:
        """Weights of cos and sin of the 16 orders for these severities, shape (axes, 32), m/s²."""
        velocity_mms = HEALTHY_SHARE[:, None] * HEALTHY_MMS
        imbalance = severity.get("imbalance", 0.0)
        break_up_mms = BREAK_UP_RMS_MPS2 / (2.0 * np.pi * self._order_hz[0]) * 1e3
        velocity_mms[:, 0] += IMBALANCE_SHARE * (IMBALANCE_MMS * imbalance + break_up_mms * imbalance**8)
        misalignment = severity.get("misalignment", 0.0)
        velocity_mms[:, 1:3] += np.outer(MISALIGNMENT_SHARE, MISALIGNMENT_MMS) * misalignment
        looseness = severity.get("looseness", 0.0)
        velocity_mms += np.outer(LOOSENESS_SHARE, ORDERS**-0.8) * (LOOSENESS_MMS * looseness)
        peaks = acceleration_mps2(velocity_mms, self._order_hz) * self._gain
        weights = (peaks[:, :, None] * self._turn)[self._use]
        flat: F32 = weights.reshape(len(weights), -1).astype(np.float32)
        return flat

    def block(self, basis: F32, weights: tuple[F32, F32], ramp: F32, looseness: F32, turns: F64) -> F32:
        """Acceleration, shape (axes, n), going from the first to the second weights along `ramp` (0 to 1).

        basis: `order_basis(turns)`; looseness: its severity; turns: shaft turns; each of shape (n,).
        """
        before, after = weights
        accel = before @ basis
        if not np.array_equal(before, after):
            accel += ramp * ((after - before) @ basis)
        if looseness.any():
            accel += looseness * self._half[:, None] * np.cos(np.pi * (turns % 2.0)).astype(np.float32)
            rms = np.sqrt(0.5 * np.sum(after * after, axis=1))
            np.minimum(accel, np.outer(rms, 5.0 - 4.2 * looseness), out=accel)  # lifts off on one side only
        return accel

    def hum(self, t_s: F64) -> F32:
        """The hum of twice the line frequency at full load, shape (axes, n)."""
        return self._hum[:, None] * np.sin(2.0 * np.pi * ((HUM_HZ * t_s) % 1.0)).astype(np.float32)


def order_basis(turns: F64) -> F32:
    """Cos and sin of orders 1 to 16 by Chebyshev's recurrence, shape (32, n): cos 1, sin 1, cos 2, …"""
    angle = (2.0 * np.pi * (turns % 1.0)).astype(np.float32)
    basis = np.empty((len(ORDERS), 2, len(turns)), np.float32)
    np.cos(angle, out=basis[0, 0])
    np.sin(angle, out=basis[0, 1])
    double = 2.0 * basis[0, 0]
    np.multiply(double, basis[0], out=basis[1])
    basis[1, 0] -= 1.0
    for order in range(2, len(ORDERS)):
        np.multiply(double, basis[order - 1], out=basis[order])
        basis[order] -= basis[order - 2]
    return basis.reshape(2 * len(ORDERS), -1)
