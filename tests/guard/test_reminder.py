"""The proof test's reminder: at once, then daily, and silent while nothing is due."""

from appliance.guard.reminder import Reminder

HOUR_S = 3600.0


def test_it_tells_once_and_then_daily_while_it_is_due() -> None:
    one = Reminder()
    told = [hour for hour in range(100) if one.tells(5.0 + hour * HOUR_S, due=True)]
    assert told == [0, 24, 48, 72, 96]


def test_it_says_nothing_while_nothing_is_due_and_tells_at_once_when_it_is() -> None:
    one = Reminder()
    assert not any(one.tells(hour * HOUR_S, due=False) for hour in range(50))
    assert one.tells(50 * HOUR_S, due=True)
    assert not one.tells(51 * HOUR_S, due=False)
