"""Faults and changed conditions of the small machine, told apart by their causes."""

from dataclasses import replace

import numpy as np
import pytest
from small_machine import accelerations

from appliance.analysis import memory
from appliance.analysis.condition import Conditions


def knocking(extractor, count, seed):
    """Windows in which something hits axis y forty times a second."""
    out = accelerations(count, seed)
    out[:, 1, ::25] += 8.0
    return np.stack([extractor(window) for window in out])


@pytest.fixture(scope="module")
def conditions(learnt):
    known = replace(learnt.memory, speeds_hz=(24.9, 26.0))
    return Conditions(known, learnt.standard, learnt.features)


def test_a_line_that_was_not_there_is_a_fault(conditions, learnt, windows):
    found = conditions.judge(learnt.standard(windows(12, 61, tone_hz=310)), [])
    assert (found.kind, found.sure) == ("fault", False)


def test_more_load_is_a_condition_and_much_more_is_not(learnt, windows):
    learnt_light = Conditions(learnt.memory, learnt.standard, learnt.features)
    more = learnt_light.judge(learnt.standard(windows(12, 62, load=2.4)), [])
    assert more.kind == "new"
    assert "all bands at 1." in more.words
    much = learnt_light.judge(learnt.standard(windows(12, 63, load=6.0)), [])
    assert much.kind == "fault"
    assert "vibration" in much.words


def test_impacts_are_a_fault_at_any_speed(conditions, learnt, extractor):
    Z = learnt.standard(knocking(extractor, 12, 64))
    for speeds in ([], [31.0] * 12):
        found = conditions.judge(Z, speeds)
        assert found.kind == "fault"
        assert "impacts" in found.words


@pytest.mark.parametrize(
    ("speeds", "new"),
    [
        ([31.0] * 12, True),
        ([31.0] * 7 + [24.9], True),
        ([31.0] * 4, False),  # heard too seldom
        ([25.3] * 12, False),  # slip
        ([31.0, 15.0, 47.0, 60.0] * 3, False),  # heard, but not believed
    ],
)
def test_another_speed_is_a_condition_where_most_windows_agree(conditions, learnt, windows, speeds, new):
    found = conditions.judge(learnt.standard(windows(12, 65, tone_hz=310)), speeds)
    assert (found.kind == "new") == new
    assert ("31.0 Hz, learnt at 24.9, 26.0 Hz" in found.words) == new


def test_other_surroundings_at_rest_are_a_condition(learnt, windows):
    rest = learnt.standard(np.median(windows(12, 66, load=0.05), axis=0))
    known = Conditions(replace(learnt.memory, background=rest), learnt.standard, learnt.features)
    Z = learnt.standard(windows(12, 67, tone_hz=310))
    assert known.judge(Z, [], rest + 0.1).kind == "fault"
    louder = learnt.standard(np.median(windows(12, 68, load=0.3), axis=0))
    found = known.judge(Z, [], louder)
    assert (found.kind, found.sure) == ("new", True)


def test_slow_change_is_measured_from_what_was_commissioned(learnt, windows, extractor):
    known = Conditions(learnt.memory, learnt.standard, learnt.features)
    assert known.drifted(np.median(learnt.standard(windows(30, 69, load=1.3)), axis=0)) == ""
    worn = known.drifted(np.median(learnt.standard(windows(30, 70, tone_hz=310)), axis=0))
    assert "what was commissioned" in worn
    assert "impacts" in known.drifted(np.median(learnt.standard(knocking(extractor, 30, 71)), axis=0))


def test_speeds_are_told_apart_and_chance_is_left_out():
    heard = [24.8, 25.0, 25.1] * 5 + [30.0, 30.2, 30.1] + [48.0]
    assert memory.distinct(heard) == pytest.approx((25.0, 30.1))


def test_landmarks_are_few_and_of_every_stretch(windows, learnt):
    Z = learnt.standard(windows(50, 72))
    marks = memory.landmarks(Z, np.arange(50) // 10)
    assert marks.shape == (30, Z.shape[1])
    assert memory.landmarks(Z, np.arange(50)).shape[0] <= memory.LANDMARKS
