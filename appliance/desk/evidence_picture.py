"""The picture of one alarm: waveform with the trigger, spectrum and envelope spectrum with their markers."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from appliance.desk.evidence_file import Alarm
from appliance.desk.evidence_words import score_at
from appliance.desk.picture import envelope_spectrum
from appliance.errors import ApplianceError
from appliance.geometry import Geometry, Orders, orders
from hw.evidence import Track

F64 = NDArray[np.float64]

_SPECTRUM_S = 2.0
_ENVELOPE_S = 4.0
_MOST_POINTS = 20_000
_ORDERS = (1, 2, 3)


def draw(alarm: Alarm, picture: Path) -> None:
    """Write the picture. Raises ApplianceError."""
    drawn = figure(alarm)
    try:
        picture.parent.mkdir(parents=True, exist_ok=True)
        drawn.savefig(picture, dpi=110)
    except (OSError, ValueError) as fault:
        raise ApplianceError(
            f"{picture}: {fault}; expected a picture that can be written; name a .png"
        ) from fault


def figure(alarm: Alarm) -> Figure:
    """The picture of the alarm's own sensor, or of the first. Raises ApplianceError: no waveform."""
    sensor = str(alarm.meta.get("channel", "")).partition(".")[0]
    track = next((one for one in alarm.tracks if one.sensor == sensor), next(iter(alarm.tracks), None))
    if track is None:
        raise ApplianceError(f"{alarm.path}: no waveform; expected that of one sensor; nothing can be drawn")
    at_ns = int(alarm.meta.get("at_mono_ns", alarm.record.at_mono_ns))
    geometry = _geometry(alarm)
    shaft_hz = _shaft_hz(alarm, geometry, track.sensor, at_ns)
    drawn = Figure(figsize=(13, 9), layout="constrained")
    rows = drawn.subplots(3, 1)
    accel, t_s = _moving(track), _times_s(track, at_ns)
    _waveform(rows[0], track, accel, t_s)
    _spectrum(rows[1], track, accel, t_s, shaft_hz)
    _envelope(rows[2], track, accel, t_s, shaft_hz)
    bearing = geometry.bearing.get(track.sensor)
    if shaft_hz and bearing:
        _bearing_lines(rows[2], orders(bearing), shaft_hz)
    drawn.suptitle(str(alarm.meta.get("reason", alarm.path.name)))
    return drawn


def _moving(track: Track) -> F64:
    """Acceleration without its mean, m/s², shape (n, axes)."""
    accel = track.counts.astype(np.float64) * track.scale_mps2
    return np.asarray(accel - accel.mean(axis=0))


def _times_s(track: Track, at_ns: int) -> F64:
    """Seconds of each sample after the alarm; what is missing leaves its hole."""
    shift = np.zeros(len(track.counts))
    for gap in track.lost:
        shift[gap.after + 1 :] += gap.missing
    samples = np.arange(len(track.counts)) + shift
    return np.asarray((track.t0_mono_ns - at_ns) / 1e9 + samples / track.rate_hz)


