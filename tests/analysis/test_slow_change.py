"""What of known running is gathered to be followed."""

import numpy as np

from appliance.analysis.slow_change import WINDOWS, SlowChange

DAY_S = 86_400.0
ROW = np.zeros(3, np.float32)


def test_a_period_is_sampled_thinly_and_evenly():
    slow = SlowChange(DAY_S)
    for at_s in np.arange(0.0, DAY_S, 10.0):
        slow.ran(ROW + at_s, 25.0, float(at_s), may_learn=True)
        assert not slow.due
    slow.ran(ROW, None, DAY_S, may_learn=True)
    assert slow.due
    slow.ran(ROW, 25.0, 2 * DAY_S, may_learn=True)  # nobody takes it yet: no more is kept
    rows, speeds_hz = slow.take()
    assert WINDOWS - 1 <= len(rows) <= WINDOWS + 1
    assert len(speeds_hz) == len(rows) - 1
    assert np.ptp(np.diff([row[0] for row in rows[:-1]])) == 0
    assert slow.take() == ([], [])
    assert not slow.due


def test_a_period_with_an_alarm_in_it_begins_anew():
    slow = SlowChange(DAY_S)
    for hour in range(23):
        slow.ran(ROW, 25.0, 3600.0 * hour, may_learn=True)
    slow.ran(ROW, 25.0, 3600.0 * 23, may_learn=False)
    for hour in range(24, 48):
        slow.ran(ROW, 25.0, 3600.0 * hour, may_learn=True)
        assert not slow.due
    slow.ran(ROW, 25.0, 3600.0 * 48, may_learn=True)
    assert slow.due
    assert len(slow.take()[0]) == 25
