"""Families of lines in the envelope: found where they are, and nowhere else."""

import numpy as np
import pytest

from appliance.analysis.impacts import EnvelopeSpectra
from appliance.analysis.spectrum import hann_spectrum
from appliance.analysis.waveform import centred
from appliance.geometry import Orders

RATE_HZ, N, SHAFT_HZ = 6400.0, 8192, 24.7
BEARING = Orders(3.585, 5.415, 2.357, 0.3983)


def ringing(impacts_hz: float, by_turns_hz: float = 0.0, count: int = 4, peak: float = 0.4, seed: int = 1):
    """Hann spectra of windows of impacts that ring at 2 kHz, strong once a turn of `by_turns_hz`."""
    rng = np.random.default_rng(seed)
    t_s = np.arange(count * N) / RATE_HZ
    at_s = np.cumsum(1 / impacts_hz * (1 + 0.01 * rng.standard_normal(int(t_s[-1] * impacts_hz))))
    strength = peak * np.clip(np.cos(2 * np.pi * by_turns_hz * at_s), 0, None)
    train = np.zeros(len(t_s))
    np.add.at(train, np.minimum((at_s * RATE_HZ).astype(int), len(t_s) - 1), strength)
    ring = np.exp(-600 * t_s[:400]) * np.sin(2 * np.pi * 2000 * t_s[:400])
    accel = np.convolve(train, ring)[: len(t_s)] + rng.normal(0, 0.02, len(t_s))
    return [hann_spectrum(centred(part[None].astype(np.float32))) for part in accel.reshape(count, N)]


def test_impacts_are_found_at_their_rate_and_named_only_with_geometry_and_speed():
    spectra = EnvelopeSpectra(RATE_HZ, N)
    hann = ringing(3.585 * SHAFT_HZ)
    named = spectra.find(hann, SHAFT_HZ, BEARING).named
    assert named.element == "outer race"
    assert abs(named.off) < 0.005
    assert named.family.seen[:2] == (1, 2)
    assert spectra.find(hann, SHAFT_HZ, None).named is None
    assert spectra.find(hann, None, BEARING).named is None
    assert spectra.find(hann, SHAFT_HZ, None).family.hz == pytest.approx(3.585 * SHAFT_HZ, rel=0.005)


@pytest.mark.parametrize(
    ("rate_orders", "modulation_orders", "element"),
    [(BEARING.bpfi, 1.0, "inner race"), (2 * BEARING.bsf, BEARING.ftf, "rolling element")],
)
def test_an_element_that_passes_the_load_zone_has_sidebands(rate_orders, modulation_orders, element):
    hann = ringing(rate_orders * SHAFT_HZ, modulation_orders * SHAFT_HZ)
    named = EnvelopeSpectra(RATE_HZ, N).find(hann, SHAFT_HZ, BEARING).named
    assert named.element == element
    assert named.sidebands_hz == pytest.approx(modulation_orders * SHAFT_HZ)


def test_a_ball_without_its_cage_is_not_named():
    found = EnvelopeSpectra(RATE_HZ, N).find(ringing(2 * BEARING.bsf * SHAFT_HZ), SHAFT_HZ, BEARING)
    assert found.named is None


@pytest.mark.parametrize("off", [-0.05, 0.05])
def test_impacts_off_by_more_than_slip_are_not_named(off):
    hann = ringing(3.585 * SHAFT_HZ * (1 + off))
    assert EnvelopeSpectra(RATE_HZ, N).find(hann, SHAFT_HZ, BEARING).named is None


def test_a_sideband_of_something_else_is_not_a_ball():
    hann = ringing(2 * BEARING.bsf * SHAFT_HZ, BEARING.ftf * SHAFT_HZ)
    other = Orders(2.9, 5.1, BEARING.bsf - BEARING.ftf / 2, BEARING.ftf)
    assert EnvelopeSpectra(RATE_HZ, N).find(hann, SHAFT_HZ, other).named is None


@pytest.mark.parametrize("order", [1, 2, 4])
def test_what_the_shaft_explains_is_no_family(order):
    hann = ringing(order * SHAFT_HZ)
    found = EnvelopeSpectra(RATE_HZ, N).find(hann, SHAFT_HZ, BEARING)
    assert found is None or found.named is None


def test_noise_has_no_family():
    spectra = EnvelopeSpectra(RATE_HZ, N)
    rng = np.random.default_rng(7)
    noise = [
        [hann_spectrum(centred(rng.normal(size=(3, N)).astype(np.float32))) for _ in range(4)]
        for _ in range(40)
    ]
    assert [spectra.find(hann, SHAFT_HZ, BEARING) for hann in noise] == [None] * 40


def test_a_slow_sensor_says_nothing():
    assert EnvelopeSpectra(400.0, 512).find(ringing(88.0), 24.7, BEARING) is None


def test_the_next_window_changes_the_answer_though_old_ones_are_remembered():
    spectra = EnvelopeSpectra(RATE_HZ, N)
    before, after = ringing(88.55), ringing(133.75, 24.7)
    assert spectra.find(before, SHAFT_HZ, BEARING).named.element == "outer race"
    spectra.find([*before[1:], after[0]], SHAFT_HZ, BEARING)
    mixed = spectra.find(after, SHAFT_HZ, BEARING)
    assert mixed == EnvelopeSpectra(RATE_HZ, N).find(after, SHAFT_HZ, BEARING)
    assert mixed.named.element == "inner race"
