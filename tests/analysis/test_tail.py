"""The tail against distributions whose quantiles are known."""

import numpy as np
import pytest

from appliance.analysis import tail


def lognormal(count: int, seed: int) -> np.ndarray:
    return np.exp(0.25 * np.random.default_rng(seed).standard_normal(count))


@pytest.mark.parametrize("count", [30, 60, 400])
def test_the_threshold_is_exceeded_no_oftener_than_promised(count: int) -> None:
    fresh = lognormal(200_000, 99)
    fits = [(scores, tail.fit(scores)) for scores in (lognormal(count, seed) for seed in range(60))]
    true = np.array([np.mean(fresh > tail.threshold(fitted, scores)) for scores, fitted in fits])
    promised = np.array(
        [fitted.rate(tail.threshold(fitted, scores), tail.SURE_SIGMAS) for scores, fitted in fits]
    )
    assert np.mean(true <= promised) >= 0.8
    assert np.mean(true <= 2 * tail.RATE) >= 0.7
    assert np.median(true) >= tail.RATE / 100  # nor so rarely that it would see nothing


def test_more_windows_make_it_surer() -> None:
    few, many = (tail.fit(lognormal(count, 5)) for count in (30, 3000))
    spread = [fitted.level(1e-3, tail.SURE_SIGMAS) / fitted.level(1e-3) for fitted in (few, many)]
    assert spread[0] > 1.3
    assert spread[1] < 1.1
    assert many.level(1e-3) == pytest.approx(np.exp(0.25 * 3.09), rel=0.1)


def test_rate_is_the_inverse_of_level() -> None:
    fitted = tail.fit(lognormal(200, 6))
    for rate in (1e-4, 1e-3, 1e-2):
        assert fitted.rate(fitted.level(rate, 1.0), 1.0) == pytest.approx(rate, rel=1e-6)


def test_a_few_bad_windows_cannot_raise_the_threshold_without_end() -> None:
    scores = lognormal(40, 7)
    clean = tail.threshold(tail.fit(scores), scores)
    scores[:8] = 20.0
    spoilt = tail.fit(scores)
    found = tail.threshold(spoilt, scores)
    assert found < 3 * clean
    assert spoilt.rate(found) > 10 * tail.RATE  # and it says so


def test_the_delay_grows_with_runs_and_holds_what_it_promises() -> None:
    rng = np.random.default_rng(8)
    noise = rng.standard_normal(400_000)
    runs = np.convolve(noise, np.ones(4) / 2, "valid")
    hop_s = 0.64
    waits = []
    for log in (noise[: len(runs)], runs):
        scores = np.exp(0.25 * log)
        fitted = tail.fit(scores[:600])
        level = tail.threshold(fitted, scores[:600])
        wait = tail.persistence(fitted, level, hop_s)
        waits.append(wait.windows)
        over = np.convolve(scores > level, np.ones(wait.windows), "valid") == wait.windows
        alarms = np.count_nonzero(np.diff(over.astype(int)) == 1)
        assert alarms / (len(scores) * hop_s / tail.MONTH_S) <= 1 + 10 * tail.ALARMS_PER_MONTH
    assert waits[0] < waits[1] <= tail.LONGEST_RUN
    longer = tail.persistence(fitted, level, hop_s, wait.windows + 1)
    assert longer.windows == min(tail.LONGEST_RUN, wait.windows + 1)
    assert tail.persistence(fitted, level, hop_s, wait.windows - 1) == wait


def test_drift_between_stretches_is_no_run() -> None:
    scores = lognormal(200, 9) * np.repeat([1.0, 1.3, 1.6, 2.0, 2.4], 40)
    blocks = np.repeat(np.arange(5), 40)
    assert tail.fit(scores, blocks).follow < 0.5 < tail.fit(scores).follow


def test_scores_that_hardly_differ_have_a_threshold_all_the_same() -> None:
    scores = np.full(30, 1.25)
    assert 1.25 <= tail.threshold(tail.fit(scores), scores) < 2.0
