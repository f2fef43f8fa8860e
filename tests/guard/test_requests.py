"""Reset, bypass and its key, shelve, acknowledge: what is granted, what is refused and why."""

import math

import pytest
from racks import BAD, CALM, RESET, D, N, S, channel, rack, spec, told

from appliance.guard.channel import Change, What
from appliance.guard.latch import Latch
from appliance.guard.rack import (
    BYPASS_KEY,
    BypassKey,
    NotOk,
    Rack,
    Tick,
    Value,
)
from appliance.guard.voting import TripGroup
from appliance.records import BypassState
from appliance.requests import Acknowledge, Bypass, Shelve


def test_reset_is_refused_before_everything_was_judged() -> None:
    one = Rack(spec(), kept=Latch(tripped=True))
    outcome = one.step(0, RESET)
    assert outcome.refused == "not every protected channel has been judged yet"
    assert one.tripped


def test_reset_is_refused_while_the_condition_stands_and_names_it() -> None:
    one = rack()
    one.step(S, Value("a", BAD), Value("b", BAD))
    assert one.step(2 * S, RESET).refused == "Danger still stands on a, b"
    one.step(2 * S, Value("a", CALM))
    outcome = one.step(3 * S, RESET)
    assert (outcome.refused, outcome.changes) == ("Danger still stands on b", [])
    assert [state.latched for state in one.channels()] == [True, True]
    one.step(4 * S, Value("b", 19.5))  # within the deadband
    assert one.step(5 * S, RESET).refused
    one.step(6 * S, Value("b", CALM))
    outcome = one.step(7 * S, RESET)
    assert outcome.refused == ""
    assert outcome.changes[0] == Change(What.RESET, 7 * S, who="ann", why="repaired")
    assert told(outcome.changes[1:]) == [(What.CLEARED, "a"), (What.CLEARED, "b")]
    assert (one.tripped, one.interlock.energise, one.interlock.state.tripped_by) == (False, True, ())


def test_reset_is_refused_while_a_danger_is_on_its_way() -> None:
    one = rack(channel("a", danger_delay_ns=3 * S), channel("b", not_ok_level=D, not_ok_delay_ns=3 * S))
    one.step(S, Value("a", BAD))
    assert one.step(2 * S, RESET).refused == "Danger still stands on a"
    one.step(3 * S, Value("a", CALM), NotOk("b", "gone"))
    assert one.step(4 * S, RESET).refused == "Danger still stands on b"


def test_a_member_is_named_once_and_only_members_of_groups_that_trip() -> None:
    groups = (TripGroup("1", 1, ("a",)), TripGroup("2", 1, ("a", "b")), TripGroup("3", 2, ("c", "d")))
    one = rack(*map(channel, "abcd"), groups=groups)
    one.step(S, Value("a", BAD), Value("c", BAD))
    assert one.step(2 * S, RESET).refused == "Danger still stands on a"


def test_reset_with_a_vote_one_short_leaves_the_member_in_danger() -> None:
    one = rack(groups=(TripGroup("vote", 2, ("a", "b")),))
    one.step(S, Value("a", BAD), Value("b", BAD))
    one.step(2 * S, Value("b", CALM))
    assert one.step(3 * S, RESET).refused == ""
    assert not one.tripped
    assert [state.level for state in one.channels()] == [D, N]


def test_a_bypass_needs_who_and_why() -> None:
    for who, why in (("", "repair"), (" ", "repair"), ("ann", ""), ("ann", "\t")):
        one = rack()
        assert one.step(S, Bypass(who, why, 5.0)).refused == "a bypass needs who and why"
        assert one.bypass() is None


@pytest.mark.parametrize("duration_s", [-1.0, 60.5, math.nan])
def test_a_bypass_longer_than_the_longest_is_refused(duration_s: float) -> None:
    one = rack(bypass_longest_ns=60 * S)
    refused = one.step(S, Bypass("ann", "repair", duration_s)).refused
    assert refused == f"{duration_s:g} s; expected 0 (end it) to 60 s"
    assert one.bypass() is None


def test_a_bypass_of_the_longest_time_holds_off_and_ends_by_itself_during_danger() -> None:
    one = rack(bypass_longest_ns=60 * S)
    outcome = one.step(S, Bypass("ann", "repair", 60.0))
    assert (told(outcome.changes), outcome.refused) == ([(What.BYPASSED, "")], "")
    assert (outcome.changes[0].who, outcome.changes[0].why) == ("ann", "repair")
    assert one.bypass() == BypassState("ann", "repair", S, 61 * S)
    assert told(one.step(2 * S, Value("a", BAD)).changes) == [(What.RAISED, "a"), (What.INHIBITED, "a")]
    assert one.interlock.energise
    assert one.step(61 * S - 1, Tick()).changes == []
    assert told(one.step(61 * S, Tick()).changes) == [(What.BYPASS_ENDED, ""), (What.TRIPPED, "a")]


