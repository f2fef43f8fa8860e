import numpy as np

from appliance.analysis.drift import PageHinkley


def run(values):
    test = PageHinkley(values.shape[1])
    return np.array([test.update(row) for row in values])


def test_steady_series_never_drift():
    steady = np.random.default_rng(1).standard_normal((20_000, 40))
    assert run(steady).max() < 0.5


def test_a_mean_that_moves_is_found_in_either_direction_and_named():
    values = np.random.default_rng(2).standard_normal((3000, 4))
    values[1500:, 1] += 1.5
    values[1500:, 2] -= 1.5
    found = run(values)
    assert found[1499].max() < 0.5
    assert (found[1800] >= 1).tolist() == [False, True, True, False]


def test_one_wild_window_is_no_drift():
    values = np.random.default_rng(3).standard_normal((500, 1))
    values[250] = 1e6
    assert run(values).max() < 0.5
