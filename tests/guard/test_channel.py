"""One channel: delay, deadband and off-delay of a level; whether it can trip; its zone."""

import pytest

from appliance.guard.channel import Channel, Condition, Setpoints, protects, zone
from appliance.records import Level, MachineState

BAND = 1.0


def conditions(excesses: list[float], delay: int = 0, off_delay: int = 0) -> list[bool]:
    """Whether the level stands after each value, one every time unit."""
    condition, found = Condition(), []
    for t_ns, excess in enumerate(excesses):
        condition.update(t_ns, excess, BAND, delay, off_delay)
        found.append(condition.stands)
    return found


def test_at_the_setpoint_counts_and_below_does_not() -> None:
    assert conditions([0.0]) == [True]
    assert conditions([-0.001]) == [False]


def test_a_level_stands_when_its_delay_is_over_and_not_before() -> None:
    assert conditions([1, 1, 1, 1], delay=2) == [False, False, True, True]


def test_a_dip_begins_the_delay_anew() -> None:
    assert conditions([1, 1, -0.5, 1, 1, 1], delay=2) == [False, False, False, False, False, True]


def test_a_level_clears_only_outside_its_deadband() -> None:
    assert conditions([0, -0.9, -1.0, -1.001]) == [True, True, True, False]


def test_it_clears_when_it_was_back_for_the_off_delay_without_a_break() -> None:
    assert conditions([0, -2, -2, -2], off_delay=2) == [True, True, True, False]
    assert conditions([0, -2, -2, -0.5, -2, -2, -2], off_delay=2) == [True] * 6 + [False]
    assert conditions([0, -2, -2, 3, -2, -2, -2], off_delay=2) == [True] * 6 + [False]


def test_after_clearing_the_delay_is_needed_again() -> None:
    assert conditions([0, 0, -2, 0, 0], delay=1) == [False, True, False, False, True]


def test_a_late_value_is_as_old_as_it_says() -> None:
    condition = Condition()
    condition.update(10, 1.0, BAND, 5, 0)
    condition.update(4, 1.0, BAND, 5, 0)
    assert not condition.stands
    condition.update(9, 1.0, BAND, 5, 0)
    assert condition.stands
    condition.update(20, -2.0, BAND, 5, 5)
    condition.update(16, -2.0, BAND, 5, 5)
    assert condition.stands
    condition.update(21, -2.0, BAND, 5, 5)
    assert not condition.stands


def test_a_running_delay_is_held_while_nothing_is_seen() -> None:
    condition = Condition()
    condition.update(0, 1.0, BAND, 5, 0)
    condition.hold(3)
    condition.update(7, 1.0, BAND, 5, 0)
    assert not condition.stands
    condition.update(8, 1.0, BAND, 5, 0)
    assert condition.stands


def test_holding_begins_no_delay_and_does_not_touch_a_level_that_stands() -> None:
    condition = Condition()
    condition.hold(3)
    assert condition == Condition()
    condition.update(0, 1.0, BAND, 0, 0)
    condition.hold(3)
    assert (condition.beyond_ns, condition.stands) == (0, True)


def test_holding_breaks_the_off_delay() -> None:
    condition = Condition(beyond_ns=0, stands=True, back_ns=1)
    condition.hold(1)
    condition.update(3, -2.0, BAND, 0, 2)
    assert condition.stands


def test_clear_forgets_everything() -> None:
    condition = Condition(beyond_ns=0, stands=True, back_ns=1)
    condition.clear()
    assert condition == Condition()


@pytest.mark.parametrize(
    ("channel", "expected"),
    [
        (Channel("a", "mm/s"), False),
        (Channel("a", "mm/s", Setpoints(1.0, None)), False),
        (Channel("a", "mm/s", Setpoints(None, 2.0)), True),
        (Channel("a", "mm/s", by_state={MachineState.OFF: Setpoints(None, 2.0)}), True),
        (Channel("a", "mm/s", by_state={MachineState.OFF: Setpoints(1.0, None)}), False),
        (Channel("a", "mm/s", not_ok_level=Level.DANGER), True),
    ],
)
def test_a_channel_protects_if_it_can_reach_danger_in_any_way(channel: Channel, expected: bool) -> None:
    assert protects(channel) is expected


def test_zones_change_at_their_edges() -> None:
    channel = Channel("a", "mm/s", zone_edges=(1.4, 2.8, 4.5))
    assert [zone(channel, v) for v in (0.0, 1.39, 1.4, 2.8, 4.49, 4.5, 99.0)] == list("AABCCDD")


def test_no_zone_without_edges_or_value() -> None:
    assert zone(Channel("a", "mm/s"), 3.0) == ""
    assert zone(Channel("a", "mm/s", zone_edges=(1.4, 2.8, 4.5)), None) == ""


def test_the_usual_channel() -> None:
    """What a configuration relies on where it says nothing."""
    usual = Channel("a", "mm/s")
    assert (usual.setpoints, usual.under, usual.deadband) == (Setpoints(None, None), False, 0.05)
    assert (usual.latch, usual.not_ok_level) == (frozenset({Level.DANGER}), Level.ALERT)
    assert (usual.multiplied, usual.learned) == (False, False)
    assert (usual.realarm_ns, usual.not_ok_delay_ns) == (0, 0)
