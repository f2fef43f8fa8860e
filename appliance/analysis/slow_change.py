"""Slow change of known running: gathered thinly over a period, at whose end the model may follow it."""

from appliance.analysis.autoencoder import F32

WINDOWS = 288
"""At most so many a period, evenly: of a day one every five minutes, so that every load has its part."""


class SlowChange:
    """Windows of one sensor. A period in which nothing may be learnt, even for a moment, begins anew."""

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._begun_s = self._last_s = 0.0
        self._rows: list[F32] = []
        self._speeds_hz: list[float] = []
        self.due = False
        """Whether the period is over: `take` what it gave."""

    def ran(self, features: F32, speed_hz: float | None, at_s: float, *, may_learn: bool) -> None:
        """A window of running in a known way.

        features: (k,) in physical units. at_s: its time, ascending.
        """
        if not may_learn:
            self.take()
        if self.due or not may_learn:
            return
        if not self._rows:
            self._begun_s = at_s
        elif at_s - self._last_s < self._period_s / WINDOWS:
            return
        self._last_s = at_s
        self._rows.append(features)
        if speed_hz is not None:
            self._speeds_hz.append(speed_hz)
        self.due = at_s - self._begun_s >= self._period_s

    def take(self) -> tuple[list[F32], list[float]]:
        """Features and speeds of the period; a new one begins with the next window."""
        taken = self._rows, self._speeds_hz
        self._rows, self._speeds_hz, self.due = [], [], False
        return taken
