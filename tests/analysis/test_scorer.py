import numpy as np
import pytest

from appliance.analysis import explain, residual
from appliance.analysis.scorer import Scorer


@pytest.fixture(scope="module")
def scorer(made):
    return Scorer(made)


def test_the_bundle_scores_as_the_baseline_it_came_from(scorer, learnt, windows):
    X = np.concatenate([windows(20, 41), windows(20, 42, tone_hz=310)])
    assert scorer.scores(X) == pytest.approx(learnt.scores(X), rel=1e-5)
    assert scorer.threshold == learnt.threshold
    assert [scorer.score(x)[0] for x in X] == pytest.approx(scorer.scores(X))


def test_no_windows_have_no_scores(scorer, windows):
    assert scorer.scores(windows(1, 40)[:0]).shape == (0,)


def test_the_fault_is_named_by_axis_and_band(scorer, windows):
    value, top = scorer.score(windows(1, 43, tone_hz=310, amplitude=1.0)[0])
    assert value > scorer.threshold
    assert len(top) == explain.TOP
    assert top[0].feature.startswith("y.")
    bands = [c for c in top if c.feature.startswith("y.band.")]
    low, high = bands[0].feature.removeprefix("y.band.").split("-")
    assert float(low) - 10 <= 310 <= float(high) + 10
    assert bands[0].words.startswith("axis y, ")
    assert f"{explain._figure(bands[0].ratio)}× its normal" in bands[0].words
    assert bands[0].ratio > 3


def test_a_ratio_is_the_value_over_the_median_of_normal(scorer, made, windows):
    x = windows(1, 44, tone_hz=310)[0]
    columns = made.manifest.features
    for contribution in scorer.score(x)[1]:
        column = columns.names.index(contribution.feature)
        if columns.log[column]:
            assert contribution.ratio == pytest.approx(x[column] / np.exp(columns.center[column]), rel=1e-4)


def test_all_shares_sum_to_one(scorer, made, windows):
    x = windows(1, 45)[0]
    z, output = scorer.through(x)
    parts = residual.parts(residual.excess(z, output, scorer._residual_scale))
    everything = explain.contributions(made.manifest.features, scorer.standard, x, output, parts, len(x))
    assert sum(c.share for c in everything) == pytest.approx(1.0, abs=1e-4)
    assert {c.feature for c in everything} == set(made.manifest.features.names)
    assert sum(c.share for c in scorer.score(x)[1]) < 1


def test_features_at_the_cap_are_ordered_by_how_far_they_are(scorer, made, windows):
    x = windows(1, 46, tone_hz=310, amplitude=30)[0]
    z, output = scorer.through(x)
    capped = residual.excess(z, output, scorer._residual_scale) >= residual.CAP
    assert np.count_nonzero(capped) > explain.TOP
    away = np.where(capped, np.minimum(np.abs(z), np.abs(z - output)), 0)
    names = [made.manifest.features.names[i] for i in np.argsort(-away)[: explain.TOP]]
    assert [c.feature for c in scorer.score(x)[1]] == names


def test_one_feature_however_far_adds_no_more_than_the_cap(scorer, windows):
    x = windows(1, 47)[0]
    before = scorer.score(x)[0]
    x[0] *= 1e6
    # The network's other outputs move a little too, by what the clipped input lets through.
    assert scorer.score(x)[0] - before < 25 / len(x) + 1.0


@pytest.mark.parametrize("spoil", [lambda x: x[:-1], lambda x: np.where(np.arange(len(x)) == 2, np.nan, x)])
def test_features_that_do_not_fit_are_refused(scorer, windows, spoil):
    with pytest.raises(ValueError, match="finite numbers"):
        scorer.score(spoil(windows(1, 48)[0]))


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(6.28, "6.3"), (1.0, "1.0"), (0.42, "0.42"), (0.0123, "0.012"), (18.4, "18"), (2513.0, "2500")],
)
def test_ratios_are_read_at_a_glance(ratio, text):
    assert explain._figure(ratio) == text


def test_a_difference_is_given_where_a_ratio_means_nothing(made, scorer, windows):
    columns = made.manifest.features
    column = columns.names.index("x.skewness")
    x = windows(1, 49)[0]
    x[column] = columns.center[column] + 2.5
    parts = np.zeros(len(x), np.float32)
    parts[column] = 9.0
    first = explain.contributions(columns, scorer.standard, x, np.zeros_like(x), parts, 1)[0]
    assert first.words.startswith("axis x, skewness, +2.5 from its normal")
    assert first.share == 1.0


def test_an_ordinary_value_that_does_not_fit_says_so(made, scorer):
    columns = made.manifest.features
    x = np.exp(np.array(columns.center, np.float32))
    parts = np.zeros(len(x), np.float32)
    parts[columns.names.index("y.rms")] = 9.0
    first = explain.contributions(columns, scorer.standard, x, np.zeros_like(x), parts, 1)[0]
    assert first.words == "axis y, RMS, 1.0× its normal, out of step with the rest"
