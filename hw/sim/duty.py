"""What the simulated machine is asked to do, and how it follows: first order, in closed form."""

from collections.abc import Iterable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

START_STOP_TAU_S = 2.5
NORMAL_DUTY = (1.0, 0.7)
"""Speed share and load before the first duty, and without any."""


class Duty(Protocol):
    """From at_s on: speed (share of nameplate) and load (0-1) asked for (appliance.config.Duty)."""

    @property
    def at_s(self) -> float: ...  # noqa: D102
    @property
    def speed(self) -> float: ...  # noqa: D102
    @property
    def load(self) -> float: ...  # noqa: D102


class DutyCurve:
    """Speed share and load over machine time; settled at time 0."""

    def __init__(self, duty: Iterable[Duty]) -> None:
        """Work out the state at every change of duty. Of two with the same at_s the later listed counts."""
        steps = sorted(duty, key=lambda step: step.at_s)
        first = (steps[0].speed, steps[0].load) if steps and steps[0].at_s <= 0.0 else NORMAL_DUTY
        edges, asked, state = [0.0], [first], [first]
        for step in steps:
            edges.append(step.at_s)
            state.append(_follow(state[-1], asked[-1], edges[-1] - edges[-2]))
            asked.append((step.speed, step.load))
        self._edges_s = np.array(edges)
        self._asked = np.array(asked)
        self._state = np.array(state)

    def at(self, t_s: F64) -> tuple[F64, F64]:
        """Speed share and load at the times t_s >= 0, shape (n,)."""
        step = np.searchsorted(self._edges_s, t_s, side="right") - 1
        decay = np.exp((self._edges_s[step] - t_s) / START_STOP_TAU_S)[:, None]
        values = self._asked[step] + (self._state[step] - self._asked[step]) * decay
        return values[:, 0], values[:, 1]


def _follow(state: tuple[float, float], asked: tuple[float, float], for_s: float) -> tuple[float, float]:
    decay = float(np.exp(-for_s / START_STOP_TAU_S))
    return (asked[0] + (state[0] - asked[0]) * decay, asked[1] + (state[1] - asked[1]) * decay)
