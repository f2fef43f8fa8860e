"""Follows one sensor's windows for a way of running that was never learnt, and gathers it."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from appliance.analysis.autoencoder import F32
from appliance.analysis.condition import Conditions, Finding

STRETCH = 8
"""Windows that are judged together."""
LEAST_RUN = 2 * STRETCH
"""Windows in a row that make an Alert at least: one stretch for a change of speed, one to be known."""
LONG = 4 * STRETCH
"""A condition that is gathered is judged by so many: impacts of one stretch come and go by chance."""
MOST = 6
"""So many of them over the threshold make a stretch that the model cannot explain."""
RESTED = 8
"""Windows at rest from which its surroundings are known."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One window of running: features (k,) in physical units, standardised (k,), speed if heard, verdict.

    level: as `commission.level_of`. lines: as `lines.Lines.figures`; empty where nobody read them.
    """

    features: F32
    standardised: F32
    speed_hz: float | None
    over: bool
    level: float = 0.0
    lines: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A new condition of which enough was gathered: somebody has to say whether it is normal."""

    finding: Finding
    since_mono_ns: int
    seen: tuple[Seen, ...]


class NoveltyWatch:
    """Known running until a stretch is judged a new condition; then gathers until it is known or a fault.

    waiting: kept while the machine runs in known ways again, until it is answered or a fault is found.
    """

    def __init__(self, conditions: Conditions, wanted: int) -> None:
        """wanted: windows of a new condition that are enough."""
        self._conditions = conditions
        self._wanted = wanted
        self._recent: deque[Seen] = deque(maxlen=STRETCH)
        self._within: deque[Seen] = deque(maxlen=LONG)
        self._rest: deque[F32] = deque(maxlen=8 * RESTED)
        self.finding: Finding | None = None
        self.since_mono_ns = 0
        self.gathered: list[Seen] = []
        self.waiting: Waiting | None = None
        self._refused = False
        self._held = False
        self._faults = 0
        self._unjudged = 0

    @property
    def gathering(self) -> bool:
        """Whether the next window is gathered, if it may be."""
        return self.finding is not None and self.waiting is None

    @property
    def progress(self) -> float:
        """Share gathered of what is enough, 0–1."""
        return 1.0 if self.waiting else min(1.0, len(self.gathered) / self._wanted)

    def words(self, now_mono_ns: int, hop_s: float) -> str:
        """Since when, on what evidence and how far a new condition has come; "" while there is none."""
        waits = "enough is gathered of a new condition: say with `appliance condition` whether it is normal"
        if self.finding is None:
            return waits if self.waiting else ""
        since_min = (now_mono_ns - self.since_mono_ns) / 60e9
        words = f"new operating condition for {since_min:.1f} min ({self.finding.words})"
        if self.waiting:
            return f"{words}; {waits}"
        if self._held:
            return f"{words}; nothing is gathered while an alarm stands or the zone is C or D"
        wanted_min = self._wanted * hop_s / 60
        return f"{words}; {self.progress * wanted_min:.1f} of {wanted_min:.1f} min gathered"

    def rested(self, standardised: F32) -> None:
        """A window of the machine at rest, (k,) standardised."""
        self._rest.append(standardised)

    def ran(self, seen: Seen, at_mono_ns: int, *, may_learn: bool = True) -> Finding | None:
        """A window of running; what it is a part of if that is a new condition.

        may_learn: windows while an alarm stands are judged, but not gathered.
        """
        self._recent.append(seen)
        self._within.append(seen)
        self._unjudged += 1
        self._held = not may_learn
        if not may_learn:
            self.gathered.clear()
        elif self.gathering and len(self.gathered) < self._wanted:
            self.gathered.append(seen)
        if len(self._recent) == STRETCH and (self.finding is None or self._unjudged >= STRETCH):
            self._judge(at_mono_ns)
            self._unjudged = 0
        return self.finding

    def answered(self) -> None:
        """What was gathered is learnt; nothing of it is kept."""
        self.gathered.clear()
        self.waiting = None

    def refuse(self) -> None:
        """Not normal: its scores count, until the machine runs in a way that is known."""
        self._refused = True
        self._leave()
        self.waiting = None

    def _judge(self, at_mono_ns: int) -> None:
        unexplained = sum(seen.over for seen in self._recent) >= MOST
        found = self._found(self._within if self.finding else self._recent) if unexplained else None
        self._refused = self._refused and found is not None
        if found is None or self._refused:
            self._leave()
        elif found.kind == "fault":
            self._fault()
        else:  # the stretch that began it was half of the way there: the latest says best what it is
            if self.finding is None:
                self.since_mono_ns = at_mono_ns
                self._within.clear()
            self.finding, self._faults = found, 0
            if self.waiting is None and len(self.gathered) >= self._wanted:
                self.waiting = Waiting(found, self.since_mono_ns, tuple(self.gathered))

    def _fault(self) -> None:
        """Believed of a condition, and of what waits, once it has lasted."""
        self._faults += 1
        if self.finding is None and self._faults >= LONG:
            self.waiting = None
        elif self.finding is not None and len(self._within) == LONG:
            self._leave()
            self.waiting = None

    def _leave(self) -> None:
        self.finding, self._faults = None, 0
        self.gathered.clear()

    def _found(self, stretch: "deque[Seen]") -> Finding:
        background = np.median(self._rest, axis=0) if len(self._rest) >= RESTED else None
        return self._conditions.judge(
            np.stack([seen.standardised for seen in stretch]),
            [seen.speed_hz for seen in stretch if seen.speed_hz is not None],
            background,
        )
