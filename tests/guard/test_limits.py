"""Peak, RMS and slope of what the hard limits look at."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from appliance.guard.limits import Slope, peak_rms_mps2

counts = hnp.arrays(np.int16, st.tuples(st.integers(1, 40), st.integers(1, 3)))


@given(counts)
def test_peak_and_rms_of_the_worst_axis(block):
    mean = np.linspace(-100, 100, block.shape[1])
    peak, rms = peak_rms_mps2(block, mean, 0.01)
    moving = block.astype(np.float64) - mean
    assert peak == pytest.approx(np.abs(moving).max() * 0.01, rel=1e-6, abs=1e-9)
    assert rms == pytest.approx(np.sqrt((moving**2).mean(axis=0)).max() * 0.01, rel=1e-5, abs=1e-9)


def test_the_extremes_of_int16_do_not_overflow():
    block = np.array([[-32768], [32767]], np.int16)
    peak, rms = peak_rms_mps2(block, np.array([32767.0]), 1.0)
    assert peak == pytest.approx(65535)
    assert rms == pytest.approx(65535 / np.sqrt(2))


def slopes(degc, period_s=1.0, seconds=1200):
    slope = Slope()
    times = np.arange(0, seconds, period_s)
    return times, [slope.update(round(t * 1e9), degc(t)) for t in times]


@pytest.mark.parametrize("period_s", [0.1, 0.5, 0.99, 1.0, 10.0, 30.0])
def test_a_ramp_is_measured_at_any_period_after_a_minute(period_s):
    times, found = slopes(lambda t: 20 + t / 60 * 4, period_s, 300)
    for t, value in zip(times, found, strict=True):
        if t < 60:
            assert value is None
        elif t > 62:
            assert value == pytest.approx(4.0, rel=1e-3)
    assert found[-1] is not None


def test_it_forgets_after_ten_minutes():
    _, found = slopes(lambda t: 20 + min(t, 300) / 60 * 4)
    assert found[290] == pytest.approx(4.0, rel=1e-3)
    assert found[-1] == pytest.approx(0.0, abs=1e-6)


def test_noise_of_a_thermometer_is_no_rise():
    rng = np.random.default_rng(0)
    _, found = slopes(lambda _: 50 + rng.normal(0, 0.05))
    assert max(abs(value) for value in found if value is not None) < 0.5


def test_a_minute_without_readings_is_followed_by_a_slope_over_what_is_known():
    slope = Slope()
    assert slope.update(0, 20.0) is None
    assert slope.update(3600 * 10**9, 80.0) is None  # an hour later: the old reading says nothing any more
    assert slope.update(3661 * 10**9, 80.0) == pytest.approx(0.0)


@pytest.mark.parametrize("window_s", [10.0, 120.0, 600.0])
@pytest.mark.parametrize("period_s", [0.05, 0.25, 1.0])
def test_a_window_of_any_length_measures_after_a_tenth_and_forgets_after_the_whole(window_s, period_s):
    """A velocity that rises by 6 mm/s in a minute, and stays from half the window on."""
    slope = Slope(window_s)
    times = np.arange(0, 2 * window_s, period_s)
    found = [slope.update(round(t * 1e9), 1.0 + 0.1 * min(t, window_s / 2)) for t in times]
    spacing_s = 0.0015 * window_s + period_s
    for t, value in zip(times, found, strict=True):
        if t < 0.1 * window_s - 1e-9:
            assert value is None
        elif 0.1 * window_s + spacing_s < t < 0.5 * window_s:
            assert value == pytest.approx(6.0, rel=1e-6)
        elif t > 1.5 * window_s + spacing_s:
            assert value == pytest.approx(0.0, abs=1e-6)
    assert found[-1] is not None