def _waveform(axes: Axes, track: Track, accel: F64, t_s: F64) -> None:
    every = max(1, len(accel) // _MOST_POINTS)
    for axis, name in enumerate(track.axis_names):
        low, high = (_envelope_of(accel[:, axis], every, side) for side in (np.minimum, np.maximum))
        axes.fill_between(t_s[::every][: len(low)], low, high, lw=0.4, alpha=0.6, label=name)
    axes.axvline(0.0, color="tab:red", lw=1.4, label="alarm")
    axes.set(title=f"{track.sensor}, without its mean", xlabel="s after the alarm", ylabel="m/s²")
    axes.legend(loc="upper left")


def _envelope_of(signal: F64, every: int, side: np.ufunc) -> F64:
    """Smallest or largest of every so many samples, so that no peak is drawn away."""
    return np.asarray(side.reduceat(signal, np.arange(0, len(signal), every)))


def _parts(accel: F64, t_s: F64, seconds: float) -> Iterator[tuple[str, F64]]:
    """The first seconds after the alarm, and the first of all, of the axis that moves most."""
    axis = accel[:, int(accel.std(axis=0).argmax())]
    for label, begin_s in (("after the alarm", 0.0), (f"{-t_s[0]:.0f} s before it", float(t_s[0]))):
        part = axis[(t_s >= begin_s) & (t_s < begin_s + seconds)]
        if len(part) >= 2:
            yield label, np.asarray(part)


def _spectrum(axes: Axes, track: Track, accel: F64, t_s: F64, shaft_hz: float | None) -> None:
    for label, part in _parts(accel, t_s, _SPECTRUM_S):
        window = np.hanning(len(part))
        lines = np.abs(np.fft.rfft(part * window)) * np.sqrt(2.0) / window.sum()
        axes.semilogy(
            np.fft.rfftfreq(len(part), 1 / track.rate_hz), np.maximum(lines, 1e-5), lw=0.7, label=label
        )
    _orders(axes, shaft_hz)
    axes.set(title=f"Spectrum (Hann, {_SPECTRUM_S:g} s{_dotted(shaft_hz)})", xlabel="Hz", ylabel="m/s² RMS")
    axes.legend(loc="upper right")


def _envelope(axes: Axes, track: Track, accel: F64, t_s: F64, shaft_hz: float | None) -> None:
    for label, part in _parts(accel, t_s, _ENVELOPE_S):
        hz, lines = envelope_spectrum(part, track.rate_hz)
        shown = hz <= (16 * shaft_hz if shaft_hz else 500.0)
        axes.plot(hz[shown], lines[shown] / max(float(lines[shown].max()), 1e-12), lw=0.8, label=label)
    _orders(axes, shaft_hz)
    axes.set(
        title=f"Squared envelope spectrum{_dotted(shaft_hz)}", xlabel="Hz", ylabel="of its own largest line"
    )
    axes.legend(loc="upper right")


def _orders(axes: Axes, shaft_hz: float | None) -> None:
    for order in _ORDERS if shaft_hz else ():
        axes.axvline(order * (shaft_hz or 0.0), color="grey", lw=0.6, ls=":")


def _geometry(alarm: Alarm) -> Geometry:
    """What turns in the machine, as the configuration of then says."""
    try:
        return msgspec.convert(tomllib.loads(alarm.config.decode()).get("geometry", {}), Geometry)
    except (ValueError, msgspec.ValidationError) as fault:
        raise ApplianceError(
            f"{alarm.path}: config.toml: {fault}; expected [geometry] of this version; use that of then"
        ) from fault


def _shaft_hz(alarm: Alarm, geometry: Geometry, sensor: str, at_ns: int) -> float | None:
    """As measured in the window before the alarm, else the nameplate's where the speed does not vary."""
    score = score_at(alarm, at_ns)
    if score and score.sensor == sensor and "speed_hz" in score.metrics:
        return score.metrics["speed_hz"]
    return geometry.speed_rpm / 60.0 if geometry.speed_rpm and not geometry.top_speed_rpm else None


def _bearing_lines(axes: Axes, bearing: Orders | None, shaft_hz: float) -> None:
    if bearing is None:
        return
    lines = {"BPFO": bearing.bpfo, "BPFI": bearing.bpfi, "2×BSF": 2 * bearing.bsf, "FTF": bearing.ftf}
    for name, order in lines.items():
        axes.axvline(order * shaft_hz, color="tab:red", lw=0.8, ls="--")
        axes.text(order * shaft_hz, 0.95, name, fontsize=8, transform=axes.get_xaxis_transform(), rotation=90)


def _dotted(shaft_hz: float | None) -> str:
    return f"; dotted: 1×–3× of {shaft_hz:.2f} Hz" if shaft_hz else ""
