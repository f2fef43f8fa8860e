"""Every feature against the textbook oracle, and the contract of the extractor."""

import sys
from pathlib import Path

import numpy as np
import pytest

from appliance.analysis.catalogue import describe
from appliance.analysis.features import Extractor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import naive

pytestmark = pytest.mark.filterwarnings("error")

RATES_HZ = (50, 200, 2000, 3332, 20000, 25600, 48000)
WINDOWS_S = (0.1, 0.25, 1.28, 2.0)
G = 9.80665

# Single precision against double. Positive features are compared as a model sees them: not below their floor.
RELATIVE = 5e-4
RELATIVE_BESIDE_A_STRONG_LINE = 5e-3  # an octave 80 dB below it meets the rounding of the transform
ABSOLUTE = {"m/s²": 1e-5, "mm/s": 1e-4, "Hz": 1e-3, "": 1e-4}


def noise(t, rng):
    return rng.normal(0, 1, len(t)) + G


def tone(t, rng):
    rate_hz = 1 / (t[1] - t[0])
    return 5 * np.sin(2 * np.pi * min(24.7, rate_hz / 5) * t) + rng.normal(0, 0.005, len(t)) + G


def strong_tone(t, rng):
    """Three g, 80 dB over the noise of a good sensor."""
    rate_hz = 1 / (t[1] - t[0])
    return 30 * np.sin(2 * np.pi * 0.013 * rate_hz * t + 0.3) + rng.normal(0, 0.003, len(t))


def impacts(t, rng):
    """A bearing at 87 impacts a second on a resonance, over the shaft's own harmonics."""
    rate_hz = 1 / (t[1] - t[0])
    since = np.mod(t, 1 / 87)
    ringing = 30 * np.exp(-800 * since) * np.sin(2 * np.pi * min(3500, 0.3 * rate_hz) * since)
    shaft = sum(np.sin(2 * np.pi * 24.7 * h * t + h) / h for h in (1, 2, 3))
    return ringing + shaft + rng.normal(0, 0.05, len(t)) + G


