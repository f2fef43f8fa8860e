"""Drift within one way of running is found; several ways of running in one stretch are not taken for it."""

import tracemalloc

import numpy as np
import pytest

from appliance.analysis import steadiness
from appliance.analysis.catalogue import catalogue

FEATURES = catalogue("x", 6400.0, 8192)
HOP_S = 0.64
MAIN = [index for index, feature in enumerate(FEATURES) if feature.kind in steadiness.MAIN]


def running(ln_levels, seed=1, spread=0.05):
    """Windows whose every main feature follows exp(ln_levels), with scatter of its own."""
    rng = np.random.default_rng(seed)
    noise = spread * rng.standard_normal((len(ln_levels), len(FEATURES)))
    return np.exp(1.0 + noise + np.asarray(ln_levels, float)[:, None]).astype(np.float32)


def condition(*parts):
    """Levels of ways of running that follow each other: (windows, ln level)."""
    return np.concatenate([np.full(windows, level) for windows, level in parts])


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("windows", [25, 40, 160])
def test_steady_running_does_not_drift(windows, seed):
    assert steadiness.drift(running(np.zeros(windows), seed), FEATURES, HOP_S) == ""


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    ("windows", "change", "word"), [(25, 0.6, "rose"), (40, 0.5, "rose"), (160, -0.4, "fell")]
)
def test_a_slow_change_is_found_and_named(windows, change, word, seed):
    words = steadiness.drift(running(np.linspace(0, change, windows), seed), FEATURES, HOP_S)
    assert word in words
    percent = int(words.split(" by ")[1].split(" %")[0])
    assert percent == pytest.approx(100 * abs(np.expm1(change)), rel=0.35)
    assert words.endswith(f"within {(windows - 1) * HOP_S:.0f} s")


@pytest.mark.parametrize("seed", range(6))
def test_a_change_that_begins_late_is_found(seed):
    levels = np.concatenate([np.zeros(200), np.linspace(0, 0.5, 80)])
    assert "rose" in steadiness.drift(running(levels, seed), FEATURES, HOP_S)


def test_one_wild_window_is_no_drift():
    levels = np.zeros(40)
    levels[[5, 33]] = 1.5
    assert steadiness.drift(running(levels), FEATURES, HOP_S) == ""


def test_fewer_windows_say_nothing():
    assert steadiness.drift(running(np.linspace(0, 1.0, 24)), FEATURES, HOP_S) == ""


@pytest.mark.parametrize(
    "order", [((40, 0.0), (40, 0.5)), ((30, 0.5), (30, 0.0), (30, 0.5)), ((20, 0), (20, 1))]
)
def test_several_ways_of_running_are_no_drift(order):
    X = running(condition(*order))
    labels = steadiness.conditions(X, FEATURES)
    levels = condition(*order)
    assert len(np.unique(labels)) == len(np.unique(levels))
    for level in np.unique(levels):
        assert len(np.unique(labels[levels == level])) == 1
    assert labels[0] == 0
    assert steadiness.drift(X, FEATURES, HOP_S) == ""


def test_hours_of_running_cost_little_memory():
    levels = condition((1500, 0.0), (1500, 1.0))
    X = running(levels)
    tracemalloc.start()
    labels = steadiness.conditions(X, FEATURES)
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most_bytes < 30e6
    assert np.mean(labels == (levels > 0.5)) > 0.995
    assert steadiness.drift(X, FEATURES, HOP_S) == ""


def test_drift_shows_inside_one_of_two_ways_of_running():
    levels = np.concatenate([np.zeros(40), 2.0 + np.linspace(0, 0.5, 40)])
    assert "rose" in steadiness.drift(running(levels), FEATURES, HOP_S)


def test_a_passage_between_two_belongs_to_the_one_before():
    levels = condition((3, 3.0), (20, 0.0), (2, 0.7), (20, 1.4))
    labels = steadiness.conditions(running(levels), FEATURES)
    assert labels.tolist() == [0] * 25 + [1] * 20


def test_what_does_not_move_at_all_is_one_condition():
    X = np.ones((30, len(FEATURES)), np.float32)
    assert steadiness.conditions(X, FEATURES).tolist() == [0] * 30
    assert steadiness.drift(X, FEATURES, HOP_S) == ""
    assert steadiness.conditions(X[:1], FEATURES).tolist() == [0]
