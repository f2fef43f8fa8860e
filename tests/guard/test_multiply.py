"""Trip multiply: which setpoints, from when, until when, and never what."""

from engines import OFF, A, D, N, S, channel, engine, levels, told

from appliance.guard.alarm import AlarmEngine
from appliance.guard.channel import Setpoints, What


def multiplied(**more: object) -> AlarmEngine:
    hot = channel("t", latch=frozenset())
    return engine(channel(multiplied=True, latch=frozenset(), **more), hot, multiply=3.0, longest_s=10)


def test_multiply_raises_both_setpoints_of_multiplied_channels_only() -> None:
    one = multiplied()
    [began] = one.start_up(0, asked=True)
    assert (began.what, began.t_ns) == (What.MULTIPLIED, 0)
    assert (one.state_of("a").alert, one.state_of("a").danger) == (30.0, 60.0)
    assert (one.state_of("t").alert, one.state_of("t").danger) == (10.0, 20.0)
    assert levels(one, [25, 35, 60]) == [N, A, D]
    assert levels(one, [25], name="t") == [D]


def test_multiply_multiplies_what_is_watched_in_that_state() -> None:
    one = multiplied(by_state={OFF: Setpoints(None, 5.0)})
    one.machine(OFF)
    one.start_up(0, asked=True)
    assert (one.state_of("a").alert, one.state_of("a").danger) == (None, 15.0)


def test_multiply_never_applies_to_not_ok() -> None:
    one = multiplied(not_ok_level=D, not_ok_s=1)
    one.start_up(0, asked=True)
    assert levels(one, [None, None]) == [N, D]


def test_multiply_ends_when_start_up_ends() -> None:
    one = multiplied()
    one.start_up(0, asked=True)
    assert one.start_up(5 * S, asked=True) == []
    [ended] = one.start_up(6 * S, asked=False)
    assert (ended.what, ended.t_ns) == (What.UNMULTIPLIED, 6 * S)
    assert one.start_up(7 * S, asked=False) == []
    assert levels(one, [25], start_s=8) == [D]


def test_multiply_ends_after_its_longest_time_and_is_spent_until_asked_anew() -> None:
    one = multiplied()
    one.start_up(0, asked=True)
    one.start_up(5 * S, asked=True)
    assert one.expire(10 * S - 1) == []
    assert told(one.expire(10 * S)) == [(What.UNMULTIPLIED, "")]
    assert one.expire(11 * S) == []
    assert one.start_up(12 * S, asked=True) == []
    assert one.start_up(13 * S, asked=False) == []
    assert told(one.start_up(14 * S, asked=True)) == [(What.MULTIPLIED, "")]


def test_no_factor_no_multiply() -> None:
    assert engine(channel(multiplied=True), multiply=1.0, longest_s=10).start_up(0, asked=True) == []
    assert engine(channel(multiplied=True), multiply=1.5, longest_s=10).start_up(0, asked=True) != []
