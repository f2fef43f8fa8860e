"""From lines and impacts to fault hypotheses, each with its evidence in words; never surer than it is.

Source: ISO 13373-3 (vibration diagnosis by orders), ISO 13379-1 (a hypothesis has a strength and evidence).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import log2, sqrt

import numpy as np

from appliance.analysis.impacts import SURE_DB, Impacts, Named
from appliance.analysis.lines import BLADE, IMPACTS, MESH, MESH_SIDEBANDS, NOISE, UNITS, Lines, name_of
from appliance.geometry import Geometry
from appliance.records import Hypothesis, Validity

Range = tuple[float, float]
Normal = Mapping[str, Range]
"""What each figure of `lines.Lines` was in normal running; empty while nothing is learnt."""

MOST = 3
WEAKEST, SUREST = 0.3, 0.95
"""Spectra never prove a fault."""
RAISED = 1.5
"""So many times the top of its normal a line must be, and LEAST_RISE_MMS more, to be called raised."""
LEAST_RISE_MMS = 0.15
ROUGH_MMS = 2.8
"""Where no normal is known, a line counts from zone C on: ISO 10816-3:2009, group 2, rigid."""
WITHOUT_NORMAL = 0.6
"""No hypothesis of the shaft is surer than this while nothing is learnt."""
PRESENT = 0.2
"""Share of 1× from which a harmonic counts as present while nothing is learnt."""
HARMONICS = tuple(float(k) for k in range(1, 11))
HALVES = (0.5, 1.5, 2.5)
LOUDER_IMPACTS = 2.0
"""Sound bearings knock a little too: impacts count from so many times what they were."""
LOUDER = 1.4
"""A floor so many times its normal is up; less is weather and load."""
MESH_LEAST_MPS2 = 0.3
LEAST_SIDEBANDS, MOST_SIDEBANDS = 0.15, 0.8
"""Sidebands over mesh. More than MOST_SIDEBANDS is no mesh, but a resonance that every order excites."""
LOOSE_HARMONICS = 4
MOSTLY_FIRST = 0.75
"""Where so much of the rise is 1×, what else rose is what 1× drives: supports are never quite linear."""

_VALIDITY = {
    Validity.GAP: (0.5, "samples are missing"),
    Validity.STUCK: (0.9, "an axis does not move"),
    Validity.CLIP: (0.5, "full scale is reached"),
    Validity.RANGE: (0.9, "it gives values that cannot be"),
    Validity.AGE: (0.9, "nothing comes from it"),
    Validity.GRAVITY: (0.9, "gravity has turned or vanished: it fell off or turned"),
    Validity.CLOCK: (0.8, "its clock is off"),
    Validity.LOST: (0.9, "it does not answer"),
}


def sensor_fault(validity: Validity) -> tuple[Hypothesis, ...]:
    """What a window that is NOT OK says of its sensor."""
    found = [told for flag, told in _VALIDITY.items() if flag in validity]
    if not found:
        return ()
    return (Hypothesis("sensor", max(one[0] for one in found), ", ".join(one[1] for one in found)),)


def normal_of(rows: Sequence[Mapping[str, float]]) -> dict[str, Range]:
    """The middle 95 % of each figure over the windows of normal running; those seldom there are left out."""
    names = dict.fromkeys(name for row in rows for name in row)
    normal: dict[str, Range] = {}
    for name in names:
        values = [row[name] for row in rows if name in row]
        if 2 * len(values) > len(rows):
            low, high = np.percentile(values, (2.5, 97.5))
            normal[name] = (float(low), float(high))
    return normal


def diagnose(
    lines: Lines,
    impacts: Impacts | None,
    normal: Normal,
    geometry: Geometry,
    *,
    compared: bool,
    axial: int | None = None,
) -> tuple[Hypothesis, ...]:
    """The strongest hypotheses, at most three; none where nothing is unusual.

    A hypothesis says how well a fault would explain what is measured; it is no measurement of the fault.

    Args:
        lines: of the windows' mean spectrum.
        impacts: in their envelopes.
        normal: what the figures of `lines` were while normal was learnt.
        geometry: of the machine.
        compared: whether the impacts were compared with the frequencies of a bearing.
        axial: row of `lines.by_axis_mms` that lies along the shaft.
    """
    found = _impacts(impacts, lines, normal, compared=compared)
    knocks = bool(found)
    found += _Shaft(lines, normal).hypotheses(axial)
    loose = any(one.fault == "looseness" for one in found)
    found += _gear(lines, normal, geometry, doubt=knocks or loose)
    found += _blades(lines, normal)
    if not knocks:
        surest = max((one.strength for one in found), default=0.0)
        found += _lubrication(lines, normal, doubt=surest >= WITHOUT_NORMAL)
    told = [one for one in found if one.strength >= WEAKEST]
    return tuple(sorted(told, key=lambda one: -one.strength)[:MOST])


def _impacts(impacts: Impacts | None, lines: Lines, normal: Normal, *, compared: bool) -> list[Hypothesis]:
    if impacts is None:
        return []
    named, family = impacts.named, impacts.named.family if impacts.named else impacts.family
    was = normal.get(IMPACTS)
    if was and family.level_mps2 < LOUDER_IMPACTS * was[1]:
        return []
    strength = (0.5 + 0.5 * min(1.0, (family.height_db - SURE_DB) / 8.0)) * (1.0 if was else 0.8)
    up = f"{family.height_db:.0f} dB over the floor; "
    up += changed("impacts", family.level_mps2, "m/s²", was if was and was[1] else None)
    if named is None:
        words = f"repeat at {family.hz:.1f} Hz"
        if lines.speed_hz is None:
            return [_hypothesis("impacts", 0.4 * strength, f"{words}; speed not certain, so not named; {up}")]
        name = "none of this bearing's" if compared else "give the bearing's geometry to name it"
        words += f" ({family.hz / lines.speed_hz:.2f}× shaft), {name}; {up}"
        return [_hypothesis("impacts", 0.8 * strength, words)]
    seen = ", ".join(f"{k}×" for k in family.seen)
    words = f"peaks at {seen} of {family.hz:.1f} Hz = {_match(named)}, {up}"
    return [_hypothesis(named.element, strength * _fit(named), words)]


def _fit(named: Named) -> float:
    """Less sure the further off, and where the sidebands that the element should have are not there."""
    off = 1.0 - 8.0 * abs(named.off)
    return off if named.element == "outer race" or named.sidebands_hz else 0.75 * off


def _match(named: Named) -> str:
    frequency = {"outer race": "BPFO", "inner race": "BPFI", "rolling element": "2×BSF"}[named.element]
    words = f"{frequency} within {max(0.1, abs(named.off) * 100):.1f} %"
    return f"{words}, sidebands ±{named.sidebands_hz:.1f} Hz" if named.sidebands_hz else words


@dataclass(slots=True)
class _Shaft:
    """The shaft's harmonics: which are raised, and how the rise is spread over them."""

    lines: Lines
    normal: Normal
    rise: dict[float, float] = field(default_factory=dict)
    """By harmonic: what came on top of normal, mm/s, in power."""

    def __post_init__(self) -> None:
        self.rise = {order: self._rise(name_of(order)) for order in (*HARMONICS, *HALVES)}

    def _rise(self, name: str) -> float:
        value = self.lines.figures.get(name, 0.0)
        if name in self.lines.shared:
            return 0.0
        if name not in self.normal:
            return value if value >= ROUGH_MMS or self._harmonic_present(value) else 0.0
        high = self.normal[name][1]
        raised = value > RAISED * high and value > high + LEAST_RISE_MMS
        return sqrt(value**2 - high**2) if raised else 0.0

    def _harmonic_present(self, value: float) -> bool:
        first = self.lines.figures.get("1×", 0.0)
        return first >= ROUGH_MMS and value >= PRESENT * first

    def hypotheses(self, axial: int | None) -> list[Hypothesis]:
        """Imbalance, misalignment, looseness."""
        whole = sum(self.rise[order] ** 2 for order in HARMONICS)
        if whole == 0.0:
            return []
        first = self.rise[1.0] ** 2 / whole
        coupled = (self.rise[2.0] ** 2 + self.rise[3.0] ** 2) / whole
        loose = self._looseness(0.5 if first >= MOSTLY_FIRST else 1.0)
        doubt = 0.4 if loose and first < MOSTLY_FIRST else 1.0
        found = [loose] if loose else []
        if first >= 0.6:
            words, radial = self._radial(axial)
            told = f"1× is {first:.0%} of the rise{words}; {self._changed('1×')}"
            found.append(_hypothesis("imbalance", doubt * first * radial * self._growth("1×"), told))
        if coupled >= 0.5:
            most = "2×" if self.rise[2.0] >= self.rise[3.0] else "3×"
            told = f"2× and 3× are {coupled:.0%} of the rise; {self._changed(most)}"
            found.append(_hypothesis("misalignment", doubt * coupled * self._growth(most), told))
        return found

    def _looseness(self, doubt: float) -> Hypothesis | None:
        high = [order for order in HARMONICS if order >= 4 and self.rise[order] > 0.0]
        halves = [order for order in HALVES if self.rise[order] > 0.0]
        if len(high) < (2 if halves else LOOSE_HARMONICS):
            return None
        strength = doubt * min(1.0, 0.3 + 0.1 * len(high) + (0.2 if halves else 0.0))
        strength *= 1.0 if name_of(high[0]) in self.normal else WITHOUT_NORMAL
        half = f" and {', '.join(map(name_of, halves))}" if halves else ""
        told = f"{len(high)} of the harmonics 4× to 10×{half} raised; {self._changed(name_of(high[0]))}"
        return _hypothesis("looseness", strength, told)

    def _radial(self, axial: int | None) -> tuple[str, float]:
        by_axis = self.lines.by_axis_mms
        if axial is None or by_axis is None or len(by_axis) <= axial or len(by_axis) < 2:
            return "", 1.0
        share = float(by_axis[axial, 0] / max(np.delete(by_axis[:, 0], axial).max(), 1e-9))
        return (", radial", 1.0) if share < 0.7 else (f", axial {share:.0%} of radial: bent?", 0.6)

    def _growth(self, name: str) -> float:
        """0.4 where it has just risen to 1 where it is five times its normal or more."""
        if name not in self.normal:
            return WITHOUT_NORMAL
        return _growth(self.lines.figures[name], self.normal[name][1])

    def _changed(self, name: str) -> str:
        return changed(f"{name} velocity", self.lines.figures[name], "mm/s", self.normal.get(name))


