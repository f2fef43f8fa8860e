"""A gear on the shaft: tooth mesh with the amplitude and phase modulation that a bad tooth makes."""

import numpy as np
from numpy.typing import NDArray

from hw.sim.harmonics import bandwidth_gain

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

TEETH = 23
HEALTHY_MPS2, FAULT_MPS2 = 0.06, 2.0
HEALTHY_AM, FAULT_AM = 0.1, 0.7
HEALTHY_PM_RAD, FAULT_PM_RAD = 0.05, 0.6
SECOND_MESH = 0.4
"""Amplitude of twice the mesh frequency, of that of the mesh, at severity 1."""


class Gear:
    """Mesh acceleration at full load and speed; the caller scales it."""

    def __init__(self, shaft_hz: float, rate_hz: float) -> None:
        """The gains of the mesh and its double follow from the sensor's rate."""
        self._gain = float(bandwidth_gain(TEETH * shaft_hz, rate_hz))
        self._second_gain = float(bandwidth_gain(2 * TEETH * shaft_hz, rate_hz))

    def block(self, turns: F64, cos_sin: F32, severity: F32) -> F32:
        """Acceleration, shape (n,), m/s². cos_sin: of the shaft angle, shape (2, n); severity: shape (n,)."""
        wobble = (HEALTHY_PM_RAD + FAULT_PM_RAD * severity) * cos_sin[1]
        mesh = np.cos((2.0 * np.pi * ((TEETH * turns) % 1.0)).astype(np.float32) + wobble)
        tooth = self._gain * mesh + self._second_gain * SECOND_MESH * severity * (2.0 * mesh * mesh - 1.0)
        peak_mps2 = HEALTHY_MPS2 + FAULT_MPS2 * severity
        result: F32 = peak_mps2 * (1.0 + (HEALTHY_AM + FAULT_AM * severity) * cos_sin[0]) * tooth
        return result
