"""Shaft speed from the comb of harmonics: right where it answers, silent where there is no comb."""

import numpy as np
import pytest

from appliance.analysis.spectrum import hann_spectrum, power
from appliance.analysis.speed import speed_hz
from appliance.analysis.waveform import centred


def spectrum(accel):
    return power(hann_spectrum(centred(np.asarray(accel, np.float32))))


def machine(shaft_hz, rate_hz, n, seed, noise=0.5):
    """Three axes: harmonics of falling strength, a mains line, gravity and noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(n) / rate_hz
    comb = sum(
        2 * np.pi * shaft_hz * h * 0.8e-3 / h * np.sin(2 * np.pi * shaft_hz * h * t + rng.uniform(0, 6))
        for h in range(1, 9)
    )
    mains = 0.5 * np.sin(2 * np.pi * 100 * t)
    return [g * comb + mains + 9.81 * (g == 1) + rng.normal(0, noise, n) for g in (1.0, 0.7, 0.4)]


def test_within_a_percent_near_the_nameplate():
    rng = np.random.default_rng(4)
    errors, silent = [], 0
    for seed in range(60):
        true = 24.7 * (1 + rng.uniform(-0.05, 0.05))
        found = speed_hz(spectrum(machine(true, 6400, 8192, seed)), 6400 / 8192, nameplate_hz=24.7)
        silent += found is None
        if found is not None:
            errors.append(abs(found / true - 1))
    assert silent <= 3
    assert np.median(errors) <= 0.0014
    assert max(errors) <= 0.01


def test_broad_search_finds_the_shaft_without_a_nameplate():
    rng = np.random.default_rng(6)
    found = []
    for seed in range(40):
        true = rng.uniform(12, 60)
        found.append((speed_hz(spectrum(machine(true, 6400, 8192, seed, noise=0.1)), 6400 / 8192), true))
    answered = [(f, true) for f, true in found if f is not None]
    assert len(answered) >= 30
    assert np.mean([abs(f / true - 1) < 0.01 for f, true in answered]) >= 0.95


@pytest.mark.parametrize("strong", [2, 3, 4])
def test_a_harmonic_that_is_stronger_is_not_taken_for_the_shaft(strong):
    """Misalignment, a coupling, blades: every second, third or fourth line towers over the others."""
    t = np.arange(8192) / 6400
    rng = np.random.default_rng(strong)
    for true in (11.3, 14.1):
        height = [20 if h % strong == 0 else 1 for h in range(1, 4 * strong + 9)]
        comb = sum(a * np.sin(2 * np.pi * true * h * t + h * h) for h, a in enumerate(height, 1))
        found = speed_hz(spectrum([comb + rng.normal(0, 0.3, 8192)]), 6400 / 8192)
        assert found == pytest.approx(true, rel=0.005)


def test_a_bearing_comb_is_not_taken_for_the_shaft():
    """The lines of an outer race, 3.59 × the shaft's, stand higher than the shaft's own."""
    t = np.arange(8192) / 6400
    noise = np.random.default_rng(9).normal(0, 0.3, 8192)
    shaft = sum(np.sin(2 * np.pi * 24.7 * h * t + h) for h in range(1, 6))
    race = sum(4 * np.sin(2 * np.pi * 3.59 * 24.7 * h * t + h) for h in range(1, 9))
    assert speed_hz(spectrum([shaft + race + noise]), 6400 / 8192) == pytest.approx(24.7, rel=0.005)


@pytest.mark.parametrize("nameplate_hz", [None, 24.7])
def test_noise_and_silence_have_no_speed(nameplate_hz):
    rng = np.random.default_rng(1)
    for _ in range(60):
        assert speed_hz(spectrum(rng.normal(size=(3, 8192))), 6400 / 8192, nameplate_hz) is None
    assert speed_hz(spectrum(np.zeros((3, 8192))), 6400 / 8192, nameplate_hz) is None


def test_a_single_line_is_no_shaft():
    t = np.arange(8192) / 6400
    accel = 5 * np.sin(2 * np.pi * 24.7 * t) + np.random.default_rng(2).normal(0, 0.05, 8192)
    assert speed_hz(spectrum([accel]), 6400 / 8192, nameplate_hz=24.7) is None


@pytest.mark.parametrize(("rate_hz", "n"), [(50, 5), (50, 64), (6400, 64), (100, 1000)])
def test_a_window_too_short_or_slow_is_answered_with_none(rate_hz, n):
    accel = np.random.default_rng(3).normal(size=(1, n))
    for nameplate_hz in (None, 24.7, 1000.0):
        assert speed_hz(spectrum(accel), rate_hz / n, nameplate_hz) is None
