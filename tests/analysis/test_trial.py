from dataclasses import replace

import numpy as np
import pytest

from appliance.analysis import bundle as bundles
from appliance.analysis.ledger import Trial
from appliance.analysis.scorer import Scorer
from appliance.analysis.trial import GOLDEN_WINDOWS, Shadow
from appliance.models import Models
from hw.ports import PortError

LIMITS = Models(shadow_windows=40, probation_windows=40, disagreement=0.1, latency_ms=1000.0)


def shadow(candidate, stage="shadow", limits=LIMITS):
    return Shadow(Trial(candidate.id, "other", stage), candidate, candidate, limits)


def fed(trial, rows, *, abnormal, took_ms=0.1):
    """Feed until there is a verdict; the windows that it took."""
    for count, row in enumerate(rows, 1):
        shown = trial.window(row, abnormal=abnormal(row), took_ms=took_ms)
        assert shown["trial_windows"] == trial.figures.windows
        if trial.figures.verdict:
            return count
    return len(rows)


@pytest.fixture(scope="module")
def normal(windows):
    return windows(60, 5)


def test_the_same_model_agrees_and_is_good_after_its_windows(made, normal):
    scorer, trial = Scorer(made), shadow(made)
    assert fed(trial, normal, abnormal=lambda row: scorer.score(row)[0] >= scorer.threshold) == 40
    figures = trial.figures
    assert (figures.verdict, figures.disagreed, figures.alarms) == ("good", 0, figures.other_alarms)
    assert figures.slowest_ms > 0


def test_a_model_of_another_load_is_bad_as_soon_as_it_cannot_be_good(made, other, normal):
    """`other` knows double the load alone and calls this one abnormal."""
    scorer, trial = Scorer(made), shadow(other)
    took = fed(trial, normal, abnormal=lambda row: scorer.score(row)[0] >= scorer.threshold)
    figures = trial.figures
    assert figures.verdict == "bad"
    assert figures.disagreed == 5  # one more than 10 % of 40
    assert took < 40
    assert f"found 5 windows judged unlike other in {took}, expected at most 10% of 40" in figures.reason


def test_figures_are_the_candidates_and_the_others(made, normal):
    trial = shadow(made, limits=Models(shadow_windows=1000, disagreement=1.0))
    scorer = Scorer(made)
    for row in normal:
        shown = trial.window(row, abnormal=True, took_ms=0.1)
    ours = np.mean(scorer.scores(normal) >= scorer.threshold)
    assert shown["trial_other_alarm_rate"] == 1.0
    assert shown["trial_alarm_rate"] == pytest.approx(ours)
    assert shown["trial_agreement"] == pytest.approx(ours)


def test_on_probation_only_more_alarms_than_before_count(made, normal):
    """`made` is the one before here; the new one is what the caller says of each window."""
    deaf, shrill = shadow(made, "probation"), shadow(made, "probation")
    faulty = normal * 3  # abnormal to the one before
    assert fed(deaf, faulty, abnormal=lambda _: False) == 40
    assert deaf.figures.verdict == "good"
    assert deaf.figures.other_alarms == 40
    assert fed(shrill, normal, abnormal=lambda _: True) < 40
    assert shrill.figures.verdict == "bad"
    assert "more windows abnormal than to other" in shrill.figures.reason


def test_slow_scores_end_it(made, normal):
    trial = shadow(made, limits=Models(shadow_windows=100, disagreement=1.0, latency_ms=1e-6))
    assert fed(trial, normal, abnormal=lambda _: False) == 3
    assert trial.figures.verdict == "bad"
    assert "found 3 windows scored in more than 1e-06 ms" in trial.figures.reason
    slow = shadow(made, "probation", Models(probation_windows=100, disagreement=1.0, latency_ms=20.0))
    assert fed(slow, normal, abnormal=lambda _: False, took_ms=21.0) == 3
    assert slow.figures.slowest_ms == 21.0


class Failing:
    """A runtime that begins to give wrong outputs, or none, after some calls."""

    name = "numpy"

    def __init__(self, bundle, sound_calls, fault):
        self._run, self._left, self._fault = bundle.network.run, sound_calls, fault

    def invoke(self, x):
        self._left -= 1
        if self._left >= 0:
            return self._run(x)
        if self._fault is PortError:
            raise PortError("the runtime is gone")
        return self._run(x) ^ np.int8(64)


@pytest.mark.parametrize("fault", [PortError, None])
def test_a_golden_failure_ends_it_at_once(made, normal, fault):
    broken = replace(made, runner=Failing(made, bundles.GOLDEN_VECTORS + 5, fault))
    trial = shadow(broken, limits=Models(shadow_windows=1000, disagreement=1.0))
    took = fed(trial, normal, abnormal=lambda _: False)
    assert took <= GOLDEN_WINDOWS + 1
    assert trial.figures.verdict == "bad"
    assert trial.figures.golden_failures == 1
    assert ("golden.outputs.numpy" in trial.figures.reason) or ("the runtime is gone" in trial.figures.reason)
    assert trial.window(normal[0], abnormal=True, took_ms=0.1)["trial_windows"] == trial.figures.windows
