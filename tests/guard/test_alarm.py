"""The alarm engine: delay, deadband, latch, first out, NOT OK; and its invariants over any history."""

import math

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from appliance.guard.alarm import AlarmEngine, Channel
from appliance.records import Level

S = 1_000_000_000
N, A, D = Level.NORMAL, Level.ALERT, Level.DANGER


def channel(name="a", alert=10.0, danger=20.0, delay_s=3.0, not_ok=A, not_ok_delay_s=2.0):
    return Channel(name, "m/s2", alert, danger, round(delay_s * S), not_ok, round(not_ok_delay_s * S))


def engine(*channels):
    return AlarmEngine(channels or (channel(),))


def levels(one, values, name="a", start_s=0):
    """Level after each value, one a second; None = NOT OK."""
    found = []
    for k, value in enumerate(values):
        t_ns = (start_s + k) * S
        if value is None:
            one.not_ok(name, t_ns, "gone")
        else:
            one.update(name, t_ns, value)
        found.append(one.level)
    return found


def test_a_level_counts_after_its_delay_and_not_before():
    assert levels(engine(), [15, 15, 15, 15, 15]) == [N, N, N, A, A]


def test_at_the_setpoint_is_over_it():
    assert levels(engine(channel(delay_s=0)), [9.999, 10.0]) == [N, A]
    assert levels(engine(channel(delay_s=0)), [20.0]) == [D]


def test_a_dip_begins_the_delay_anew():
    assert levels(engine(), [15, 15, 15, 9, 15, 15, 15, 15]) == [N, N, N, N, N, N, N, A]


def test_a_level_clears_only_below_its_deadband():
    assert levels(engine(channel(delay_s=0)), [15, 9.9, 9.51, 9.5, 9.49]) == [A, A, A, A, N]


def test_danger_latches_and_alert_does_not():
    one = engine(channel(delay_s=0))
    assert levels(one, [25, 15, 1, 1]) == [D, D, D, D]
    assert one.tripped
    other = engine(channel(delay_s=0))
    assert levels(other, [15, 1]) == [A, N]
    assert not other.tripped


def test_transitions_are_told_once_with_their_time():
    one = engine(channel(delay_s=1))
    assert one.update("a", 0, 15) is None
    change = one.update("a", S, 15)
    assert (change.was, change.state.level, change.at_mono_ns) == (N, A, S)
    assert change.state.since_mono_ns == S
    assert one.update("a", 2 * S, 15) is None


def test_first_out_is_the_first_and_only_the_first():
    one = engine(channel("a", delay_s=0), channel("b", delay_s=0), channel("c", delay_s=0))
    for name in ("b", "a"):
        one.update(name, S, 30)
    assert {s.channel: s.first_out for s in one.states()} == {"a": False, "b": True, "c": False}
    assert one.latched == ("b", "a")
    for name in ("a", "b"):
        one.update(name, 2 * S, 1)
    assert one.reset(3 * S)[1] == []
    one.update("a", 4 * S, 30)
    assert {s.channel: s.first_out for s in one.states()} == {"a": True, "b": False, "c": False}


def test_reset_is_refused_while_the_condition_stands_and_names_it():
    one = engine(channel("a", delay_s=0), channel("b", delay_s=0))
    one.update("a", 0, 30)
    one.update("b", 0, 30)
    one.update("a", S, 1)
    assert one.reset(2 * S) == ([], ["b"])
    assert {s.channel for s in one.states() if s.latched} == {"a", "b"}  # all or nothing
    one.update("b", 3 * S, 19.5)  # inside the deadband
    assert one.reset(4 * S) == ([], ["b"])
    one.update("b", 5 * S, 1)
    changes, standing = one.reset(6 * S)
    assert standing == []
    assert [(c.was, c.state.level) for c in changes] == [(D, N), (D, N)]
    assert not one.tripped


def test_reset_is_refused_while_a_danger_is_on_its_way():
    """After a restart nothing is latched, but a relay that closed would open again a delay later."""
    one = engine()
    one.update("a", 0, 30)
    assert one.reset(S) == ([], ["a"])
    pending = engine(channel(not_ok=D))
    pending.not_ok("a", 0, "gone")
    assert pending.reset(S) == ([], ["a"])


def test_reset_with_an_alert_left_goes_to_alert():
    one = engine(channel(delay_s=0))
    levels(one, [25, 15])
    changes, standing = one.reset(5 * S)
    assert standing == []
    assert [(c.was, c.state.level) for c in changes] == [(D, A)]


@pytest.mark.parametrize(("policy", "after"), [(A, A), (D, D), (N, N)])
def test_not_ok_counts_as_its_policy_says_after_its_own_delay(policy, after):
    one = engine(channel(not_ok=policy))
    assert levels(one, [1, None, None, None, None]) == [N, N, N, after, after]
    assert one.tripped is (policy is D)


def test_a_value_ends_not_ok_and_its_delay_begins_anew():
    assert levels(engine(), [None, None, 1, None, None, 1]) == [N] * 6
    assert levels(engine(), [None, None, None, 1]) == [N, N, A, N]


def test_not_ok_never_clears_a_level():
    one = engine(channel(not_ok=N))
    assert levels(one, [15, 15, 15, 15, None, None, None]) == [N, N, N, A, A, A, A]


def test_not_ok_never_starts_a_level():
    one = engine(channel(not_ok=N))
    assert levels(one, [15] + [None] * 10) == [N] * 11
    state = one.states()[0]
    assert (state.ok, state.value, state.reason) == (False, None, "gone")


