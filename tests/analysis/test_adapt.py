"""Another load is learnt in addition; a fault is not, and nothing of the past is forgotten."""

import msgspec
import numpy as np
import pytest
from small_machine import bundle_of

from appliance.analysis import adapt, recall
from appliance.errors import BundleError, LearningError


@pytest.fixture(scope="module")
def adapted(learnt, windows):
    return adapt.adapt(learnt, windows(40, 81, load=3.0), speeds_hz=[27.9] * 40, accepted=True)


def over(baseline, X):
    return float(np.mean(baseline.scores(X) > baseline.threshold))


def test_a_new_load_becomes_normal_and_faults_stand_out(learnt, adapted, windows):
    new = windows(150, 82, load=3.0)
    assert over(learnt, new) > 0.9
    assert over(adapted, new) <= 0.05
    assert over(adapted, windows(60, 83, load=3.0, tone_hz=310, amplitude=3.0)) >= 0.95


def test_what_was_learnt_before_is_kept(learnt, adapted, windows):
    old = np.concatenate([windows(100, 84), windows(100, 85, load=1.5)])
    assert over(adapted, old) <= 0.02
    assert over(adapted, windows(60, 86, tone_hz=310)) >= 0.95
    assert adapted.threshold <= adapt.MOST_RAISED * learnt.threshold
    assert adapted.memory.conditions == learnt.memory.conditions + 1
    assert adapted.memory.speeds_hz == (*learnt.memory.speeds_hz, 27.9)
    inner = [layer.weight.tobytes() for layer in adapted.model.layers[:-1]]
    assert inner == [layer.weight.tobytes() for layer in learnt.model.layers[:-1]]


def test_the_threshold_cannot_creep_up(learnt, windows):
    worn = learnt
    for step in range(6):
        worn = adapt.adapt(worn, windows(25, 90 + step, load=1.5 + 0.3 * step), accepted=True)
    assert worn.threshold <= adapt.MOST_RAISED * learnt.threshold


def test_slow_change_is_followed_only_within_its_budget(learnt, windows):
    followed = adapt.adapt(learnt, windows(40, 87, load=1.7), accepted=False)
    assert followed.memory.landmarks.shape == learnt.memory.landmarks.shape
    with pytest.raises(LearningError, match=r"not adapted: .* commissioned; find the cause"):
        adapt.adapt(followed, windows(40, 88, tone_hz=310), accepted=False)


def test_too_few_windows_are_refused(learnt, windows):
    with pytest.raises(LearningError, match="10 windows to adapt to, expected at least 25"):
        adapt.adapt(learnt, windows(10, 89), accepted=True)


def test_a_bundle_remembers_enough_to_be_adapted(learnt, made, windows, extractor, adapted):
    again = recall.baseline(made.manifest, made.network, extractor.features)
    assert again.scores(windows(20, 91)).tobytes() == learnt.scores(windows(20, 91)).tobytes()
    later = adapt.adapt(again, windows(40, 81, load=3.0), accepted=True)
    X = windows(60, 92, load=3.0)
    np.testing.assert_allclose(later.scores(X), adapted.scores(X), rtol=0.05)
    child = bundle_of(later)
    assert child.manifest.memory.conditions == 3
    assert child.manifest.threshold.rule.endswith("of an adaptation")


@pytest.mark.parametrize(
    ("key", "text", "said"), [("gram", "AAAA", "gram"), ("landmarks", "no base64!", "landmarks: ")]
)
def test_a_memory_that_does_not_fit_is_refused(made, key, text, said):
    broken = msgspec.structs.replace(
        made.manifest, memory=msgspec.structs.replace(made.manifest.memory, **{key: text})
    )
    with pytest.raises(BundleError, match=said):
        recall.memory(broken, made.network)
