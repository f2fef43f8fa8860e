"""Features: one window in, one vector out. `docs/FEATURES.md` tells what each is for.

Which features there are depends only on rate and window length: what these cannot carry is absent, never 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from appliance.analysis.bands import RATE_LIMIT, envelope_bands, log_bands, velocity_band
from appliance.analysis.catalogue import Feature, catalogue
from appliance.analysis.envelope import Envelope
from appliance.analysis.fft import C64, F32
from appliance.analysis.spectrum import Bands, Velocity, hann_spectrum, power
from appliance.analysis.speed import speed_hz
from appliance.analysis.waveform import centred, statistics

RATE_TOLERANCE = 0.005
"""Relative change of the measured rate from which the tables are rebuilt."""
MIN_SAMPLES = 5


@dataclass(frozen=True, slots=True)
class Analysed:
    """One window, analysed. features: shape (k,); power: mean square per bin, m²/s⁴, shape (axes, bins).

    hann: the spectrum itself, as `hann_spectrum` gives it.
    """

    features: F32
    power: F32
    hann: C64
    rate_hz: float
    n: int


class _Tables:
    """Everything that depends on the measured rate; the bands themselves stay those of the nominal rate."""

    def __init__(self, nominal_hz: float, n: int, rate_hz: float) -> None:
        bands, velocity = log_bands(nominal_hz, n), velocity_band(nominal_hz, n)
        self.rate_hz = rate_hz
        self.bands = Bands(bands, rate_hz, n) if bands else None
        self.velocity = Velocity(velocity, rate_hz, n) if velocity else None
        self.envelopes = [Envelope(band, rate_hz, n) for band in envelope_bands(nominal_hz, n)]


class Extractor:
    """Turns windows of one sensor into feature vectors. Pure but for tables that follow the measured rate.

    features, names: what each element of a vector is, in order; the same for every window of this sensor.
    """

    def __init__(self, rate_hz: float, n: int, axis_names: Sequence[str] = ("x", "y", "z")) -> None:
        """For windows of `n` samples at the nominal `rate_hz`, one axis per name.

        Raises:
            ValueError: rate not positive, fewer than 5 samples, axis names empty, doubled or with a dot.
        """
        if not (np.isfinite(rate_hz) and rate_hz > 0):
            raise ValueError(
                f"sample rate is {rate_hz} Hz, expected a positive number; correct the sensor's rate"
            )
        if n < MIN_SAMPLES:
            raise ValueError(
                f"a window of {n} samples, expected at least {MIN_SAMPLES}; choose a longer window"
            )
        named = bool(axis_names) and all(name and "." not in name for name in axis_names)
        if not named or len(set(axis_names)) != len(axis_names):
            raise ValueError(f"axis names are {list(axis_names)}, expected different names without dots")
        self.rate_hz = rate_hz
        self.n = n
        self.axis_names = tuple(axis_names)
        per_axis = [catalogue(axis, rate_hz, n) for axis in self.axis_names]
        self.features: tuple[Feature, ...] = tuple(feature for axis in per_axis for feature in axis)
        self.names: tuple[str, ...] = tuple(feature.name for feature in self.features)
        self._column = {feature.name.partition(".")[2]: i for i, feature in enumerate(per_axis[0])}
        self._velocity = next(
            (i for i, feature in enumerate(per_axis[0]) if feature.kind == "velocity"), None
        )
        self._tables = _Tables(rate_hz, n, rate_hz)

    def __call__(self, accel: F32, rate_hz: float | None = None) -> F32:
        """Feature vector, shape (k,), of `accel`, shape (axes, n), m/s². Raises as `analyse` does."""
        return self.analyse(accel, rate_hz).features

    def analyse(self, accel: F32, rate_hz: float | None = None) -> Analysed:
        """Features and spectrum of `accel`, shape (axes, n), m/s², gravity included.

        rate_hz: measured rate of this window; nominal if None.

        Raises:
            ValueError: wrong shape, NaN, infinity, values beyond 1e6 m/s², a rate more than 10 % off nominal.
        """
        if accel.shape != (len(self.axis_names), self.n):
            raise ValueError(
                f"window has shape {accel.shape}, expected {(len(self.axis_names), self.n)}; cut it so"
            )
        tables = self._tables_for(self.rate_hz if rate_hz is None else rate_hz)
        free = centred(accel)
        time = statistics(free)
        columns: list[F32] = list(time) if "crest" in self._column else [time.rms_mps2, time.peak_mps2]
        hann = hann_spectrum(free)
        power_per_bin = power(hann)
        if tables.velocity:
            columns.append(tables.velocity.rms_mms(power_per_bin))
        banded: list[F32] = []
        if tables.bands:
            mean_square = tables.bands.mean_square(power_per_bin)
            banded.append(np.sqrt(mean_square))
            if "centroid" in self._column:
                columns += tables.bands.shape(power_per_bin, mean_square.sum(axis=1))
        for envelope in tables.envelopes:
            columns += envelope(hann)
        features = np.concatenate([np.stack(columns, axis=1), *banded], axis=1).ravel()
        return Analysed(features, power_per_bin, hann, tables.rate_hz, self.n)

    def metrics(
        self, analysed: Analysed, nameplate_hz: float | None = None, top_hz: float | None = None
    ) -> dict[str, float]:
        """Figures for a dashboard, each of its worst axis; absent what this rate and window cannot carry.

        vib_rms_mps2, vib_peak_mps2, vib_crest, vib_kurt, vib_vel_mms, and speed_hz where it is certain.
        """
        worst = analysed.features.reshape(len(self.axis_names), -1).max(axis=0)
        columns = {key: self._column.get(kind) for key, kind in _DASHBOARD.items()} | {
            "vib_vel_mms": self._velocity
        }
        figures = {key: float(worst[column]) for key, column in columns.items() if column is not None}
        speed = speed_hz(analysed.power, analysed.rate_hz / analysed.n, nameplate_hz, top_hz)
        return figures if speed is None else figures | {"speed_hz": speed}

    def _tables_for(self, rate_hz: float) -> _Tables:
        if not abs(rate_hz / self.rate_hz - 1) <= RATE_LIMIT:
            raise ValueError(
                f"measured rate is {rate_hz:g} Hz, expected {self.rate_hz:g} within {RATE_LIMIT:.0%}; "
                "correct the configured rate, or treat the sensor's clock as NOT OK"
            )
        if abs(rate_hz / self._tables.rate_hz - 1) > RATE_TOLERANCE:
            self._tables = _Tables(self.rate_hz, self.n, rate_hz)
        return self._tables


_DASHBOARD = {"vib_rms_mps2": "rms", "vib_peak_mps2": "peak", "vib_crest": "crest", "vib_kurt": "kurtosis"}
