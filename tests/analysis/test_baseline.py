import numpy as np
import pytest

from appliance.analysis import baseline
from appliance.errors import LearningError


def test_planted_faults_stand_out_and_normal_stays_below(learnt, windows):
    normal = np.concatenate([learnt.scores(windows(100, 11)), learnt.scores(windows(100, 12, load=1.5))])
    fault = learnt.scores(windows(60, 13, tone_hz=310, amplitude=0.5))
    assert np.mean(normal > learnt.threshold) <= 0.02
    assert np.mean(fault > learnt.threshold) >= 0.98
    assert fault.min() > np.quantile(normal, 0.99)
    assert np.median(normal) == pytest.approx(1.0, abs=0.35)


def test_several_conditions_make_one_normal(extractor, windows):
    one = baseline.learn([windows(60, 1)], extractor.features)
    both = baseline.learn([windows(60, 1), windows(60, 2, load=3.0)], extractor.features)
    unseen = windows(60, 12, load=3.0)
    assert np.mean(one.scores(unseen) > one.threshold) > 0.9
    assert np.mean(both.scores(unseen) > both.threshold) <= 0.02
    assert both.windows == (60, 60)


@pytest.mark.parametrize("seldom", [20, 60])
def test_a_condition_seldom_run_is_as_normal_as_the_others(extractor, windows, seldom):
    learnt = baseline.learn([windows(300, 1), windows(seldom, 2, load=3.0)], extractor.features)
    for load in (1.0, 3.0):
        assert np.mean(learnt.scores(windows(100, 12, load=load)) > learnt.threshold) <= 0.1
        fault = windows(40, 13, tone_hz=310, amplitude=0.5 * load, load=load)
        assert np.mean(learnt.scores(fault) > learnt.threshold) >= 0.95
    assert learnt.windows == (300, seldom)


def test_25_windows_are_enough_for_a_usable_threshold(extractor, windows):
    learnt = baseline.learn([windows(25, 1)], extractor.features)
    assert np.mean(learnt.scores(windows(200, 21)) > learnt.threshold) <= 0.05
    assert np.mean(learnt.scores(windows(40, 22, tone_hz=310)) > learnt.threshold) == 1.0


def test_int8_agrees_with_float(learnt, windows):
    normal, fault = windows(60, 31), windows(60, 32, tone_hz=310, amplitude=0.5)
    assert (
        np.abs(learnt.scores(normal) - learnt.scores(normal, quantized=False)).max() < 0.05 * learnt.threshold
    )
    # Far from normal the int8 activations end where learning ended; the verdict is the same.
    assert learnt.scores(fault).min() > learnt.threshold
    assert learnt.scores(fault, quantized=False).min() > learnt.threshold
    assert learnt.receipt.rank > 0.95
    assert learnt.receipt.agreement > 0.97
    assert learnt.receipt.mean <= learnt.receipt.largest < 0.15


def test_the_same_windows_and_seed_give_the_same_model(extractor, windows):
    X = windows(40, 5)
    one, same, other = (baseline.learn([X], extractor.features, seed=seed) for seed in (3, 3, 4))
    assert one.threshold == same.threshold
    assert one.residual_scale.tobytes() == same.residual_scale.tobytes()
    pairs = list(zip(one.model.layers, same.model.layers, strict=True))
    assert all(a.weight.tobytes() == b.weight.tobytes() for a, b in pairs)
    assert other.threshold != one.threshold


def test_one_wild_window_in_many_does_not_set_the_threshold(extractor, windows):
    X = windows(300, 6)
    clean = baseline.learn([X], extractor.features).threshold
    X[150] = windows(1, 7, tone_hz=310, amplitude=20.0)[0]
    assert baseline.learn([X], extractor.features).threshold < 1.3 * clean


def test_too_few_windows_are_refused_with_how_much_more(extractor, windows):
    with pytest.raises(LearningError, match=r"10 windows .* at least 25; record about 2\.5 times as much"):
        baseline.learn([windows(4, 1), windows(6, 2)], extractor.features)
    with pytest.raises(LearningError, match="0 windows"):
        baseline.learn([], extractor.features)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_refused_by_place(extractor, windows, bad):
    X = windows(30, 1)
    X[7, 3] = bad
    name = extractor.names[3]
    with pytest.raises(LearningError, match=rf"recording 1: window 7, {name} is {bad}"):
        baseline.learn([windows(30, 2), X], extractor.features)


def test_a_sensor_that_does_not_move_is_refused(extractor):
    still = np.tile(extractor(np.zeros((2, 500), np.float32)), (40, 1))
    with pytest.raises(LearningError, match=r"are the same.*sensor is alive"):
        baseline.learn([still], extractor.features)


def test_a_signal_below_what_any_sensor_measures_is_refused(extractor):
    """As of a recording in the wrong unit; a threshold of 0.0003 would come of it."""
    rng = np.random.default_rng(5)
    rows = [extractor(rng.normal(0, 1e-6, (2, 500)).astype(np.float32)) for _ in range(40)]
    with pytest.raises(LearningError, match=r"all 40 windows are the same.*the unit is right"):
        baseline.learn([np.stack(rows)], extractor.features)


def test_recordings_of_another_shape_are_refused(extractor, windows):
    with pytest.raises(LearningError, match=r"recording 1: features of shape \(30, 5\).*same rate, window"):
        baseline.learn([windows(30, 1), windows(30, 1)[:, :5]], extractor.features)


def test_progress_rises_to_one_and_cancels(extractor, windows):
    X, seen = windows(30, 1), []
    baseline.learn([X], extractor.features, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1.0)

    def cancel(done):
        if done > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        baseline.learn([X], extractor.features, progress=cancel)


def test_many_short_recordings_are_held_out_in_turn(extractor, windows):
    X = windows(60, 51)
    learnt = baseline.learn([X[i : i + 1] for i in range(60)], extractor.features)
    assert np.mean(learnt.scores(windows(100, 52)) > learnt.threshold) <= 0.05
    folds = np.concatenate([baseline._blocks(1, i) for i in range(60)])
    assert np.bincount(folds).tolist() == [12] * 5


def test_neighbours_in_time_share_a_fold():
    folds = baseline._blocks(100, 3)
    assert np.count_nonzero(np.diff(folds)) == baseline.FOLDS - 1
    assert np.bincount(folds).tolist() == [20] * 5


@pytest.mark.parametrize(("mean", "agreement"), [(0.2, 1.0), (0.01, 0.9)])
def test_a_model_that_int8_has_spoilt_is_refused(mean, agreement):
    sound = baseline.Receipt(largest=0.1, mean=0.01, rank=0.99, agreement=1.0)
    assert baseline._accepted(sound) is sound
    with pytest.raises(LearningError, match="int8 model"):
        baseline._accepted(baseline.Receipt(largest=0.5, mean=mean, rank=0.9, agreement=agreement))