def test_a_bypass_of_no_time_ends_the_one_in_force() -> None:
    one = rack()
    assert one.step(S, Bypass("ann", "done", 0.0)) == ([], "")
    one.step(S, Bypass("ann", "repair", 60.0))
    [ended] = one.step(2 * S, Bypass("bob", "done", 0.0)).changes
    assert ended == Change(What.BYPASS_ENDED, 2 * S, who="bob", why="done")
    assert one.bypass() is None


def test_a_bypass_never_clears_a_latched_trip() -> None:
    one = rack()
    one.step(S, Value("a", BAD))
    one.step(2 * S, Bypass("ann", "repair", 60.0))
    assert not one.interlock.energise
    assert one.step(3 * S, RESET).refused == "Danger still stands on a"


def test_the_bypass_key() -> None:
    one = rack(bypass_longest_ns=60 * S)
    [began] = one.step(S, BypassKey(True)).changes
    assert began == Change(What.BYPASSED, S, who=BYPASS_KEY, why="key turned")
    assert one.bypass() == BypassState(BYPASS_KEY, "key turned", S, 61 * S)
    [ended] = one.step(2 * S, BypassKey(False)).changes
    assert ended == Change(What.BYPASS_ENDED, 2 * S, who=BYPASS_KEY, why="key turned back")
    assert one.bypass() is None
    assert one.step(3 * S, BypassKey(False)).changes == []


def test_the_key_turned_back_leaves_a_person_s_bypass() -> None:
    one = rack()
    one.step(S, Bypass("ann", "repair", 60.0))
    assert one.step(2 * S, BypassKey(False)).changes == []
    assert one.bypass() == BypassState("ann", "repair", S, 61 * S)


def test_the_key_replaces_a_person_s_bypass_and_does_not_renew_its_own() -> None:
    one = rack(bypass_longest_ns=60 * S)
    one.step(S, Bypass("ann", "repair", 5.0))
    assert told(one.step(2 * S, BypassKey(True)).changes) == [(What.BYPASS_ENDED, ""), (What.BYPASSED, "")]
    assert one.step(30 * S, BypassKey(True)).changes == []
    assert one.bypass() == BypassState(BYPASS_KEY, "key turned", 2 * S, 62 * S)
    assert one.interlock.state.bypasses == 2


def test_shelve_and_unshelve() -> None:
    one = rack(shelve_longest_ns=60 * S)
    one.step(S, Value("a", 15.0))
    [shelved] = one.step(2 * S, Shelve("a", "ann", "known", 60.0)).changes
    assert (shelved.what, shelved.name, shelved.who, shelved.why) == (What.SHELVED, "a", "ann", "known")
    assert shelved.t_ns == 2 * S
    assert one.step(62 * S - 1, Tick()).changes == []
    assert told(one.step(62 * S, Tick()).changes) == [(What.UNSHELVED, "a"), (What.REPEATED, "a")]
    one.step(63 * S, Shelve("a", "ann", "known", 10.0))
    [unshelved, _] = one.step(64 * S, Shelve("a", "bob", "repaired", 0.0)).changes
    assert (unshelved.what, unshelved.who, unshelved.why) == (What.UNSHELVED, "bob", "repaired")


@pytest.mark.parametrize("duration_s", [-1.0, 60.5, math.nan])
def test_shelving_for_too_long_is_refused(duration_s: float) -> None:
    one = rack(shelve_longest_ns=60 * S)
    refused = one.step(S, Shelve("a", "ann", "known", duration_s)).refused
    assert refused == f"{duration_s:g} s; expected 0 (unshelve) to 60 s"


def test_an_unknown_channel_is_refused_by_name() -> None:
    one = rack()
    for request in (Shelve("x", "ann", "known", 1.0), Acknowledge("x", "ann")):
        assert one.step(S, request) == ([], "no channel 'x'; one of a, b")


def test_acknowledge() -> None:
    one = rack()
    one.step(S, Value("a", 15.0))
    [change] = one.step(2 * S, Acknowledge("a", "ann", "seen")).changes
    assert (change.what, change.name, change.t_ns) == (What.ACKNOWLEDGED, "a", 2 * S)
    assert (change.who, change.why) == ("ann", "seen")
    assert one.channels()[0].acknowledged


def test_what_came_together_is_all_taken_and_the_first_refusal_told() -> None:
    one = rack()
    outcome = one.step(
        S, Bypass("", "", 1.0), Value("a", 15.0), Shelve("x", "ann", "", 1.0), Value("b", 15.0)
    )
    assert outcome.refused == "a bypass needs who and why"
    assert told(outcome.changes) == [(What.RAISED, "a"), (What.RAISED, "b")]
