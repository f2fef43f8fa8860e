"""The bearing housing's temperature: first order, heated by load, speed and failing parts."""

from collections.abc import Sequence

import numpy as np

from hw.sim.duty import DutyCurve
from hw.sim.growth import Fault, severities

AMBIENT_DEGC = 22.0
RISE_AT_FULL_LOAD_K = 34.0
NO_LOAD_SHARE = 0.25
TAU_S = 900.0
STEP_S = 1.0
FRICTION_K = {
    "imbalance": 3.0,
    "misalignment": 8.0,
    "looseness": 2.0,
    "outer_race": 20.0,
    "inner_race": 20.0,
    "ball": 15.0,
    "gear": 10.0,
    "lubrication": 30.0,
    "overheating": 150.0,
}
"""Settled rise at severity 1 and full speed, K."""


class Thermal:
    """Temperature over machine time, asked for in the order of time; settled at time 0."""

    def __init__(self, curve: DutyCurve, faults: Sequence[Fault]) -> None:
        """Start at the temperature that the duty at time 0 settles to."""
        self._curve = curve
        self._faults = faults
        self._t_s = 0.0
        self._degc = self._settled_degc(0.0, {})

    def _settled_degc(self, t_s: float, severity: dict[str, float]) -> float:
        speed, load = (float(value[0]) for value in self._curve.at(np.array([t_s])))
        friction_k = sum(FRICTION_K[kind] * share for kind, share in severity.items())
        return AMBIENT_DEGC + speed * (
            RISE_AT_FULL_LOAD_K * (NO_LOAD_SHARE + (1.0 - NO_LOAD_SHARE) * load) + friction_k
        )

    def degc(self, t_s: float) -> float:
        """Temperature at machine time t_s, °C; not before the last one asked for."""
        while self._t_s < t_s:
            step_s = min(STEP_S, t_s - self._t_s)
            self._t_s += step_s
            goal_degc = self._settled_degc(self._t_s, severities(self._faults, self._t_s))
            self._degc += (goal_degc - self._degc) * -float(np.expm1(-step_s / TAU_S))
        return self._degc
