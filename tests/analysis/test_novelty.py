"""Windows of the small machine in time: known, changed, faulty, and back."""

import pytest

from appliance.analysis.condition import Conditions
from appliance.analysis.novelty import LONG, STRETCH, NoveltyWatch, Seen

WANTED = 60


@pytest.fixture
def watch(learnt):
    return NoveltyWatch(Conditions(learnt.memory, learnt.standard, learnt.features), WANTED)


def follow(watch, learnt, X, start=0, *, may_learn=True):
    """The kind of running after each window: "" while known."""
    over = learnt.scores(X) > learnt.threshold
    out = []
    for index, (row, high) in enumerate(zip(X, over, strict=True)):
        seen = Seen(row, learnt.standard(row), None, bool(high))
        finding = watch.ran(seen, start + index, may_learn=may_learn)
        out.append(finding.kind if finding else "")
    return out


def test_known_running_is_no_news(watch, learnt, windows):
    assert set(follow(watch, learnt, windows(60, 201))) == {""}


def test_a_new_load_is_found_within_a_stretch_gathered_and_left(watch, learnt, windows):
    follow(watch, learnt, windows(20, 202))
    new = follow(watch, learnt, windows(40, 203, load=2.4), start=1000)
    assert new.index("new") < STRETCH
    assert set(new[STRETCH:]) == {"new"}
    assert 1000 <= watch.since_mono_ns < 1000 + STRETCH
    assert 30 <= len(watch.gathered) < 40
    back = follow(watch, learnt, windows(20, 204))
    assert back[-1] == ""
    assert watch.gathered == []


def test_a_fault_is_never_a_condition_and_ends_one(watch, learnt, windows):
    assert set(follow(watch, learnt, windows(40, 205, tone_hz=310))) == {""}
    assert follow(watch, learnt, windows(24, 206, load=2.4))[-1] == "new"
    assert follow(watch, learnt, windows(24, 207, load=2.4, tone_hz=310, amplitude=9.0))[-1] == ""


def test_surroundings_count_once_they_are_known(watch, learnt, windows):
    rest = learnt.standard(windows(1, 208, load=0.05))[0]
    for _ in range(20):
        watch.rested(rest)
    # Nothing was learnt at rest: its sound says nothing about this fault.
    assert set(follow(watch, learnt, windows(16, 209, tone_hz=310))) == {""}


def test_what_is_enough_waits_until_it_is_answered(watch, learnt, windows):
    new = windows(WANTED, 211, load=2.4)
    follow(watch, learnt, new[:-10], start=1000)
    assert watch.waiting is None
    assert 0.5 < watch.progress < 1.0
    follow(watch, learnt, windows(30, 210, load=2.4))
    assert len(watch.waiting.seen) == WANTED
    assert watch.progress == 1.0
    assert "waits" not in watch.words(10**12, 0.5).partition(";")[0]
    follow(watch, learnt, windows(20, 212))
    assert watch.finding is None
    assert watch.waiting  # the machine runs in a known way again: somebody may still answer
    assert watch.words(10**12, 0.5).startswith("enough is gathered")


def test_what_was_gathered_goes_with_a_fault(watch, learnt, windows):
    follow(watch, learnt, windows(WANTED + 2 * STRETCH, 213, load=2.4))
    assert watch.waiting
    follow(watch, learnt, windows(24, 214, load=2.4, tone_hz=310, amplitude=9.0))
    assert watch.waiting is None
    assert watch.gathered == []


def test_what_waits_outlives_a_short_suspicion_and_no_lasting_one(watch, learnt, windows):
    follow(watch, learnt, windows(WANTED + 2 * STRETCH, 221, load=2.4))
    follow(watch, learnt, windows(20, 222))
    follow(watch, learnt, windows(STRETCH + 4, 223, tone_hz=310))
    assert watch.waiting
    follow(watch, learnt, windows(20, 224))
    assert watch.waiting
    follow(watch, learnt, windows(LONG + STRETCH, 225, tone_hz=310))
    assert watch.waiting is None


def test_impacts_of_one_stretch_do_not_end_a_condition_that_has_just_begun(watch, learnt, windows):
    follow(watch, learnt, windows(STRETCH, 226, load=2.4))
    begun = len(watch.gathered)
    assert set(follow(watch, learnt, windows(LONG - STRETCH, 227, load=2.4, tone_hz=310, amplitude=9.0))) == {
        "new"
    }
    assert len(watch.gathered) == begun + LONG - STRETCH
    assert follow(watch, learnt, windows(2 * STRETCH, 228, load=2.4, tone_hz=310, amplitude=9.0))[-1] == ""


def test_nothing_is_gathered_while_it_may_not_be(watch, learnt, windows):
    follow(watch, learnt, windows(30, 215, load=2.4))
    assert watch.gathered
    assert follow(watch, learnt, windows(WANTED, 216, load=2.4), may_learn=False)[-1] == "new"
    assert watch.gathered == []
    assert watch.waiting is None
    assert "nothing is gathered" in watch.words(10**12, 0.5)


def test_what_is_refused_counts_until_known_running_is_back(watch, learnt, windows):
    follow(watch, learnt, windows(WANTED + 2 * STRETCH, 217, load=2.4))
    watch.refuse()
    assert watch.waiting is None
    assert set(follow(watch, learnt, windows(40, 218, load=2.4))) == {""}
    follow(watch, learnt, windows(20, 219))
    assert follow(watch, learnt, windows(40, 220, load=2.4))[-1] == "new"
