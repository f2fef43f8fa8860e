"""What of a running machine is gathered for a baseline, what is refused and why, how much more is needed."""

from collections import Counter, deque

import numpy as np

from appliance.analysis import steadiness
from appliance.analysis.commission import Gathered
from appliance.analysis.features import Extractor
from appliance.records import GuardState, Level, MachineState, Validity
from appliance.unit import with_unit

FIRST_WINDOWS = 40
"""A first model stands on so many; it is provisional, and its threshold says how unsure it is."""
SUSPECT_S = 10.0
"""What was gathered so shortly before an alarm or zone C is not trusted either: both come with a delay."""
MOST_NOT_OK = 0.25
_WATCHED = 20
_STATES = {
    MachineState.OFF: "the machine is off",
    MachineState.STARTING: "the machine is starting",
    MachineState.STOPPING: "the machine is stopping",
    MachineState.TRANSIENT: "its speed or load is changing",
    MachineState.UNKNOWN: "nothing is known of the machine yet",
}


def full_windows(learn_s: float, hop_s: float) -> int:
    """Windows of a mature baseline; below it a model learnt here is provisional."""
    return max(FIRST_WINDOWS, round(learn_s / hop_s))


def standing(state: GuardState, sensor: str, *, again: bool) -> str:
    """Why the guard's state forbids to learn this sensor now; "" if it does not.

    again: a person wants a new baseline, so what the model in force says does not count.
    """
    heard = [one for one in state.channels if not (again and one.channel.endswith(".score"))]
    worst = max(heard, key=lambda one: one.level, default=None)
    if worst is not None and worst.level is not Level.NORMAL:
        why = f" ({worst.reason})" if worst.reason else ""
        latched = ", latched" if worst.latched else ""
        return f"{worst.level.name.capitalize()}{latched} on {worst.channel}{why}; mend it or clear it first"
    for one in heard:
        if one.zone in ("C", "D") and one.channel.startswith(f"{sensor}."):
            level = "" if one.value is None else with_unit(f", {one.value:.1f}", one.unit)
            return f"vibration in zone {one.zone}{level}: a machine in C or D is not normal; mend it first"
    return ""


class Gathering:
    """Windows of one sensor for one baseline: they grow until `full`; the next learning is at `wanted`."""

    def __init__(self, sensor: str, extractor: Extractor, hop_s: float, full: int, wanted: int = 0) -> None:
        """wanted: windows until the next learning; 0: `full`."""
        self.gathered = Gathered(sensor)
        self._extractor = extractor
        self._hop_s = hop_s
        self.full = full
        self.wanted = wanted or full
        self.purpose = ""
        """What the next learning is for, in words."""
        self.refused = ""
        """Why the latest window was not taken; "" if it was."""
        self._standing = ""
        self._unusable: deque[Validity | None] = deque(maxlen=_WATCHED)
        self._seen = (0, "")

    @property
    def windows(self) -> int:
        """Windows gathered."""
        return len(self.gathered.rows)

    @property
    def progress(self) -> float:
        """Share of the windows wanted, 0–1."""
        return min(1.0, self.windows / self.wanted)

    def fits(self, extractor: Extractor, hop_s: float) -> bool:
        """Whether windows of this extractor can stand beside those gathered."""
        same = extractor.names == self._extractor.names and extractor.n == self._extractor.n
        return same and hop_s == self._hop_s

    def stand(self, why: str) -> None:
        """What of the guard's state forbids to learn, "" for nothing; the last windows go where it begins."""
        if why and not self._standing:
            self.gathered.cut(max(0, self.windows - round(SUSPECT_S / self._hop_s)), self.windows)
        self._standing = why

    def unusable(self, validity: Validity) -> None:
        """A window that is NOT OK."""
        self._unusable.append(validity)
        self.refused = f"the sensor is NOT OK ({_flags(validity)})"

    def takes(self, state: MachineState) -> bool:
        """Whether an OK window in this state of the machine is to be added; `refused` says why not."""
        self._unusable.append(None)
        bad = [one for one in self._unusable if one is not None]
        if self._standing:
            self.refused = self._standing
        elif state is not MachineState.RUNNING:
            self.refused = _STATES[state]
        elif len(bad) > MOST_NOT_OK * _WATCHED:
            worst = Counter(bad).most_common(1)[0][0]
            share = f"{len(bad)} of the last {len(self._unusable)} windows"
            self.refused = f"{share} NOT OK ({_flags(worst)}); mend the sensor"
        else:
            self.refused = ""
        return not self.refused and self.windows < self.full

    def unsteady(self) -> str:
        """What drifted in what was gathered; its older half is then forgotten. "" where it was steady."""
        if not self.gathered.rows:
            return ""
        words = steadiness.drift(np.stack(self.gathered.rows), self._extractor.features, self._hop_s)
        if words:
            self.forget_half()
        return words

    def forget_half(self) -> None:
        """Forget the older half."""
        self.gathered.cut(0, (self.windows + 1) // 2)

    def parts(self) -> list[Gathered]:
        """A copy of what was gathered, by way of running."""
        whole = self.gathered.only(range(self.windows))
        labels = steadiness.conditions(np.stack(whole.rows), self._extractor.features)
        parts = [whole.only([int(i) for i in np.flatnonzero(labels == one)]) for one in np.unique(labels)]
        for number, part in enumerate(parts, 1):
            part.name = f"{whole.name}, condition {number}" if len(parts) > 1 else whole.name
            if number > 1:
                part.rest.clear()
        return parts

    def words(self) -> str:
        """For a person: what is taken or refused, how much more is needed, the ways of running seen."""
        left_s = (self.wanted - self.windows) * self._hop_s
        count = f"{self.windows} of {self.wanted} windows{self.purpose}"
        if self.refused:
            return f"not now: {self.refused}; {count}"
        more = f"{left_s:.0f} s more of normal running" if left_s > 0 else "learning"
        return f"{count}, {more}{self._ways()}"

    def _ways(self) -> str:
        """The ways of running seen, looked at anew every few windows."""
        at = self.windows - self.windows % steadiness.CONDITION_WINDOWS
        if self._seen[0] != at:
            rows = self.gathered.rows
            seen = steadiness.conditions(np.stack(rows), self._extractor.features).max() + 1 if rows else 0
            self._seen = at, f"; {seen} ways of running" if seen > 1 else ""
        return self._seen[1]


def _flags(validity: Validity) -> str:
    flags = (flag.name.lower() for flag in Validity if flag and flag in validity and flag.name)
    return "+".join(flags) or "its clock or its values are not a sensor's"
