"""Physics of the spectrum: what a tone, a drift, a knock and a bearing read as."""

from itertools import pairwise

import numpy as np
import pytest

from appliance.analysis.bands import envelope_bands, log_bands, velocity_band
from appliance.analysis.features import Extractor
from appliance.analysis.spectrum import hann_spectrum, power
from appliance.analysis.waveform import centred

G = 9.80665
RATE_HZ = 3200
N = 4096
T = np.arange(N) / RATE_HZ


def velocity_mms(accel, rate_hz=RATE_HZ):
    extractor = Extractor(rate_hz, len(accel), ("x",))
    (column,) = [i for i, feature in enumerate(extractor.features) if feature.kind == "velocity"]
    return float(extractor(accel.astype(np.float32)[None])[column])


def acceleration(velocity_rms_mms, f_hz, phase):
    """Of a tone of this velocity, m/s²."""
    return velocity_rms_mms * 1e-3 * np.sqrt(2) * 2 * np.pi * f_hz * np.sin(2 * np.pi * f_hz * T + phase)


@pytest.mark.parametrize(
    ("f_hz", "bias", "worst"),
    [(12, 0.005, 0.06), (25, 0.003, 0.02), (400, 0.003, 0.004), (900, 0.003, 0.004), (985, 0.003, 0.004)],
)
def test_velocity_of_a_tone_on_gravity_and_noise(f_hz, bias, worst):
    """Integration in time (trapezoid) would read 39 % low at 900 Hz."""
    rng = np.random.default_rng(round(f_hz))
    read = [
        velocity_mms(
            acceleration(2.8, f_hz * (1 + rng.uniform(-0.004, 0.004)), phase) + G + rng.normal(0, 0.02, N)
        )
        for phase in rng.uniform(0, 2 * np.pi, 40)
    ]
    assert abs(np.mean(read) / 2.8 - 1) <= bias
    assert np.max(np.abs(np.array(read) / 2.8 - 1)) <= worst


def test_half_of_a_line_on_the_band_edge_is_outside():
    """The price of a brick wall: 10.16 Hz is inside, 9 Hz is not, 10 Hz loses part of its lobe."""
    assert 0.7 < velocity_mms(acceleration(2.8, 10, 1.0)) / 2.8 < 0.95
    assert velocity_mms(acceleration(2.8, 6, 1.0)) < 0.02 * 2.8
    assert velocity_mms(acceleration(2.8, 1010, 1.0)) < 0.02 * 2.8


