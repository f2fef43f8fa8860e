"""Impacts that repeat: the family of lines a local bearing fault leaves in the squared envelope's spectrum.

Source: Randall & Antoni, "Rolling element bearing diagnostics - a tutorial", MSSP 25 (2011); slip 1-2 %.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from appliance.analysis.bands import envelope_bands
from appliance.analysis.envelope import Envelope
from appliance.analysis.fft import C64
from appliance.analysis.spectrum import HANN_MEAN_SQUARE
from appliance.geometry import Orders

F64 = NDArray[np.float64]

LOWEST_BAND_HZ = 300.0
"""An envelope of a lower band shows the shaft's own harmonics beating with each other."""
SHAFT_ORDERS_BELOW = 10
"""For the same reason: a band begins above so many shaft orders."""
HARMONICS = 3
FLOOR_BINS = 40
CLIP_DB = 20.0
SLIP = 0.02
SPEED_UNCERTAINTY = 0.005
"""Of a measured speed, relative. A nameplate's is too large: two bearings' factors differ by less."""
NEAR_BINS = 1.6
SHAFT_BINS = 0.8
"""A line this near to a multiple of the shaft, and 0.2 % of its frequency, is the shaft's."""
SURE_DB = 7.0
"""Mean height of a family from which it is one. Measured on noise, 150 times: one window 6.0 at most."""
LINE_DB = 5.0
"""Height of one line from which it counts as seen."""
RIVAL = 1.2
"""A family so many times as high as one with its sidebands, and no part of it, forbids the name; without
sidebands any higher one does."""
LOPSIDED = 0.5
LOWEST_ORDER = 1.6
LOWEST_HZ, HIGHEST_HZ = 20.0, 330.0
"""Where impacts are sought when the speed is not known."""


class Family(NamedTuple):
    """f, 2f, 3f in the envelope. height_db: mean over the floor. seen: which harmonics stand out.

    level_mps2: how large a modulation at f is, as an amplitude of acceleration.
    """

    hz: float
    height_db: float
    seen: tuple[int, ...]
    level_mps2: float


class Named(NamedTuple):
    """A family at a frequency of the bearing. off: found over expected, less 1. sidebands_hz: 0 if none."""

    element: str
    family: Family
    expected_hz: float
    off: float
    sidebands_hz: float


@dataclass(frozen=True, slots=True)
class Impacts:
    """family: the highest that the shaft does not explain, None where there is none. named: see `named`."""

    band_hz: tuple[float, float]
    family: Family
    named: Named | None

    @property
    def height_db(self) -> float:
        """Of the named family, else of the highest."""
        return (self.named.family if self.named else self.family).height_db


class EnvelopeSpectra:
    """The bands of one rate and window length in which impacts are sought."""

    def __init__(self, rate_hz: float, n: int) -> None:
        self._bands = [band for band in envelope_bands(rate_hz, n) if band[0] >= LOWEST_BAND_HZ]
        self._envelopes = [Envelope(band, rate_hz, n) for band in self._bands]
        self._bin_hz = rate_hz / n
        self._known: list[tuple[C64, list[F64]]] = []

    def find(self, hann: Sequence[C64], speed_hz: float | None, orders: Orders | None) -> Impacts | None:
        """Impacts in several windows' Hann spectra, of the band that names them, or shows them best.

        speed_hz: as measured; without it, or the bearing's orders, nothing is named.
        """
        self._known = [(one, self._modulations(one)) for one in hann]
        found: list[Impacts] = []
        for index, band in enumerate(self._bands):
            if speed_hz is not None and band[0] < SHAFT_ORDERS_BELOW * speed_hz:
                continue
            squared = np.mean([modulations[index] for _, modulations in self._known], axis=0)
            spectrum = _Spectrum(squared, self._bin_hz, speed_hz)
            family = spectrum.highest()
            if family is not None and family.height_db >= SURE_DB:
                found.append(Impacts(band, family, _named(spectrum, family, speed_hz, orders)))
        return max(found, key=lambda one: (one.named is not None, one.height_db), default=None)

    def _modulations(self, hann: C64) -> list[F64]:
        """Of each band, (axes, bins), in power; not worked out again for the next call."""
        for known, modulations in self._known:
            if known is hann:
                return modulations
        return [np.square(envelope.modulation(hann), dtype=np.float64) for envelope in self._envelopes]