def test_not_a_number_is_not_ok():
    one = engine(channel(delay_s=0))
    levels(one, [25, 1])
    one.update("a", 5 * S, math.nan)
    assert not one.states()[0].ok
    standing = engine(channel(delay_s=0))
    levels(standing, [15])
    standing.update("a", 5 * S, math.nan)
    assert standing.level is A
    assert levels(engine(), [math.nan] * 4) == [N, N, A, A]


def test_a_clipped_value_raises_but_never_clears():
    one = engine(channel(not_ok=N))
    for k in range(5):
        one.not_ok("a", k * S, "clip", at_least=25.0)
    assert one.level is D
    lower = engine(channel(not_ok=N))
    levels(lower, [15, 15, 15, 15])
    lower.not_ok("a", 9 * S, "clip", at_least=1.0)
    assert lower.level is A


def test_idle_is_ok_without_a_value_and_keeps_what_a_value_raised():
    one = engine(channel(delay_s=0))
    levels(one, [15])
    assert one.idle("a", S, "machine off") is None
    state = one.states()[0]
    assert (state.level, state.ok, state.value, state.reason) == (A, True, None, "machine off")
    one.update("a", 2 * S, 1)
    assert one.level is N


def test_idle_begins_the_delay_anew_and_ends_not_ok():
    one = engine()
    levels(one, [15, 15, 15])
    one.idle("a", 3 * S, "machine off")
    assert levels(one, [15, 15], start_s=4) == [N, N]
    other = engine()
    levels(other, [None, None, None])
    assert other.level is A
    change = other.idle("a", 4 * S, "learning")
    assert (change.was, change.state.level) == (A, N)
    assert other.level is N


def test_judged_wants_every_channel_with_a_danger():
    one = engine(channel("a"), channel("b"), channel("c", danger=None))
    assert not one.judged
    one.update("a", 0, 1)
    assert not one.judged
    one.not_ok("b", 0, "gone")
    assert not one.judged
    one.not_ok("b", 2 * S, "gone")
    assert one.judged
    other = engine(channel("a"))
    other.idle("a", 0, "learning")
    assert other.judged


def test_a_level_left_out_is_not_watched():
    assert levels(engine(channel(alert=None, delay_s=0)), [15, 25]) == [N, D]
    assert levels(engine(channel(danger=None, delay_s=0)), [15, 25]) == [A, A]


class AnyHistory(RuleBasedStateMachine):
    """Two channels with any history of values, NOT OK and resets."""

    NAMES = ("a", "b")

    @initialize(policy=st.sampled_from([N, A, D]), delay_s=st.sampled_from([0.0, 1.0, 3.0]))
    def begin(self, policy, delay_s):
        self.policy, self.delay_ns = policy, round(delay_s * S)
        self.engine = engine(*(channel(name, delay_s=delay_s, not_ok=policy) for name in self.NAMES))
        self.t_ns = 0
        self.over_since = dict.fromkeys(self.NAMES)  # of an unbroken run of OK values >= Danger
        self.bad_since = dict.fromkeys(self.NAMES)
        self.ever_over = False
        self.stands = dict.fromkeys(self.NAMES, False)

    @rule(
        name=st.sampled_from(NAMES),
        value=st.one_of(st.none(), st.just(math.nan), st.floats(0, 30), st.sampled_from([19.5, 20.0])),
        step_s=st.sampled_from([0.1, 0.5, 1.0, 4.0]),
        at_least=st.one_of(st.none(), st.floats(0, 30)),
    )
    def hear(self, name, value, step_s, at_least):
        self.t_ns += round(step_s * S)
        usable = value is not None and not math.isnan(value)
        before = next(s for s in self.engine.states() if s.channel == name).level
        if value is None:
            self.engine.not_ok(name, self.t_ns, "gone", at_least)
        else:
            self.engine.update(name, self.t_ns, value)
        after = next(s for s in self.engine.states() if s.channel == name)
        assert after.ok is usable
        if usable:
            self.bad_since[name] = None
            over = value >= 20.0
            self.over_since[name] = (self.over_since[name] or self.t_ns) if over else None
            self.stands[name] = over
            if over and self.t_ns - self.over_since[name] >= self.delay_ns:
                assert after.latched, "Danger held beyond its delay trips"
        else:
            self.bad_since[name] = self.bad_since[name] or self.t_ns
            reached = value is None and at_least is not None
            if not reached and self.policy is N:
                assert after.level == before, "NOT OK neither clears nor starts a level"
            if self.policy is D and self.t_ns - self.bad_since[name] >= 2 * S:
                assert after.latched, "NOT OK beyond its delay is a Danger where the policy says so"

    @rule()
    def reset(self):
        latched_before = self.engine.latched
        changes, standing = self.engine.reset(self.t_ns)
        if any(self.stands.values()):
            assert standing
        if standing:
            assert changes == []
            assert self.engine.latched == latched_before
        else:
            assert not self.engine.tripped

    @invariant()
    def latched_is_danger_and_one_is_first_out(self):
        states = self.engine.states()
        assert all(state.level is D for state in states if state.latched)
        assert all(state.latched for state in states if state.level is D)
        assert sum(state.first_out for state in states) == int(self.engine.tripped)
        assert self.engine.level is max(state.level for state in states)


AnyHistory.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestAnyHistory = AnyHistory.TestCase
