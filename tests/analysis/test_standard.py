import numpy as np
import pytest

from appliance.analysis import standard
from appliance.analysis.catalogue import Feature

FEATURES = (
    Feature("x.rms", "x", "rms", None, "m/s²", log=True, floor=1e-4, min_scale=0.1),
    Feature("x.skewness", "x", "skewness", None, "", log=False, floor=0.0, min_scale=0.1),
)


def test_magnitudes_are_compared_as_ratios_and_others_as_differences():
    X = np.array([[1.0, -1.0], [2.0, 0.0], [4.0, 1.0]], np.float32)
    transform = standard.fit(X, FEATURES)
    Z = transform(X)
    assert transform.center == pytest.approx([np.log(2), 0])
    assert Z[0] == pytest.approx(-Z[2])
    assert Z[1] == pytest.approx([0, 0])


def test_scale_is_that_of_a_normal_distribution_and_deaf_to_outliers():
    rng = np.random.default_rng(1)
    X = np.stack([np.exp(0.5 * rng.standard_normal(4000)), 2.0 * rng.standard_normal(4000)], axis=1)
    X[:200] = 1e6
    scale = standard.fit(X.astype(np.float32), FEATURES).scale
    assert scale == pytest.approx([0.5, 2.0], rel=0.15)


def test_a_steady_feature_gets_its_least_scale_and_zero_its_floor():
    X = np.zeros((30, 2), np.float32)
    transform = standard.fit(X, FEATURES)
    assert transform.scale == pytest.approx([0.1, 0.1])
    assert transform.center[0] == pytest.approx(np.log(1e-4))
    assert np.all(np.isfinite(transform(X)))