class _Spectrum:
    """Modulations in dB over their local floor, with the lines of the shaft taken out."""

    def __init__(self, squared: F64, bin_hz: float, speed_hz: float | None) -> None:
        """squared: power of the squared envelope's modulations, (axes, bins); each axis counts as much."""
        power = np.mean(squared / np.maximum(squared[:, :1], 1e-30), axis=0)
        self._mean_square = float(np.sqrt(squared[:, 0].max())) / HANN_MEAN_SQUARE
        self.bin_hz = bin_hz
        self._speed_hz = speed_hz
        self.db: F64 = 10 * np.log10(np.maximum(power, 1e-20) / _floor(power))
        self.db[:5] = 0.0  # the squared window
        inner = self.db[1:-1]
        at = np.flatnonzero((inner > self.db[:-2]) & (inner >= self.db[2:]) & (inner > 0)) + 1
        below, centre, above = self.db[at - 1], self.db[at], self.db[at + 1]
        self._hz: F64 = (at + (below - above) / (2 * (below - 2 * centre + above))) * bin_hz
        self._power: F64 = power[at]
        self._height: F64 = np.minimum(centre, CLIP_DB)
        self._shaft = self._of_shaft(self._hz)

    @property
    def top_hz(self) -> float:
        return (len(self.db) - 2) * self.bin_hz

    def _of_shaft(self, hz: F64) -> NDArray[np.bool_]:
        if self._speed_hz is None:
            return np.zeros(len(hz), np.bool_)
        order = np.maximum(np.round(hz / self._speed_hz), 1)
        return np.asarray(np.abs(hz - order * self._speed_hz) < SHAFT_BINS * self.bin_hz + 0.002 * hz)

    def line(self, hz: float, within: float) -> tuple[float, float] | None:
        """Frequency and height of the highest line within so many Hz that is not the shaft's."""
        near = np.flatnonzero((np.abs(self._hz - hz) <= within) & ~self._shaft)
        if not len(near):
            return None
        best = near[np.argmax(self._height[near])]
        return float(self._hz[best]), float(self._height[best])

    def family(self, hz: float, within: float) -> Family | None:
        """The family whose first line is within so many Hz of `hz`, its frequency from all lines seen.

        Harmonics at multiples of the shaft cannot be told from it and are left out of the mean.
        """
        first = self.line(hz, within)
        if first is None or first[1] < LINE_DB:
            return None
        heights, estimates, seen = [first[1]], [first[0]], [1]
        for k in range(2, HARMONICS + 1):
            expected = k * first[0]
            if expected > self.top_hz or self._of_shaft(np.array([expected]))[0]:
                continue
            found = self.line(expected, (NEAR_BINS + 0.5 * k) * self.bin_hz)
            heights.append(found[1] if found else 0.0)
            if found and found[1] >= LINE_DB:
                seen.append(k)
                estimates.append(found[0] / k)
        if len(seen) < 2:
            return None
        return Family(float(np.mean(estimates)), float(np.mean(heights)), tuple(seen), self._level(first[0]))

    def _level(self, hz: float) -> float:
        depth = float(np.sqrt(self._power[np.argmin(np.abs(self._hz - hz))]))
        return float(np.sqrt(2 * depth * self._mean_square))

    def lopsided(self, hz: float, side_hz: float) -> float:
        """How far the middle of the power of a line and two sidebands each side is off the line, in sides."""
        total = moment = 0.0
        for step in (-2, -1, 0, 1, 2):
            near = (np.abs(self._hz - hz - step * side_hz) <= NEAR_BINS * self.bin_hz) & ~self._shaft
            power = float(self._power[near].max(initial=0.0))
            total, moment = total + power, moment + step * power
        return abs(moment) / max(total, 1e-30)

    def highest(self) -> Family | None:
        """The highest family that the shaft does not explain."""
        low = LOWEST_ORDER * self._speed_hz if self._speed_hz else LOWEST_HZ
        high = self.top_hz / 2 if self._speed_hz else min(HIGHEST_HZ, self.top_hz / 2)
        starts = (self._hz >= low) & (self._hz <= high) & (self._height >= LINE_DB) & ~self._shaft
        families = [self.family(float(hz), 0.0) for hz in self._hz[starts]]
        return max((one for one in families if one), key=lambda one: one.height_db, default=None)

    def sidebands(self, family: Family, side_hz: float) -> int:
        """How many of the lines beside f and 2f, at ± side_hz, are seen; of 4."""
        places = [k * family.hz + sign * side_hz for k in (1, 2) for sign in (-1, 1)]
        lines = [self.line(hz, NEAR_BINS * self.bin_hz) for hz in places]
        return sum(1 for line in lines if line and line[1] >= LINE_DB)


def _floor(power: F64) -> F64:
    """Local median, (bins,), the squared window's own bins left out."""
    usable = power[5:]
    blocks = max(1, len(usable) // FLOOR_BINS)
    width = len(usable) // blocks
    middles = np.median(usable[: blocks * width].reshape(blocks, width), axis=1)
    at = 5 + (np.arange(blocks) + 0.5) * width
    return np.maximum(np.interp(np.arange(len(power)), at, middles), 1e-20)


def _named(
    spectrum: _Spectrum, highest: Family, speed_hz: float | None, orders: Orders | None
) -> Named | None:
    """The bearing's element whose frequencies the impacts have; None where none has, or two might."""
    if orders is None or speed_hz is None:
        return None
    tolerance = SLIP + SPEED_UNCERTAINTY
    expected = {
        "outer race": (orders.bpfo * speed_hz, 0.0),
        "inner race": (orders.bpfi * speed_hz, speed_hz),
        "rolling element": (2 * orders.bsf * speed_hz, orders.ftf * speed_hz),
    }
    found = []
    for element, (hz, side_hz) in expected.items():
        family = spectrum.family(hz, max(tolerance * hz, spectrum.bin_hz))
        if family is None or family.height_db < SURE_DB:
            continue
        sidebands = side_hz if side_hz and spectrum.sidebands(family, side_hz) >= 2 else 0.0
        if element == "rolling element" and not sidebands:
            continue  # a ball's spot is in the load zone only once a turn of the cage
        rival = RIVAL * family.height_db if sidebands else family.height_db
        if highest.height_db > rival and not _part_of(highest.hz, family.hz, sidebands):
            continue
        if sidebands and spectrum.lopsided(family.hz, side_hz) > LOPSIDED:
            continue  # a sideband of something else
        found.append(Named(element, family, hz, family.hz / hz - 1, sidebands))
    return max(found, key=lambda one: one.family.height_db, default=None)


def _part_of(hz: float, family_hz: float, side_hz: float) -> bool:
    """Whether a line is a harmonic of the family or one of its sidebands."""
    places = [k * family_hz + m * side_hz for k in (1, 2, 3) for m in (-2, -1, 0, 1, 2)]
    return any(abs(hz - place) < 0.01 * family_hz for place in places)
