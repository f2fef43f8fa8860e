"""A bundle and what was gathered: the child knows both, and says whose child it is."""

import pytest
from small_machine import bundle_of

from appliance.analysis import adaptation, bundle
from appliance.analysis.novelty import Seen
from appliance.analysis.scorer import Scorer
from appliance.errors import BudgetError

NOW_NS = 1_800_000_000 * 10**9


def seen(learnt, X, **more):
    return [Seen(x, learnt.standard(x), 27.9, over=True, **more) for x in X]


def over(made, X):
    return (Scorer(made).scores(X) > made.threshold).mean()


def test_an_accepted_condition_is_normal_to_the_child(learnt, extractor, windows):
    parent = bundle_of(learnt)
    lines = {"rms": 9.0}
    gathered = seen(learnt, windows(40, 81, load=3.0), level=0.4, lines=lines)
    child = adaptation.accepted(parent, extractor.features, gathered, NOW_NS)
    new = windows(100, 82, load=3.0)
    assert over(parent, new) > 0.9
    assert over(child, new) <= 0.05
    assert over(child, windows(60, 83, load=3.0, tone_hz=310, amplitude=3.0)) >= 0.95
    manifest = child.manifest
    assert manifest.model.parent_sha256 == parent.sha256
    assert manifest.recordings[-1].name == "accepted condition"
    assert manifest.windows.lowest_level == 0.4
    assert manifest.normal["rms"] == (9.0, 9.0)
    assert manifest.memory.speeds_hz[-1] == pytest.approx(27.9)
    assert bundle.verified(child.files).id == child.id


def test_ranges_of_both_are_normal(learnt, extractor, windows):
    parent = bundle_of(learnt)
    first = seen(learnt, windows(40, 81, load=3.0), lines={"a": 1.0, "b": 2.0})
    child = adaptation.accepted(parent, extractor.features, first, NOW_NS)
    again = seen(learnt, windows(40, 84, load=4.0), lines={"b": 5.0, "c": 6.0})
    grandchild = adaptation.accepted(child, extractor.features, again, NOW_NS)
    assert grandchild.manifest.normal == {"a": (1.0, 1.0), "b": (2.0, 5.0), "c": (6.0, 6.0)}


def test_slow_change_is_followed_in_one_line_of_the_manifest(learnt, extractor, windows):
    parent = bundle_of(learnt)
    child = adaptation.followed(parent, extractor.features, list(windows(40, 87, load=1.7)), [], NOW_NS)
    child = adaptation.followed(child, extractor.features, list(windows(30, 88, load=1.7)), [], NOW_NS)
    before, after = parent.manifest, child.manifest
    assert len(after.recordings) == len(before.recordings) + 1
    assert (after.recordings[-1].name, after.recordings[-1].windows) == ("slow change", 70)
    assert after.memory.landmarks == before.memory.landmarks
    with pytest.raises(BudgetError, match="commissioned"):
        adaptation.followed(child, extractor.features, list(windows(40, 89, tone_hz=310)), [], NOW_NS)
