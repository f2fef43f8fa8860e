"""The alarm engine: levels, latch, NOT OK, idle, setpoints by state, first out, votes."""

import math

import pytest
from engines import OFF, A, D, N, S, channel, engine, levels

from appliance.guard.alarm import AlarmEngine
from appliance.guard.channel import Setpoints, Vote, What
from appliance.records import Level, MachineState


def test_each_level_has_its_own_setpoint_and_delay() -> None:
    one = engine(channel(alert_delay_ns=1 * S, danger_delay_ns=3 * S))
    assert levels(one, [25, 25, 25, 25]) == [N, A, A, D]


def test_at_the_setpoint_is_over_it() -> None:
    assert levels(engine(), [9.999, 10.0, 20.0]) == [N, A, D]


def test_the_deadband_is_a_share_of_the_setpoint() -> None:
    assert levels(engine(channel(deadband=0.1)), [10, 9.0, 8.99]) == [A, A, N]
    negative = channel(setpoints=Setpoints(-10.0, None), deadband=0.1)
    assert levels(engine(negative), [-10, -11.0, -11.01]) == [A, A, N]


def test_the_off_delay() -> None:
    assert levels(engine(channel(off_delay_ns=2 * S)), [15, 0, 0, 0]) == [A, A, A, N]


def test_under_counts_downward_with_its_deadband_above() -> None:
    one = engine(channel(setpoints=Setpoints(10.0, 5.0), under=True, deadband=0.1, latch=frozenset()))
    assert levels(one, [10.1, 10.0, 11.0, 11.1, 5.0, 5.5, 5.6]) == [N, A, A, N, D, D, A]


def test_danger_latches_and_alert_does_not_by_default() -> None:
    assert levels(engine(), [15, 1, 25, 15, 1]) == [A, N, D, D, D]


@pytest.mark.parametrize(
    ("latch", "after"),
    [
        (frozenset(), [A, N, D, N]),
        (frozenset({A}), [A, A, D, A]),
        (frozenset({D}), [A, N, D, D]),
        (frozenset({A, D}), [A, A, D, D]),
    ],
)
def test_each_level_latches_or_not(latch: frozenset[Level], after: list[Level]) -> None:
    one = engine(channel(latch=latch))
    assert levels(one, [15, 1, 25, 1]) == after
    assert one.state_of("a").latched is (after[-1] > N)


def test_a_change_is_told_once_with_its_time_and_what_was() -> None:
    one = engine(channel(delay_s=1))
    assert one.value("a", 0, 15.0) == []
    [raised] = one.value("a", S, 15.0)
    assert (raised.what, raised.t_ns, raised.name, raised.was) == (What.RAISED, S, "a", N)
    assert (raised.who, raised.why) == ("", "")
    state = raised.state
    assert state is not None
    assert (state.level, state.value, state.since_mono_ns, state.unit) == (A, 15.0, S, "mm/s")
    assert one.value("a", 2 * S, 15.0) == []
    assert one.state_of("a").since_mono_ns == S
    [cleared] = one.value("a", 3 * S, 1.0)
    assert (cleared.what, cleared.t_ns, cleared.was) == (What.CLEARED, 3 * S, A)
    assert cleared.state is not None
    assert (cleared.state.level, cleared.state.since_mono_ns) == (N, 3 * S)


def test_a_rise_from_alert_to_danger_is_told_too() -> None:
    one = engine()
    one.value("a", 0, 15.0)
    [raised] = one.value("a", S, 25.0)
    assert (raised.what, raised.was, one.state_of("a").since_mono_ns) == (What.RAISED, A, S)


def test_a_fall_from_danger_to_alert_is_a_clearing() -> None:
    one = engine(channel(latch=frozenset()))
    one.value("a", 0, 25.0)
    [cleared] = one.value("a", S, 15.0)
    assert (cleared.what, cleared.was, one.state_of("a").level) == (What.CLEARED, D, A)


def test_levels_not_watched_do_not_stand() -> None:
    assert levels(engine(channel(setpoints=Setpoints(None, 20.0))), [15, 25]) == [N, D]
    assert levels(engine(channel(setpoints=Setpoints(10.0, None))), [15, 25]) == [A, A]


@pytest.mark.parametrize(("policy", "after"), [(N, N), (A, A), (D, D)])
def test_not_ok_raises_what_its_policy_says_after_its_delay(policy: Level, after: Level) -> None:
    one = engine(channel(not_ok_level=policy, not_ok_s=2))
    assert levels(one, [1, None, None, None, None]) == [N, N, N, after, after]
    state = one.state_of("a")
    assert (state.ok, state.value, state.reason) == (False, None, "gone")


