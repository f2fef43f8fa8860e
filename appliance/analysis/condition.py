"""A fault, or only a way of running that was never learnt? Asked of a stretch the model cannot explain.

What tells them apart is physics, not the score. A condition changes with its cause: another speed, another
background heard while the machine is at rest, or a broad-band level that moves all bands and axes together.
A fault shows in impacts, in single lines and bands, or in a level that grows beyond what load explains. Where
neither is shown it counts as a fault: an Alert too many is the smaller harm.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from appliance.analysis.autoencoder import F32
from appliance.analysis.memory import SAME_SPEED, Memory
from appliance.analysis.standard import Standard

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from appliance.analysis.catalogue import Feature

OTHER_SPEED = 0.06
"""Farther than slip can move a shaft: another speed."""
IMPACTS = {"kurtosis": math.log(1.3), "crest": math.log(1.25), "envelope-kurtosis": math.log(1.3)}
"""Rise, ln, over anything learnt that says impacts: kurtosis from 3 to 4 is the classic sign."""
GROWN = math.log(2.0)
"""6 dB: a rise of the level beyond this counts as a change of health by common practice."""
COHERENT = 1.0
"""Mean shift of the bands over its scatter from which they have moved together."""
OTHER_BACKGROUND = 1 / 3
"""Share of the bands off by GROWN in which the machine at rest must sound another way.

Measured on a fan: 0–0.18 in one room, 0.57–0.79 between two."""
MOST_CLIPPED = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    """kind: `new` condition or `fault`; words: the evidence. sure: by its cause, not only by its looks."""

    kind: Literal["new", "fault"]
    words: str
    sure: bool = False


class Conditions:
    """What a baseline knows about the machine's ways of running."""

    def __init__(self, memory: Memory, standard: Standard, features: Sequence["Feature"]) -> None:
        self._memory = memory
        self._scale = standard.scale
        kinds = np.array([feature.kind for feature in features])
        self._bands: NDArray[np.bool_] = kinds == "band"
        self._levels: NDArray[np.bool_] = (kinds == "rms") | (kinds == "velocity")
        self._impacts = {kind: np.flatnonzero(kinds == kind) for kind in IMPACTS}

    def judge(self, Z: F32, speeds_hz: Sequence[float], background: F32 | None = None) -> Finding:
        """What a stretch of standardised windows, (n, k), that score too high most likely is.

        speeds_hz: of those windows where a speed was heard. background: (k,) standardised, of the machine
        at rest since the baseline was learnt, if it rested.
        """
        now = np.median(Z, axis=0)
        if impact := self._impact(now):
            return Finding("fault", impact)
        if words := self._other_speed(speeds_hz, len(Z)):
            return Finding("new", words, sure=True)
        if words := self._other_background(background):
            return Finding("new", words, sure=True)
        shift = self.shift(now)
        grown = float(shift[self._levels].max())
        if grown > GROWN:
            return Finding("fault", f"vibration {math.exp(grown):.1f}× the nearest condition learnt")
        bands = shift[self._bands]
        mean, scatter = float(bands.mean()), float(bands.std())
        if abs(mean) < COHERENT * scatter:
            return Finding("fault", "single bands moved, not the whole")
        return Finding("new", f"all bands at {math.exp(mean):.2f}× the nearest condition learnt, no impacts")

    def shift(self, now: F32) -> F32:
        """Difference of standardised features, (k,), to the nearest landmark, in ln of their own units."""
        away = np.abs(self._memory.landmarks - now)[:, self._bands]
        nearest = int(np.argmin(np.minimum(away, MOST_CLIPPED).mean(axis=1)))
        shift: F32 = (now - self._memory.landmarks[nearest]) * self._scale
        return shift

    def drifted(self, now: F32) -> str:
        """Why slow change, (k,) standardised, is too far from what was commissioned; "" if it is not."""
        if impact := self._impact(now):
            return impact
        shift = self.shift(now)
        risen = float(shift[self._bands | self._levels].max())
        return f"a band {math.exp(risen):.1f}× what was commissioned" if risen > GROWN else ""

    def _impact(self, now: F32) -> str:
        highest = self._memory.landmarks.max(axis=0)
        for kind, least in IMPACTS.items():
            columns = self._impacts[kind]
            rise = float(((now - highest) * self._scale)[columns].max()) if len(columns) else 0.0
            if rise > least:
                return f"impacts: {kind.replace('-', ' ')} {math.exp(rise):.1f}× the highest learnt"
        return ""

    def _other_speed(self, speeds_hz: Sequence[float], windows: int) -> str:
        """Most windows agree on a speed that was never learnt."""
        known = self._memory.speeds_hz
        if not known or len(speeds_hz) < max(3, windows / 2):
            return ""
        speed_hz = float(np.median(speeds_hz))
        agree = np.mean(np.abs(np.array(speeds_hz) / speed_hz - 1) < SAME_SPEED)
        if agree < 0.5 or min(abs(speed_hz / one - 1) for one in known) <= OTHER_SPEED:
            return ""
        heard = ", ".join(f"{one:.1f}" for one in known)
        return f"speed {speed_hz:.1f} Hz, learnt at {heard} Hz"

    def _other_background(self, background: F32 | None) -> str:
        learnt = self._memory.background
        if background is None or not len(learnt):
            return ""
        off = np.abs((background - learnt) * self._scale)[self._bands] > GROWN
        return "its surroundings sound another way while it rests" if off.mean() > OTHER_BACKGROUND else ""
