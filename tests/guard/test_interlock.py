"""The interlock: reasons, trips, bypass, degradation."""

from itertools import product

from appliance.guard.channel import Change, Vote, What
from appliance.guard.interlock import Bypassed, Interlock, InterlockState, Reason
from appliance.guard.voting import TripGroup

CALM = Vote(danger=False, pending=False, blind=False, learned=False)
DANGER = CALM._replace(danger=True, pending=True)
COMING = CALM._replace(pending=True)
BLIND = CALM._replace(blind=True)
A, B = TripGroup("a", 1, ("a",)), TripGroup("b", 1, ("b",))


def two(**state: object) -> Interlock:
    return Interlock((A, B), InterlockState(starting=False, **state))


def votes(a: Vote = CALM, b: Vote = CALM) -> dict[str, Vote]:
    return {"a": a, "b": b}


def told(changes: list[Change]) -> list[tuple[What, str]]:
    return [(change.what, change.name) for change in changes]


def test_it_begins_with_a_reason_so_that_no_restart_blips_the_line() -> None:
    one = Interlock((A,))
    assert (one.energise, one.reasons) == (False, (Reason.STARTING,))


def test_only_without_any_reason_is_it_energised() -> None:
    for starting, tripped, testing, stopped in product((False, True), repeat=4):
        state = InterlockState(starting=starting, tripped=tripped, testing=testing, stopped=stopped)
        one = Interlock((A,), state)
        standing = dict(zip(Reason, (starting, tripped, testing, stopped), strict=True))
        assert one.reasons == tuple(reason for reason, stands in standing.items() if stands)
        assert one.energise is (not any(standing.values()))


def test_reasons_are_told_in_words() -> None:
    assert [reason.value.split(":")[0] for reason in Reason] == [
        "starting",
        "tripped",
        "proof test of the relay",
        "stopped",
    ]


def test_a_vote_trips_once_and_latches() -> None:
    one = two()
    assert one.update(1, votes()) == []
    assert one.update(2, votes(a=DANGER)) == [Change(What.TRIPPED, 2, "a")]
    assert (one.state.tripped, one.state.tripped_by) == (True, ("a",))
    assert one.update(3, votes(a=DANGER)) == []
    assert one.update(4, votes()) == []
    assert one.state.tripped


def test_the_groups_that_trip_later_are_noted_in_their_order() -> None:
    one = two()
    one.update(1, votes(b=DANGER))
    assert one.update(2, votes(a=DANGER, b=DANGER)) == []
    assert one.state.tripped_by == ("b", "a")
    one.update(3, votes(a=DANGER))
    assert one.state.tripped_by == ("b", "a")


def test_the_first_of_two_groups_at_once_is_the_first_configured() -> None:
    one = two()
    assert told(one.update(1, votes(DANGER, DANGER))) == [(What.TRIPPED, "a")]
    assert one.state.tripped_by == ("a", "b")


def test_a_vote_is_told_in_words() -> None:
    one = Interlock((TripGroup("v", 2, ("a", "b")),), InterlockState(starting=False))
    [change] = one.update(1, votes(DANGER, DANGER))
    assert change.why == "2 of 2 in Danger (a, b), 2 are enough"


def test_a_bypass_holds_off_a_trip_and_tells_of_each_group_once() -> None:
    one = two()
    [began] = one.bypass(1, 10, "ann", "repair")
    assert began == Change(What.BYPASSED, 1, who="ann", why="repair")
    assert one.state.bypass == Bypassed("ann", "repair", 1, 10, key=False)
    assert one.update(2, votes(a=DANGER)) == [Change(What.INHIBITED, 2, "a")]
    assert one.update(3, votes(a=DANGER)) == []
    assert told(one.update(4, votes(DANGER, DANGER))) == [(What.INHIBITED, "b")]
    assert one.update(5, votes()) == []
    assert told(one.update(6, votes(a=DANGER))) == [(What.INHIBITED, "a")]
    assert not one.state.tripped
    assert one.energise


def test_a_bypass_ends_by_itself_and_what_stands_trips() -> None:
    one = two()
    one.bypass(1, 10, "ann", "repair")
    one.update(9, votes(a=DANGER))
    ended, tripped = one.update(10, votes(a=DANGER))
    assert ended == Change(What.BYPASS_ENDED, 10, who="ann", why="time is over")
    assert told([tripped]) == [(What.TRIPPED, "a")]
    assert one.state.inhibited == ()


def test_a_bypass_ended_early_lets_the_next_update_trip() -> None:
    one = two()
    one.bypass(1, 10, "ann", "repair")
    one.update(2, votes(a=DANGER))
    assert one.end_bypass(3, "bob", "done") == [Change(What.BYPASS_ENDED, 3, who="bob", why="done")]
    assert one.end_bypass(3, "bob", "done") == []
    assert told(one.update(3, votes(a=DANGER))) == [(What.TRIPPED, "a")]


def test_a_new_bypass_replaces_the_one_that_runs_and_counts_once_more() -> None:
    one = two()
    one.bypass(1, 10, "ann", "repair")
    ended, began = one.bypass(2, 20, "bob", "more", key=True)
    assert ended == Change(What.BYPASS_ENDED, 2, who="bob", why="replaced")
    assert began == Change(What.BYPASSED, 2, who="bob", why="more")
    assert one.state.bypass == Bypassed("bob", "more", 2, 20, key=True)
    assert one.state.bypasses == 2
    assert one.update(10, votes()) == []


def test_a_bypass_never_clears_a_latched_trip() -> None:
    one = two()
    one.update(1, votes(a=DANGER))
    one.bypass(2, 10, "ann", "repair")
    one.update(3, votes(b=DANGER))
    assert one.state.tripped
    assert not one.energise
    assert one.state.tripped_by == ("a",)


def test_after_a_bypass_a_trip_held_off_is_told_anew() -> None:
    one = two()
    one.bypass(1, 10, "ann", "repair")
    one.update(2, votes(a=DANGER))
    one.end_bypass(3, "ann", "")
    one.update(3, votes())
    one.bypass(4, 10, "ann", "repair")
    assert told(one.update(5, votes(a=DANGER))) == [(What.INHIBITED, "a")]


def test_standing_counts_what_is_on_its_way() -> None:
    one = two()
    assert one.standing(votes()) == ()
    assert one.standing(votes(COMING, DANGER)) == ("a", "b")


def test_reset_forgets_the_trip() -> None:
    one = two()
    one.update(1, votes(a=DANGER))
    one.reset()
    assert (one.state.tripped, one.state.tripped_by, one.energise) == (False, (), True)


def test_a_vote_that_loses_a_member_is_told_and_one_alone_is_not() -> None:
    one = Interlock((TripGroup("v", 2, ("a", "b")), A), InterlockState(starting=False))
    assert one.update(1, votes(b=BLIND)) == [Change(What.DEGRADED, 1, "v")]
    assert one.update(2, votes(b=BLIND)) == []
    assert one.state.degraded == ("v",)
    assert one.update(3, votes()) == [Change(What.RESTORED, 3, "v")]
    assert one.update(4, votes()) == []
    assert one.update(5, votes(a=BLIND)) == [Change(What.DEGRADED, 5, "v")]


def test_counts_of_every_group() -> None:
    counts = two().counts(votes(DANGER, COMING))
    assert {name: one.danger for name, one in counts.items()} == {"a": ("a",), "b": ()}
