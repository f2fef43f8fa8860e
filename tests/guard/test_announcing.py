"""Acknowledge, shelve, and telling again of what stands."""

from engines import A, S, channel, engine, told

from appliance.guard.channel import What


def test_an_alarm_is_unacknowledged_until_a_person_has_seen_it() -> None:
    one = engine()
    assert one.state_of("a").acknowledged
    one.value("a", 0, 15.0)
    assert not one.state_of("a").acknowledged
    [change] = one.acknowledge("a", S, "ann", "seen")
    assert (change.what, change.name, change.t_ns) == (What.ACKNOWLEDGED, "a", S)
    assert (change.who, change.why) == ("ann", "seen")
    assert change.state == one.state_of("a")
    assert one.state_of("a").acknowledged
    one.value("a", 2 * S, 25.0)
    assert not one.state_of("a").acknowledged


def test_a_clearing_asks_for_no_acknowledgement() -> None:
    one = engine()
    one.value("a", 0, 15.0)
    one.acknowledge("a", 0, "ann", "")
    one.value("a", S, 1.0)
    assert one.state_of("a").acknowledged


def test_shelving_ends_by_itself_and_tells_what_still_stands() -> None:
    one = engine()
    one.value("a", 0, 15.0)
    one.acknowledge("a", 0, "ann", "")
    [shelved] = one.shelve("a", 0, 10 * S, "ann", "known")
    assert (shelved.what, shelved.name, shelved.t_ns) == (What.SHELVED, "a", 0)
    assert (shelved.who, shelved.why) == ("ann", "known")
    assert shelved.state is not None
    assert shelved.state.shelved
    assert one.expire(10 * S - 1) == []
    unshelved, repeated = one.expire(10 * S)
    assert (unshelved.what, unshelved.t_ns, unshelved.who) == (What.UNSHELVED, 10 * S, "")
    assert unshelved.why == "time is over"
    assert unshelved.state is not None
    assert not unshelved.state.shelved
    assert (repeated.what, repeated.name, repeated.was, repeated.t_ns) == (What.REPEATED, "a", A, 10 * S)
    assert not one.state_of("a").acknowledged
    assert one.expire(11 * S) == []


def test_unshelving_by_hand() -> None:
    one = engine()
    assert one.shelve("a", 0, 0, "ann", "") == []
    one.shelve("a", 0, 10 * S, "ann", "known")
    [change] = one.shelve("a", S, S, "bob", "repaired")
    assert (change.what, change.name, change.who, change.why) == (What.UNSHELVED, "a", "bob", "repaired")
    assert change.t_ns == S
    assert not one.state_of("a").shelved


def test_a_shelved_channel_trips_as_ever() -> None:
    one = engine()
    one.shelve("a", 0, 10 * S, "ann", "known")
    [raised] = one.value("a", S, 25.0)
    assert raised.what is What.RAISED
    assert one.votes()["a"].danger


def test_a_level_that_stands_is_told_again() -> None:
    one = engine(channel(realarm_ns=5 * S), channel("b"))
    one.value("a", 0, 15.0)
    one.value("b", 0, 15.0)
    one.acknowledge("a", 0, "ann", "")
    assert one.expire(5 * S - 1) == []
    [again] = one.expire(5 * S)
    assert (again.what, again.name, again.was, again.t_ns) == (What.REPEATED, "a", A, 5 * S)
    assert again.state == one.state_of("a")
    assert not one.state_of("a").acknowledged
    assert one.expire(10 * S - 1) == []
    assert told(one.expire(10 * S)) == [(What.REPEATED, "a")]
    one.value("a", 12 * S, 25.0)
    assert one.expire(15 * S) == []
    one.value("b", 15 * S, 1.0)
    assert told(one.expire(17 * S)) == [(What.REPEATED, "a")]


def test_a_normal_channel_is_not_told_again() -> None:
    one = engine(channel(realarm_ns=5 * S))
    one.value("a", 0, 1.0)
    assert one.expire(99 * S) == []


def test_one_channel_s_time_does_not_stop_the_next() -> None:
    one = engine(channel("a"), channel("b"), channel("c", realarm_ns=S))
    one.value("c", 0, 15.0)
    for name in ("a", "b"):
        one.shelve(name, 0, S, "ann", "known")
    assert told(one.expire(S)) == [(What.UNSHELVED, "a"), (What.UNSHELVED, "b"), (What.REPEATED, "c")]
