"""Follows one sensor's windows for a way of running that was never learnt, and gathers it."""

from collections import deque
from dataclasses import dataclass

import numpy as np

from appliance.analysis.autoencoder import F32
from appliance.analysis.condition import Conditions, Finding

STRETCH = 8
"""Windows that are judged together; shorter than the time delay of the score's Alert."""
MOST = 6
"""So many of them over the threshold make a stretch that the model cannot explain."""
MOST_GATHERED = 600
RESTED = 8
"""Windows at rest from which its surroundings are known."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One window of running: features (k,) in physical units, standardised (k,), speed if heard, verdict."""

    features: F32
    standardised: F32
    speed_hz: float | None
    over: bool


class NoveltyWatch:
    """Known running until a stretch is judged a new condition; then gathers until it is known or a fault."""

    def __init__(self, conditions: Conditions) -> None:
        self._conditions = conditions
        self._recent: deque[Seen] = deque(maxlen=STRETCH)
        self._rest: deque[F32] = deque(maxlen=8 * RESTED)
        self.finding: Finding | None = None
        self.since_mono_ns = 0
        self.gathered: list[Seen] = []
        self._unjudged = 0

    def rested(self, standardised: F32) -> None:
        """A window of the machine at rest, (k,) standardised."""
        self._rest.append(standardised)

    def ran(self, seen: Seen, at_mono_ns: int) -> Finding | None:
        """A window of running; what it is a part of if that is a new condition."""
        self._recent.append(seen)
        self._unjudged += 1
        if self.finding is not None and len(self.gathered) < MOST_GATHERED:
            self.gathered.append(seen)
        if len(self._recent) == STRETCH and (self.finding is None or self._unjudged >= STRETCH):
            self._judge(at_mono_ns)
            self._unjudged = 0
        return self.finding

    def _judge(self, at_mono_ns: int) -> None:
        unexplained = sum(seen.over for seen in self._recent) >= MOST
        found = self._stretch() if unexplained else None
        if found is None or found.kind == "fault":
            self.finding = None
            self.gathered.clear()
        elif self.finding is None:
            self.finding, self.since_mono_ns = found, at_mono_ns
            self.gathered.extend(seen for seen in self._recent if seen.over)

    def _stretch(self) -> Finding:
        background = np.median(self._rest, axis=0) if len(self._rest) >= RESTED else None
        return self._conditions.judge(
            np.stack([seen.standardised for seen in self._recent]),
            [seen.speed_hz for seen in self._recent if seen.speed_hz is not None],
            background,
        )