def changed(what: str, value: float, unit: str, normal: Range | None) -> str:
    """A figure in words: "1× velocity 9.8 mm/s, was 0.9–1.3 in normal running"."""
    text = f"{what} {value:.2g} {unit}"
    return f"{text}, was {normal[0]:.2g}–{normal[1]:.2g} in normal running" if normal else text


def _growth(value: float, high: float) -> float:
    return min(1.0, 0.3 + 0.3 * log2(max(1.0, value / max(high, 1e-9))))


def _gear(lines: Lines, normal: Normal, geometry: Geometry, *, doubt: bool) -> list[Hypothesis]:
    mesh, sidebands = lines.figures.get(MESH, 0.0), lines.figures.get(MESH_SIDEBANDS, 0.0)
    if not lines.mesh_order or lines.speed_hz is None or mesh < MESH_LEAST_MPS2:
        return []
    if geometry.teeth is None and sidebands > MOST_SIDEBANDS * mesh:
        return []
    if MESH in normal:
        was, beside = normal[MESH][1], normal[MESH_SIDEBANDS][1]
        if mesh < RAISED * was or sidebands < max(RAISED * beside, LEAST_SIDEBANDS * mesh):
            return []
        strength = 0.1 + _growth(mesh, max(was, 0.25 * MESH_LEAST_MPS2))
    elif sidebands >= 2 * LEAST_SIDEBANDS * mesh:
        strength = WITHOUT_NORMAL
    else:
        return []
    strength = min(strength, 1.0 if geometry.teeth else 0.6) * (0.25 if doubt else 1.0)
    hz = lines.mesh_order * lines.speed_hz
    what = f"gear mesh {lines.mesh_order}× = {hz:.0f} Hz" if geometry.teeth else f"tone {hz:.0f} Hz"
    was_there = MESH in normal and normal[MESH][1] > 0.0
    words = changed(what, mesh, UNITS[MESH], normal[MESH] if was_there else None)
    wanting = "" if geometry.teeth else f" ({lines.mesh_order}× shaft: are those the teeth?)"
    return [_hypothesis("gear", strength, f"{words}{wanting}; sidebands ±1×, ±2× {sidebands / mesh:.0%}")]


def _blades(lines: Lines, normal: Normal) -> list[Hypothesis]:
    value, was = lines.figures.get(BLADE, 0.0), normal.get(BLADE)
    if was is None or value < RAISED * was[1] or value < was[1] + LEAST_RISE_MMS:
        return []
    words = changed("blade pass velocity", value, "mm/s", was)
    return [_hypothesis("blade pass", _growth(value, was[1]), f"{words}: flow, clearance or a blade")]


def _lubrication(lines: Lines, normal: Normal, *, doubt: bool) -> list[Hypothesis]:
    value, was = lines.figures.get(NOISE), normal.get(NOISE)
    if value is None or was is None or value < LOUDER * was[1]:
        return []
    strength = min(0.7, 0.35 + 0.45 * log2(value / was[1])) * (0.4 if doubt else 1.0)
    louder = f"noise at high frequencies {value / was[1]:.1f}× its normal"
    words = f"{louder}, no impacts beside the shaft's; or the load rose"
    return [_hypothesis("lubrication", strength, words)]


def _hypothesis(fault: str, strength: float, words: str) -> Hypothesis:
    return Hypothesis(fault, round(min(strength, SUREST), 2), words)