def test_not_ok_may_count_at_once_and_ends_with_a_value() -> None:
    one = engine(channel(latch=frozenset()))
    assert levels(one, [None, 1]) == [A, N]
    assert (one.state_of("a").ok, one.state_of("a").reason) == (True, "")


def test_the_delay_of_not_ok_begins_anew_after_a_value_and_after_idle() -> None:
    one = engine(channel(not_ok_s=2))
    assert levels(one, [None, None, 1, None, None, None]) == [N, N, N, N, N, A]
    assert levels(engine(channel(not_ok_s=2)), [None, None, "idle", None, None]) == [N] * 5


def test_a_late_not_ok_does_not_make_a_blind_channel_see() -> None:
    one = engine(channel(not_ok_level=D, not_ok_s=2, latch=frozenset()))
    assert levels(one, [None, None, None]) == [N, N, D]
    one.not_ok("a", -S, "late")
    assert (one.state_of("a").level, one.votes()["a"].blind) == (D, True)


def test_not_ok_clears_no_level() -> None:
    one = engine(channel(not_ok_level=N, latch=frozenset(), off_delay_ns=S))
    assert levels(one, [25, None, None, None]) == [D] * 4
    assert levels(one, [1, None, None, 1, 1], start_s=4) == [D, D, D, D, N]


def test_alert_under_not_ok_policy_and_danger_over_it() -> None:
    assert levels(engine(channel(not_ok_level=D, latch=frozenset())), [15, None]) == [A, D]
    assert levels(engine(channel(not_ok_level=A, latch=frozenset())), [25, None]) == [D, D]
    assert levels(engine(channel(not_ok_level=N, latch=frozenset())), [15, None]) == [A, A]


def test_a_running_delay_is_held_while_not_ok() -> None:
    one = engine(channel(delay_s=3, not_ok_level=N))
    assert levels(one, [25, None, None, 25, 25, 25]) == [N, N, N, N, N, D]


def test_a_late_not_ok_takes_nothing_off_the_delay() -> None:
    one = engine(channel(delay_s=3, not_ok_level=N))
    levels(one, [25, 25])
    one.not_ok("a", 0, "late")
    one.value("a", 3 * S, 25.0)
    assert one.state_of("a").level is D


def test_not_ok_first_of_all_delays_nothing() -> None:
    one = engine(channel(delay_s=3, not_ok_level=N))
    one.not_ok("a", 5 * S, "gone")
    assert levels(one, [25, 25, 25, 25], start_s=6) == [N, N, N, D]


def test_what_is_reached_while_not_ok_raises_but_never_clears() -> None:
    one = engine(channel(not_ok_level=N, latch=frozenset()))
    one.not_ok("a", 0, "clip", 15.0)
    assert (one.state_of("a").level, one.state_of("a").value) == (A, 15.0)
    one.not_ok("a", S, "clip", 25.0)
    assert one.state_of("a").level is D
    one.not_ok("a", 2 * S, "clip", 1.0)
    assert one.state_of("a").level is D
    one.value("a", 3 * S, 1.0)
    assert one.state_of("a").level is N


def test_what_is_reached_while_not_ok_lets_the_delay_run_and_what_is_not_holds_it() -> None:
    one = engine(channel(delay_s=3, not_ok_level=N))
    for t_s, reached in enumerate((20.0, 20.0, 1.0, 1.0, 20.0)):
        one.not_ok("a", t_s * S, "clip", reached)
    assert one.state_of("a").level is N
    one.not_ok("a", 5 * S, "clip", 20.0)
    assert one.state_of("a").level is D


def test_what_is_reached_means_nothing_to_a_channel_that_watches_downward() -> None:
    one = engine(channel(setpoints=Setpoints(10.0, 5.0), under=True, not_ok_level=N))
    one.not_ok("a", 0, "clip", 1.0)
    assert one.state_of("a").level is N


def test_not_ok_clears_no_level_whose_setpoint_is_gone() -> None:
    by_state = {OFF: Setpoints(None, None)}
    for reached in (None, 1.0):
        one = engine(channel(not_ok_level=N, latch=frozenset(), by_state=by_state))
        one.value("a", 0, 25.0)
        one.machine(OFF)
        one.not_ok("a", S, "clip", reached)
        assert one.state_of("a").level is D
        one.value("a", 2 * S, 25.0)
        assert one.state_of("a").level is N


