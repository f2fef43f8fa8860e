"""The demo's picture: trend with zones, score with threshold, spectrum, envelope spectrum with markers."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from appliance.desk.trend import Trend
from appliance.records import EventKind
from hw.evidence import Track
from hw.evidence_read import read_evidence

mpl.use("Agg")
F64 = NDArray[np.float64]

ZONES_MMS = (1.4, 2.8, 4.5)
"""A/B, B/C, C/D of ISO 10816-3:2009 values, group 2 (15–300 kW), rigid."""
_ZONE_COLOURS = ("#d9f0d3", "#f7f7d4", "#fde0c5", "#f9c9c9")
BEARING_ORDERS = {"BPFO": 3.585, "BPFI": 5.415, "2×BSF": 4.713, "FTF": 0.398}
"""6205-like: 9 balls of 7.94 mm on 39.04 mm."""
_ENVELOPE_HZ = (1800.0, 3000.0)
_SPECTRUM_S = 2.0


def draw(trend: Trend, evidence: Path, picture: Path, shaft_hz: float) -> None:
    """Write the picture. evidence: folder with what was kept at each alarm. Raises OSError."""
    figure = Figure(figsize=(13, 9), layout="constrained")
    axes = figure.subplots(2, 2)
    _trend(axes[0, 0], trend)
    _score(axes[0, 1], trend)
    first, last = _ends(evidence)
    _spectrum(axes[1, 0], first, last, shaft_hz)
    _envelope(axes[1, 1], first, last, shaft_hz)
    figure.suptitle("A simulated pump, learnt and worn: outer-race fault, Alert, trip")
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=110)


def _numbers(values: list[float | None]) -> F64:
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _trend(axes: Axes, trend: Trend) -> None:
    t_min = np.array(trend.t_s) / 60
    velocity = _numbers(trend.velocity_mms)
    top = max(6.0, float(np.nanmax(velocity, initial=0.0)) * 1.1)
    edges = (0.0, *ZONES_MMS, top)
    for zone, low, high, colour in zip("ABCD", edges, edges[1:], _ZONE_COLOURS, strict=False):
        axes.axhspan(low, high, color=colour)
        axes.text(0.995, (low + min(high, top)) / 2, zone, transform=axes.get_yaxis_transform(), ha="right")
    axes.plot(t_min, velocity, color="tab:blue", label="velocity RMS 10–1000 Hz, mm/s")
    axes.set(title="Trend (zones: ISO 10816-3:2009 values, group 2 rigid)", xlabel="machine time, min")
    axes.set(ylabel="mm/s RMS, worst axis", ylim=(0, top))
    other = axes.twinx()
    other.plot(t_min, _numbers(trend.rms_mps2), color="tab:purple", alpha=0.7, label="acceleration RMS, m/s²")
    other.set_ylabel("m/s² RMS")
    lines = [*axes.get_lines(), *other.get_lines()]
    axes.legend(handles=lines, loc="upper left")
    _marks(axes, trend)


def _score(axes: Axes, trend: Trend) -> None:
    axes.semilogy(np.array(trend.t_s) / 60, _numbers(trend.ratio), ".-", ms=3, label="score ÷ threshold")
    axes.axhline(1.0, color="tab:orange", ls="--", label="threshold (Alert)")
    axes.set(title="Learned score (int8 autoencoder)", xlabel="machine time, min", ylabel="× threshold")
    axes.legend(loc="upper left")
    axes.grid(visible=True, which="both", alpha=0.3)
    _marks(axes, trend)


def _marks(axes: Axes, trend: Trend) -> None:
    for t_s, event in trend.marks:
        if event.severity == "info":
            continue
        trip = event.kind is EventKind.TRIP
        colour = "tab:red" if event.severity == "critical" else "tab:orange"
        axes.axvline(t_s / 60, color=colour, lw=1.6 if trip else 0.9, ls="-" if trip else ":")
        if trip:
            axes.text(
                t_s / 60,
                0.02,
                "relay dropped ",
                color=colour,
                transform=axes.get_xaxis_transform(),
                ha="right",
            )


def _ends(evidence: Path) -> tuple[Track | None, Track | None]:
    """The first and the last alarm's waveform."""
    files = sorted(evidence.glob("*.npz"), key=lambda path: int(path.name.split("-")[0]))
    # An alarm just after a restart of analysis may have no waveform.
    tracks = [found.tracks[0] for found in map(read_evidence, files) if found.tracks]
    return (tracks[0], tracks[-1]) if tracks else (None, None)