def single_knock(t, rng):
    x = rng.normal(0, 0.1, len(t))
    x[len(t) // 3] -= 4 * G
    return x


def ramp(t, _rng):
    return G + 0.2 * t / t[-1]


def whisper(t, rng):
    return rng.normal(0, 2e-5, len(t))


def counts(t, rng):
    """As a MEMS sensor gives it: 12 bits of ±16 g."""
    lsb = 16 * G / 2048
    return np.round((noise(t, rng)) / lsb) * lsb


SIGNALS = (noise, tone, strong_tone, impacts, single_knock, ramp, whisper, counts)


def assert_equal_to_oracle(extractor, accel, rate_hz, clock=1.0, relative=RELATIVE):
    got = extractor(accel, rate_hz * clock)
    want = naive.features(accel, rate_hz * clock, extractor.features)
    assert got.dtype == np.float32
    assert got.shape == (len(extractor.names),)
    for feature, mine, theirs in zip(extractor.features, got, want, strict=True):
        seen, expected = (max(v, feature.floor) if feature.log else v for v in (float(mine), float(theirs)))
        allowed = ABSOLUTE[feature.unit] + relative * abs(expected)
        assert abs(seen - expected) <= allowed, f"{feature.name}: {mine} is not {theirs}"


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("make", SIGNALS, ids=lambda make: make.__name__)
def test_every_feature_equals_the_oracle(rate_hz, make):
    rng = np.random.default_rng(rate_hz)
    relative = RELATIVE_BESIDE_A_STRONG_LINE if make is strong_tone else RELATIVE
    for window_s in WINDOWS_S:
        n = round(window_s * rate_hz)
        accel = make(np.arange(n) / rate_hz, rng).astype(np.float32)[None]
        assert_equal_to_oracle(Extractor(rate_hz, n, ("x",)), accel, rate_hz, relative=relative)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("clock", [0.92, 0.994, 1.006, 1.08])
def test_features_follow_a_clock_that_is_off(rate_hz, clock):
    n = round(1.28 * rate_hz)
    accel = impacts(np.arange(n) / rate_hz, np.random.default_rng(3)).astype(np.float32)[None]
    assert_equal_to_oracle(Extractor(rate_hz, n, ("x",)), accel, rate_hz, clock)


@pytest.mark.parametrize("axes", [("x",), ("radial", "axial"), ("x", "y", "z")])
def test_axes_are_independent(axes):
    n = 2048
    t = np.arange(n) / 3332
    rng = np.random.default_rng(8)
    accel = np.array([make(t, rng) for make in (impacts, noise, tone)], np.float32)[: len(axes)]
    together = Extractor(3332, n, axes)
    assert_equal_to_oracle(together, accel, 3332)
    alone = [Extractor(3332, n, (axis,))(row[None]) for axis, row in zip(axes, accel, strict=True)]
    assert np.allclose(together(accel), np.concatenate(alone), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("rate_hz", [*RATES_HZ, 51.2, 400, 1000, 6400, 100_000])
@pytest.mark.parametrize("window_s", [0.1, 0.13, 0.3, 1.0, 3.0])
def test_what_cannot_be_carried_is_absent_and_the_rest_is_finite(rate_hz, window_s):
    n = round(rate_hz * window_s)
    extractor = Extractor(rate_hz, n, ("x", "y", "z"))
    assert len(set(extractor.names)) == len(extractor.names) == 3 * (len(extractor.names) // 3)
    assert 3 <= len(extractor.names) // 3 <= 60
    for feature in extractor.features:
        assert feature.floor > 0 or not feature.log
        assert feature.min_scale > 0
        if feature.band_hz is not None:
            assert 1.4 * rate_hz / n <= feature.band_hz[0] < feature.band_hz[1] <= 0.46 * rate_hz
    rng = np.random.default_rng(1)
    for accel in (np.zeros((3, n)), np.full((3, n), -G), np.eye(3, n) * 900, rng.normal(size=(3, n)) * 1e5):
        for clock in (0.905, 1.0, 1.095):
            assert np.all(np.isfinite(extractor(accel.astype(np.float32), rate_hz * clock)))


def test_the_smallest_window_still_says_something():
    extractor = Extractor(50, 5, ("x",))
    assert extractor.names == ("x.rms", "x.peak", "x.band.15-22.5")


def test_velocity_is_named_by_its_true_band():
    def velocity(rate_hz, window_s):
        names = Extractor(rate_hz, round(rate_hz * window_s), ("x",)).names
        return [name for name in names if ".velocity." in name]

    assert velocity(2560, 1.0) == ["x.velocity.10-1000"]
    assert velocity(25600, 1.28) == ["x.velocity.10-1000"]
    assert velocity(2048, 0.25) == ["x.velocity.16-800"]
    assert velocity(2560, 0.99) == ["x.velocity.10.1-1000"]
    assert velocity(20000, 0.1) == ["x.velocity.40-1000"]
    assert velocity(50, 0.1) == []


def test_names_do_not_depend_on_the_measured_rate_and_drift_is_followed_only_when_it_matters():
    extractor = Extractor(2000, 2000, ("x",))
    t = np.arange(2000) / 2000
    accel = np.sin(2 * np.pi * 150 * t).astype(np.float32)[None]
    nominal = extractor(accel)
    near, far = extractor(accel, 2000 * 1.004), extractor(accel, 2000 * 1.03)
    centroid = extractor.names.index("x.centroid")
    assert near[centroid] == nominal[centroid]
    assert far[centroid] == pytest.approx(1.03 * nominal[centroid], rel=1e-3)
    assert np.array_equal(extractor(accel, 2000), nominal)  # and back: nothing is kept of the way


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 2e6, -3e38])
def test_what_is_not_a_number_is_refused(bad):
    extractor = Extractor(1000, 100)
    accel = np.zeros((3, 100), np.float32)
    accel[1, 40] = bad
    with pytest.raises(ValueError, match=r"the window holds .* expected finite values"):
        extractor(accel)
    accel[2, 41] = -bad
    with pytest.raises(ValueError, match="expected finite values"):
        extractor(accel)


@pytest.mark.parametrize("shape", [(3, 99), (2, 100), (100, 3), (100,), (3, 0)])
def test_a_window_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"expected \(3, 100\)"):
        Extractor(1000, 100)(np.zeros(shape, np.float32))