def test_a_value_that_is_no_number_is_not_ok() -> None:
    one = engine()
    one.value("a", 0, math.nan)
    state = one.state_of("a")
    assert (state.level, state.ok, state.reason, state.value) == (A, False, "not a number", None)
    one.not_ok("a", S, "clip", math.nan)
    assert one.state_of("a").value is None
    one.show("a", math.nan, "seen")
    assert one.state_of("a").value is None


def test_shown_is_not_judged() -> None:
    one = engine()
    one.show("a", 99.0, "power-up inhibit")
    state = one.state_of("a")
    assert (state.level, state.value, state.reason) == (N, 99.0, "power-up inhibit")
    assert not one.judged


def test_idle_is_ok_without_a_value_and_a_level_raised_stays() -> None:
    one = engine(channel(latch=frozenset(), off_delay_ns=S))
    assert levels(one, ["learning", 15, "machine off", 1, "machine off", 1, 1]) == [N, A, A, A, A, A, N]
    one.idle("a", 9 * S, "machine off")
    state = one.state_of("a")
    assert (state.ok, state.value, state.reason) == (True, None, "machine off")


def test_idle_begins_a_running_delay_anew() -> None:
    assert levels(engine(channel(delay_s=2)), [25, 25, "idle", 25, 25, 25]) == [N, N, N, N, N, D]


def test_idle_ends_not_ok() -> None:
    one = engine(channel(latch=frozenset()))
    one.not_ok("a", 0, "gone")
    [cleared] = one.idle("a", S, "learning")
    assert (cleared.what, cleared.t_ns, cleared.was) == (What.CLEARED, S, A)
    assert one.votes()["a"] == Vote(danger=False, pending=False, blind=True, learned=False)


def test_setpoints_of_the_machine_s_state() -> None:
    one = engine(channel(by_state={OFF: Setpoints(1.0, 2.0)}, latch=frozenset()))
    assert levels(one, [5]) == [N]
    one.machine(OFF)
    assert (one.state_of("a").alert, one.state_of("a").danger) == (1.0, 2.0)
    assert levels(one, [5], start_s=1) == [D]
    one.machine(MachineState.RUNNING)
    assert levels(one, [5], start_s=2) == [N]


def test_no_setpoint_in_a_state_clears_at_once() -> None:
    one = engine(channel(by_state={OFF: Setpoints()}, latch=frozenset(), off_delay_ns=9 * S))
    assert levels(one, [25]) == [D]
    one.machine(OFF)
    assert levels(one, [25], start_s=1) == [N]


def test_first_out_is_the_first_and_only_the_first() -> None:
    one = engine(channel("a"), channel("b"), channel("c"))
    one.value("b", S, 30.0)
    one.value("a", 2 * S, 30.0)
    one.value("b", 3 * S, 31.0)
    assert one.in_danger() == ["b", "a"]
    assert [state.first_out for state in one.states()] == [False, True, False]


def test_first_out_goes_by_time_and_then_by_the_order_of_the_configuration() -> None:
    one = engine(channel("z"), channel("b"), channel("a"))
    for name, t_s in (("a", 2), ("z", 2), ("b", 1)):  # b's block is late
        one.value(name, t_s * S, 30.0)
    assert one.in_danger() == ["b", "z", "a"]


def test_first_out_is_kept_by_what_reached_danger_even_if_it_is_over() -> None:
    one = engine(channel("a", latch=frozenset()), channel("b", latch=frozenset()))
    one.value("a", 0, 30.0)
    one.value("a", S, 1.0)
    one.value("b", 2 * S, 30.0)
    assert one.in_danger() == ["a", "b"]


def test_an_alert_is_not_first_out() -> None:
    one = engine()
    one.value("a", 0, 15.0)
    assert one.in_danger() == []


def test_reset_clears_the_latches_and_what_stands_latches_anew() -> None:
    one = engine(channel("a"), channel("b"), channel("c"))
    for name, value in (("a", 1.0), ("b", 30.0), ("c", 15.0)):
        one.value(name, 0, 30.0)
        one.value(name, S, value)
    changes = one.reset(2 * S)
    assert [(one.what, one.name, one.was, one.t_ns) for one in changes] == [
        (What.CLEARED, "a", D, 2 * S),
        (What.CLEARED, "c", D, 2 * S),
    ]
    assert [state.level for state in one.states()] == [N, D, A]
    assert [state.latched for state in one.states()] == [False, True, False]
    assert one.in_danger() == ["b"]
    assert one.state.channels["b"].danger_ns == 2 * S


