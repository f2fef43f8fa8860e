"""The catalogue of features: what each is called, in which unit, and how a model may compare it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from appliance.analysis.bands import Band, bins_of, envelope_bands, log_bands, velocity_band
from appliance.analysis.spectrum import FLOOR_MPS2

MOMENT_MIN_SAMPLES = 20
"""Below, crest factor and higher moments are mostly chance."""
SHAPE_MIN_BINS = 8
"""Below, a spectrum has no shape to speak of."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One element of a feature vector.

    log: compared as ln(max(value, floor)) because it is positive and its changes are ratios.
    floor: smallest value that means anything, in `unit`.
    min_scale: smallest spread of normal a model may assume, in ln units where `log`, else in `unit`.
    """

    name: str
    axis: str
    kind: str
    band_hz: Band | None
    unit: str
    log: bool
    floor: float
    min_scale: float


class _Trait(NamedTuple):
    unit: str
    log: bool
    floor: float
    min_scale: float
    words: str


_TRAITS = {
    "rms": _Trait("m/s²", True, FLOOR_MPS2, 0.1, "RMS"),
    "peak": _Trait("m/s²", True, FLOOR_MPS2, 0.1, "peak"),
    "crest": _Trait("", True, 1.0, 0.05, "crest factor"),
    "kurtosis": _Trait("", True, 1.0, 0.05, "kurtosis"),
    "skewness": _Trait("", False, 0.0, 0.1, "skewness"),
    "velocity": _Trait("mm/s", True, 1e-3, 0.1, "velocity"),
    "centroid": _Trait("Hz", True, 1e-2, 0.05, "spectral centroid"),
    "spread": _Trait("Hz", True, 1e-2, 0.05, "spectral spread"),
    "flatness": _Trait("", True, 1e-6, 0.1, "spectral flatness"),
    "entropy": _Trait("", False, 0.0, 0.02, "spectral entropy"),
    "envelope": _Trait("m/s²", True, FLOOR_MPS2, 0.1, "envelope"),
    "envelope-kurtosis": _Trait("", True, 1.0, 0.05, "envelope kurtosis"),
    "envelope-line": _Trait("", True, 1.0, 0.1, "envelope line"),
    "band": _Trait("m/s²", True, FLOOR_MPS2, 0.1, "band"),
}


def catalogue(axis: str, rate_hz: float, n: int) -> tuple[Feature, ...]:
    """The features of one axis that this rate and window length can carry, in the order of a vector."""
    return tuple(_feature(axis, kind, band) for kind, band in _carried(rate_hz, n))


def describe(name: str) -> str:
    """A feature's name in words for a technician: "axis y, 2.1–4.2 kHz envelope".

    Raises:
        ValueError: not the name of a feature.
    """
    axis, _, rest = name.partition(".")
    kind, _, band = rest.partition(".")
    if kind not in _TRAITS or not axis:
        raise ValueError(
            f"{name!r} is not a feature's name, expected AXIS.KIND or AXIS.KIND.LOW-HIGH; see FEATURES.md"
        )
    words = _TRAITS[kind].words
    if not band:
        return f"axis {axis}, {words}"
    hertz = _hertz(band)
    return f"axis {axis}, velocity {hertz}" if kind == "velocity" else f"axis {axis}, {hertz} {words}"


def _carried(rate_hz: float, n: int) -> Iterator[tuple[str, Band | None]]:
    yield "rms", None
    yield "peak", None
    if n >= MOMENT_MIN_SAMPLES:
        yield from (("crest", None), ("kurtosis", None), ("skewness", None))
    velocity = velocity_band(rate_hz, n)
    if velocity:
        yield "velocity", velocity
    bands = log_bands(rate_hz, n)
    if bands:
        first, last = bins_of((bands[0][0], bands[-1][1]), rate_hz, n)
        if last - first >= SHAPE_MIN_BINS:
            yield from (("centroid", None), ("spread", None), ("flatness", None), ("entropy", None))
    for band in envelope_bands(rate_hz, n):
        yield from (("envelope", band), ("envelope-kurtosis", band), ("envelope-line", band))
    for band in bands:
        yield "band", band


def _feature(axis: str, kind: str, band_hz: Band | None) -> Feature:
    trait = _TRAITS[kind]
    name = f"{axis}.{kind}" if band_hz is None else f"{axis}.{kind}.{_plain(band_hz[0])}-{_plain(band_hz[1])}"
    return Feature(name, axis, kind, band_hz, trait.unit, trait.log, trait.floor, trait.min_scale)


def _plain(value: float) -> str:
    return str(int(value)) if value == int(value) else str(value)


def _hertz(band: str) -> str:
    low, _, high = band.partition("-")
    if float(high) < 1000 or float(low) < 100:
        return f"{low}–{high} Hz"
    return f"{_plain(float(low) / 1000)}–{_plain(float(high) / 1000)} kHz"