@pytest.mark.parametrize("rate_hz", [899, 1101, 0, -1000, np.nan, np.inf])
def test_a_rate_far_from_nominal_is_refused(rate_hz):
    with pytest.raises(ValueError, match="measured rate"):
        Extractor(1000, 100)(np.zeros((3, 100), np.float32), rate_hz)


@pytest.mark.parametrize(
    ("rate_hz", "n", "axes", "words"),
    [
        (0, 100, ("x",), "sample rate"),
        (np.nan, 100, ("x",), "sample rate"),
        (100, 4, ("x",), "at least 5"),
        (100, 100, (), "axis names"),
        (100, 100, ("x", "x"), "axis names"),
        (100, 100, ("x.1",), "axis names"),
        (100, 100, ("",), "axis names"),
    ],
)
def test_a_nonsensical_extractor_is_refused(rate_hz, n, axes, words):
    with pytest.raises(ValueError, match=words):
        Extractor(rate_hz, n, axes)


def test_the_input_is_left_alone():
    accel = np.random.default_rng(0).normal(size=(3, 500)).astype(np.float32)
    before = accel.copy()
    accel.flags.writeable = False
    Extractor(1000, 500)(accel)
    assert np.array_equal(accel, before)


def test_words_for_a_technician():
    assert describe("x.kurtosis") == "axis x, kurtosis"
    assert describe("z.velocity.10-1000") == "axis z, velocity 10–1000 Hz"
    assert describe("x.velocity.16-781") == "axis x, velocity 16–781 Hz"
    assert describe("y.envelope.2100-4200") == "axis y, 2.1–4.2 kHz envelope"
    assert describe("y.envelope-kurtosis.45-90") == "axis y, 45–90 Hz envelope kurtosis"
    assert describe("x.band.2.25-4.5") == "axis x, 2.25–4.5 Hz band"
    assert describe("x.band.873-1080") == "axis x, 0.873–1.08 kHz band"
    for name in Extractor(25600, 32768).names:
        assert describe(name).startswith(f"axis {name[0]}, ")
    for wrong in ("", "x", "x.nonsense", ".rms", "rms"):
        with pytest.raises(ValueError, match="is not a feature's name"):
            describe(wrong)


def test_metrics_are_the_worst_axis_of_the_same_spectra():
    rate_hz, n = 25600, 32768
    t = np.arange(n) / rate_hz
    rng = np.random.default_rng(2)
    shaft = sum(np.sin(2 * np.pi * 24.7 * h * t + h) / h for h in range(1, 8))
    accel = np.array([noise(t, rng), 3 * shaft + noise(t, rng), impacts(t, rng)], np.float32)
    extractor = Extractor(rate_hz, n)
    analysed = extractor.analyse(accel, rate_hz)
    metrics = extractor.metrics(analysed, nameplate_hz=25.0)
    vector = dict(zip(extractor.names, analysed.features.tolist(), strict=True))
    keys = {"vib_rms_mps2": "rms", "vib_peak_mps2": "peak", "vib_crest": "crest", "vib_kurt": "kurtosis"}
    for key, kind in (keys | {"vib_vel_mms": "velocity.10-1000"}).items():
        assert metrics[key] == max(vector[f"{axis}.{kind}"] for axis in "xyz")
    assert metrics["speed_hz"] == pytest.approx(24.7, rel=0.005)
    assert all(type(value) is float for value in metrics.values())


def test_metrics_leave_out_what_a_window_cannot_carry():
    extractor = Extractor(50, 5, ("x",))
    accel = np.array([[1, -1, 1, -1, 0]], np.float32)
    assert set(extractor.metrics(extractor.analyse(accel))) == {"vib_rms_mps2", "vib_peak_mps2"}