def test_votes() -> None:
    one = engine(
        channel(delay_s=1, not_ok_level=D, not_ok_s=1, latch=frozenset({D})), channel("s", learned=True)
    )
    assert one.votes()["a"] == Vote(danger=False, pending=False, blind=False, learned=False)
    one.value("a", 0, 25.0)
    assert one.votes()["a"] == Vote(danger=False, pending=True, blind=False, learned=False)
    one.value("a", S, 25.0)
    assert one.votes()["a"] == Vote(danger=True, pending=True, blind=False, learned=False)
    one.value("a", 2 * S, 1.0)  # latched, but the vote is for what stands
    assert one.votes()["a"] == Vote(danger=False, pending=False, blind=False, learned=False)
    one.not_ok("a", 3 * S, "gone")
    assert one.votes()["a"] == Vote(danger=False, pending=True, blind=False, learned=False)
    one.not_ok("a", 4 * S, "gone")
    assert one.votes()["a"] == Vote(danger=True, pending=True, blind=True, learned=False)


def test_a_model_never_heard_has_no_opinion_and_one_that_was_has() -> None:
    one = engine(channel("s", learned=True))
    assert one.votes()["s"] == Vote(danger=False, pending=False, blind=True, learned=True)
    one.value("s", 0, 1.0)
    assert one.votes()["s"] == Vote(danger=False, pending=False, blind=False, learned=True)


def test_not_ok_that_only_alerts_is_pending_for_nothing() -> None:
    one = engine(channel(not_ok_level=A))
    one.not_ok("a", 0, "gone")
    assert one.votes()["a"] == Vote(danger=False, pending=False, blind=True, learned=False)


def test_judged_is_every_absolute_channel_that_can_reach_danger() -> None:
    harmless = channel("h", setpoints=Setpoints(10.0, None))
    one = engine(channel("a"), channel("b", not_ok_s=1), channel("s", learned=True), harmless)
    assert not one.judged
    one.value("a", 0, 1.0)
    one.not_ok("b", 0, "gone")
    assert not one.judged
    one.not_ok("b", S, "gone")
    assert one.judged
    one.value("b", 2 * S, 1.0)
    assert one.judged


@pytest.mark.parametrize("first", [1.0, "learning"])
def test_a_value_or_idle_is_a_judgement(first: float | str) -> None:
    one = engine()
    levels(one, [first])
    assert one.judged


def test_the_level_of_the_machine_is_the_worst() -> None:
    one = engine(channel("a"), channel("b"))
    assert one.level is N
    one.value("a", 0, 15.0)
    one.value("b", 0, 1.0)
    assert one.level is A
    assert AlarmEngine((), 1.0, 0).level is N


def test_a_state_shows_everything() -> None:
    one = engine(channel(zone_edges=(1.0, 12.0, 18.0)))
    one.value("a", S, 25.0)
    state = one.state_of("a")
    assert (state.channel, state.level, state.ok, state.value) == ("a", D, True, 25.0)
    assert (state.unit, state.alert, state.danger) == ("mm/s", 10.0, 20.0)
    assert (state.latched, state.first_out, state.zone, state.reason) == (True, True, "D", "")
    one.not_ok("a", 2 * S, "clip", 30.0)
    assert one.state_of("a").zone == ""


def test_an_engine_goes_on_from_the_state_of_another_and_leaves_out_what_is_gone() -> None:
    old = engine(channel("a"), channel("b"))
    old.value("a", 0, 25.0)
    old.value("b", 0, 25.0)
    new = AlarmEngine((channel("c"), channel("a")), 1.0, 0, old.state)
    assert {state.channel: state.level for state in new.states()} == {"c": N, "a": D}
    assert new.in_danger() == ["a"]


def test_a_value_may_bring_the_delay_of_its_alert_never_that_of_its_danger() -> None:
    one = engine(channel(delay_s=3))
    found = []
    for second in range(4):
        one.value("a", second * S, 25.0, 1 * S)
        found.append(one.state_of("a").level)
    assert found == [N, A, A, D]


def test_the_channels_own_delay_counts_where_a_value_brings_none() -> None:
    one = engine(channel(delay_s=2))
    one.value("a", 0, 15.0, 9 * S)
    one.value("a", 2 * S, 15.0, 9 * S)
    assert one.state_of("a").level is N
    one.value("a", 3 * S, 15.0)
    assert one.state_of("a").level is A
    one.value("a", 4 * S, 1.0, 0)
    one.value("a", 5 * S, 15.0, 0)
    assert one.state_of("a").level is A