def test_a_drift_is_no_velocity_but_a_knock_is():
    drift = 0.02 * G * T / T[-1]
    assert velocity_mms(drift + G) < 0.005
    step = 0.05 * G * (T[N // 2] < T)
    assert velocity_mms(step) == pytest.approx(0.48, rel=0.2)


@pytest.mark.parametrize("n", [5, 6, 127, 128, 4095, 4096])
def test_power_adds_up_to_the_mean_square_under_the_window(n):
    accel = np.random.default_rng(n).normal(3, 1, (2, n)).astype(np.float32)
    free = centred(accel)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
    hann = hann_spectrum(free)
    assert np.allclose(hann, np.fft.rfft(free * window) / n, atol=2e-6)
    per_bin = power(hann).astype(np.float64)
    per_bin[:, 0] /= 2
    if n % 2 == 0:
        per_bin[:, -1] /= 2
    assert np.allclose(per_bin.sum(axis=1), np.mean((free * window) ** 2, axis=1) * 8 / 3, rtol=1e-5)


def test_bands_share_every_line_without_loss():
    """Wherever a line stands, the bands together hold its mean square; at an edge both sides hold half."""
    extractor = Extractor(RATE_HZ, N, ("x",))
    edges = [feature.band_hz for feature in extractor.features if feature.kind == "band"]
    for f_hz in (60, 123.4, 555, 999, *(high for _, high in edges[15:-1])):
        vector = extractor((2 * np.sin(2 * np.pi * f_hz * T)).astype(np.float32)[None])
        levels = vector[-len(edges) :]
        assert np.sqrt(np.sum(levels**2)) == pytest.approx(np.sqrt(2), rel=1e-3)
        home = next(i for i, (low, high) in enumerate(edges) if low <= f_hz < high)
        assert levels[home] >= 0.69 * np.sqrt(2)


def test_a_line_that_drifts_over_an_edge_moves_gradually():
    extractor = Extractor(RATE_HZ, N, ("x",))
    edges = [feature.band_hz for feature in extractor.features if feature.kind == "band"]
    edge = edges[20][1]
    logs = [
        np.log(extractor(np.sin(2 * np.pi * edge * k * T).astype(np.float32)[None])[-len(edges) :][20:22])
        for k in np.linspace(0.98, 1.02, 9)
    ]
    assert np.max(np.abs(np.diff(logs, axis=0))) < 0.1


def test_a_bearing_shows_in_its_octave_before_the_kurtosis_and_as_a_line():
    rate_hz, n = 25600, 32768
    t = np.arange(n) / rate_hz
    rng = np.random.default_rng(0)
    since = np.mod(t, 1 / 88.4)
    fault = 2.0 * np.exp(-600 * since) * np.sin(2 * np.pi * 3500 * since)
    healthy = rng.normal(0, 0.5, n) + 5 * np.sin(2 * np.pi * 24.7 * t)
    extractor = Extractor(rate_hz, n, ("x",))
    before = dict(zip(extractor.names, extractor(healthy.astype(np.float32)[None]), strict=True))
    after = dict(zip(extractor.names, extractor((healthy + fault).astype(np.float32)[None]), strict=True))
    assert after["x.kurtosis"] == pytest.approx(before["x.kurtosis"], rel=0.03)
    assert after["x.envelope-line.2880-5760"] > 4 * before["x.envelope-line.2880-5760"]
    assert after["x.envelope-kurtosis.2880-5760"] > 1.2 * before["x.envelope-kurtosis.2880-5760"]
    assert before["x.envelope-kurtosis.2880-5760"] == pytest.approx(2, rel=0.05)
    assert after["x.envelope-line.720-1440"] < 2 * before["x.envelope-line.720-1440"]


def test_a_strong_low_line_does_not_leak_into_the_envelopes():
    """Without a window the step between the window's two ends would ring in every octave."""
    rate_hz, n = 20000, 5000
    t = np.arange(n) / rate_hz
    extractor = Extractor(rate_hz, n, ("x",))
    vector = extractor((20 * np.sin(2 * np.pi * 26 * t + 0.4)).astype(np.float32)[None])
    envelopes = [v for v, f in zip(vector, extractor.features, strict=True) if f.kind == "envelope"]
    assert max(envelopes) < 1e-3


@pytest.mark.parametrize("rate_hz", [50, 73.1, 200, 1000, 3332, 26700, 100_000])
@pytest.mark.parametrize("window_s", [0.1, 0.5, 1.28, 10])
def test_bands_adjoin_and_each_holds_its_bins(rate_hz, window_s):
    n = round(rate_hz * window_s)
    bands = log_bands(rate_hz, n)
    assert 1 <= len(bands) <= 32
    assert all(a[1] == b[0] for a, b in pairwise(bands))
    assert bands[-1][1] == pytest.approx(0.45 * rate_hz, rel=0.006)
    assert len(bands) == 1 or min(high - low for low, high in bands) >= 1.99 * rate_hz / n
    for low, high in envelope_bands(rate_hz, n):
        assert high == pytest.approx(2 * low, rel=0.01)
        assert high - low >= max(30, 16 * rate_hz / n)
    velocity = velocity_band(rate_hz, n)
    assert velocity is None or (velocity[0] >= 10 and velocity[1] <= min(1000, rate_hz / 2.56 * 1.006))