def _worst_axis(track: Track, seconds: float) -> F64:
    """The last `seconds` of the axis with the largest RMS, m/s², mean removed."""
    n = min(len(track.counts), round(seconds * track.rate_hz))
    accel = track.counts[-n:].astype(np.float64) * track.scale_mps2
    accel -= accel.mean(axis=0)
    return np.asarray(accel[:, int(accel.std(axis=0).argmax())])


def _spectrum(axes: Axes, first: Track | None, last: Track | None, shaft_hz: float) -> None:
    for track, label in ((last, "after the trip"), (first, "at the first Alert")):
        if track is None:
            continue
        accel = _worst_axis(track, _SPECTRUM_S)
        lines = np.fft.rfft(accel * np.hanning(len(accel))) * 2 / np.hanning(len(accel)).sum() / np.sqrt(2)
        hz = np.fft.rfftfreq(len(accel), 1 / track.rate_hz)
        axes.semilogy(hz, np.maximum(np.abs(lines), 1e-5), lw=0.7, label=label)
    for order in (1, 2, 3):
        axes.axvline(order * shaft_hz, color="grey", lw=0.6, ls=":")
    axes.set(title=f"Spectrum (Hann, {_SPECTRUM_S:g} s; dotted: 1×–3×)", xlabel="Hz", ylabel="m/s² RMS")
    axes.legend(loc="upper right")


def _envelope(axes: Axes, first: Track | None, last: Track | None, shaft_hz: float) -> None:
    for track, label in ((last, "after the trip"), (first, "at the first Alert")):
        if track is None:
            continue
        hz, lines = envelope_spectrum(_worst_axis(track, 4 * _SPECTRUM_S), track.rate_hz)
        shown = hz <= 8 * shaft_hz * 2
        axes.plot(hz[shown], lines[shown] / max(float(lines[shown].max()), 1e-12), lw=0.8, label=label)
    for row, (name, order) in enumerate(sorted(BEARING_ORDERS.items(), key=lambda item: item[1])):
        for harmonic in (1, 2, 3) if name == "BPFO" else (1,):
            axes.axvline(
                harmonic * order * shaft_hz, color="tab:red" if name == "BPFO" else "grey", lw=0.8, ls="--"
            )
        axes.text(
            order * shaft_hz,
            1.01 + 0.03 * (row % 2),
            name,
            ha="center",
            fontsize=8,
            transform=axes.get_xaxis_transform(),
        )
    low, high = (f"{hz / 1e3:g}" for hz in _ENVELOPE_HZ)
    axes.set(xlabel="Hz", ylabel="of its own largest line", ylim=(0, 1.05))
    axes.set_title(f"Squared envelope spectrum, {low}–{high} kHz, bearing frequencies dashed", pad=22)
    axes.legend(loc="upper right")


def envelope_spectrum(accel: F64, rate_hz: float) -> tuple[F64, F64]:
    """Spectrum of the squared envelope of one axis in the resonance band: (Hz, amplitude)."""
    spectrum = np.fft.rfft(accel)
    hz = np.fft.rfftfreq(len(accel), 1 / rate_hz)
    band = (hz >= _ENVELOPE_HZ[0]) & (hz <= min(_ENVELOPE_HZ[1], 0.49 * rate_hz))
    one_sided = np.zeros(len(accel), np.complex128)
    one_sided[: len(spectrum)][band] = spectrum[band]
    squared = np.abs(np.fft.ifft(one_sided)) ** 2
    lines = np.abs(np.fft.rfft((squared - squared.mean()) * np.hanning(len(squared))))
    return np.asarray(hz, np.float64), np.asarray(lines, np.float64)
