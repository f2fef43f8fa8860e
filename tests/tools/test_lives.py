"""The figures of whole lives against cases that can be counted by hand."""

import numpy as np
import pytest

from tools import lives

WINDOWS = [(100, 200), (500, 600)]


def test_nab_scores_nothing_as_nothing_and_early_finds_as_perfect() -> None:
    assert lives._nab([], WINDOWS) == 0.0
    assert lives._nab([100, 500], WINDOWS) == pytest.approx(100.0, abs=0.5)
    late = lives._nab([199, 599], WINDOWS)
    assert 40 < late < 60


def test_nab_takes_off_for_false_alarms_most_far_from_a_window() -> None:
    found = lives._nab([100, 500], WINDOWS)
    near, far = lives._nab([100, 202, 500], WINDOWS), lives._nab([100, 400, 500], WINDOWS)
    assert far < near < found
    assert lives._nab([10], WINDOWS) < 0


def test_onset_is_where_the_level_stays_up() -> None:
    rms = np.ones(300)
    rms[100:110] = 5.0  # comes back
    rms[250:] = 2.0
    assert 250 <= lives._onset(rms) <= 254
    assert lives._onset(np.ones(300)) == 300
