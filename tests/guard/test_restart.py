"""A power cut, a restart, a snapshot: nothing is forgotten that protects, nothing is lengthened."""

import msgspec
import pytest
from racks import BAD, CALM, RESET, A, D, N, S, channel, rack, spec, told

from appliance.guard.channel import What
from appliance.guard.interlock import Reason
from appliance.guard.latch import KeptBypass, Latch
from appliance.guard.rack import (
    BYPASS_KEY,
    BypassKey,
    Idle,
    Input,
    Machine,
    NotOk,
    Rack,
    StartUp,
    Stop,
    Tick,
    Value,
)
from appliance.guard.rack import Testing as ProofTesting
from appliance.guard.voting import TripGroup
from appliance.records import BypassState, MachineState
from appliance.requests import Acknowledge, Bypass, Shelve


def full() -> Rack:
    """A rack with everything to remember, at 100 s."""
    channels = (channel("a"), channel("b", latch=frozenset({A, D})), channel("c", latch=frozenset()))
    one = rack(*channels, groups=(TripGroup("a", 1, ("a",)), TripGroup("c", 1, ("c",))))
    one.step(90 * S, Value("c", BAD))
    one.step(91 * S, Value("a", BAD), Value("b", 15.0))
    one.step(92 * S, Acknowledge("b", "ann"))
    one.step(93 * S, Value("c", CALM), Value("a", CALM), Value("b", CALM))
    one.step(94 * S, Shelve("b", "ann", "known", 60.0))
    one.step(95 * S, Bypass("ann", "first", 1.0))
    one.step(96 * S, Bypass("bob", "repair", 30.0))
    one.step(100 * S, Tick())
    return one


KEPT = Latch(
    tripped=True,
    channels=("c", "a"),
    groups=("c", "a"),
    latched={"a": D, "b": A},
    unacknowledged=("a", "c"),
    shelved_s={"b": 54.0},
    bypass=KeptBypass("bob", "repair", 26.0),
    bypasses=2,
)


def test_what_has_to_survive_a_power_cut() -> None:
    # the bypass began when the trip was latched: it changes nothing of it
    assert full().kept() == msgspec.structs.replace(KEPT, groups=("c", "a"))


def test_a_rack_that_forgot_nothing_keeps_nothing() -> None:
    assert rack().kept() == Latch()


def test_after_a_power_cut_all_is_as_it_was() -> None:
    one = Rack(full().spec, kept=KEPT)
    assert one.kept() == KEPT
    assert (one.tripped, one.interlock.reasons) == (True, (Reason.STARTING, Reason.TRIPPED))
    assert [state.level for state in one.channels()] == [D, A, N]
    assert [state.acknowledged for state in one.channels()] == [False, True, False]
    assert [state.first_out for state in one.channels()] == [False, False, True]
    assert one.bypass() == BypassState("bob", "repair", 0, 26 * S)
    one.step(7 * S, Tick())
    assert one.bypass() == BypassState("bob", "repair", 7 * S, 33 * S)
    assert one.kept() == KEPT
    assert told(one.step(33 * S, Tick()).changes) == [(What.BYPASS_ENDED, "")]
    assert one.step(61 * S - 1, Tick()).changes == []
    assert told(one.step(61 * S, Tick()).changes) == [(What.UNSHELVED, "b"), (What.REPEATED, "b")]


def test_the_order_of_first_out_survives_and_comes_before_all_that_follows() -> None:
    one = Rack(spec(*map(channel, "abc")), kept=Latch(channels=("c", "b")))
    one.step(0, *(Value(name, BAD) for name in "abc"))
    assert one.engine.in_danger() == ["c", "b", "a"]
    before_all = Rack(spec(channel("a"), channel("b")), kept=Latch(channels=("b",)))
    before_all.step(-(1 << 61), Value("a", BAD))
    assert before_all.engine.in_danger() == ["b", "a"]


def test_a_key_that_was_turned_stays_turned_and_ends_its_bypass() -> None:
    old = rack(bypass_longest_ns=60 * S)
    old.step(0, BypassKey(True))
    kept = old.kept()
    assert kept.bypass == KeptBypass(BYPASS_KEY, "key turned", 60.0, key=True)
    one = Rack(old.spec, kept=kept.after(10.0))
    one.step(0, BypassKey(True))
    assert one.bypass() == BypassState(BYPASS_KEY, "key turned", 0, 50 * S)
    one.step(S, BypassKey(False))
    assert one.bypass() is None


@pytest.mark.parametrize("left_s", [60.1, 1e300])
def test_what_was_kept_is_no_longer_than_may_be_asked_for(left_s: float) -> None:
    kept = Latch(shelved_s={"a": left_s}, bypass=KeptBypass("bob", "repair", left_s))
    one = Rack(spec(bypass_longest_ns=60 * S, shelve_longest_ns=50 * S), kept=kept)
    one.step(7 * S, Tick())
    assert one.bypass() == BypassState("bob", "repair", 7 * S, 67 * S)
    assert one.kept().shelved_s == {"a": 50.0}


def test_a_condition_that_goes_on_trips_one_delay_after_a_restart() -> None:
    delayed = spec(channel("a", danger_delay_ns=3 * S))
    one = Rack(delayed, kept=Latch())
    for t_s in range(3):
        one.step(t_s * S, Value("a", BAD))
        assert not one.tripped
    one.step(3 * S, Value("a", BAD))
    assert one.tripped


def test_a_danger_is_not_gone_because_nobody_reads_its_channel_after_the_restart() -> None:
    torn_off = spec(channel("a", danger_delay_ns=3 * S), channel("b"))
    one = Rack(torn_off, kept=Latch(tripped=True, channels=("a",), groups=("a",), latched={"a": D}))
    one.step(0, Value("b", CALM), NotOk("a", "no answer"))
    one.step(9 * S, Value("b", CALM), NotOk("a", "no answer"))
    assert one.protecting
    assert one.step(10 * S, RESET).refused == "Danger still stands on a"
    one.step(11 * S, Idle("a", "machine off"))
    assert one.step(12 * S, RESET).refused == "Danger still stands on a"
    one.step(13 * S, Value("a", CALM))
    assert one.step(14 * S, RESET).refused == ""
    one.step(15 * S, NotOk("a", "no answer"))
    one.step(16 * S, Value("b", BAD))
    one.step(17 * S, Value("b", CALM))
    assert one.step(18 * S, RESET).refused == ""


def test_a_latched_channel_that_is_gone_from_the_configuration_leaves_the_trip() -> None:
    one = Rack(spec(channel("b")), kept=KEPT)
    assert one.tripped
    assert one.kept().channels == ()


MOMENTS: tuple[tuple[int, tuple[Input, ...]], ...] = (
    (0, (Value("a", CALM), Value("b", CALM))),
    (1, (StartUp(True), Machine(MachineState.STARTING))),
    (2, (Value("a", BAD), NotOk("b", "gone"))),
    (3, (Bypass("ann", "repair", 3.0), Shelve("b", "ann", "known", 9.0))),
    (4, (Value("a", BAD), NotOk("b", "gone"))),
    (5, (ProofTesting(True), Acknowledge("b", "ann"))),
    (6, (Value("a", CALM), Value("b", CALM), ProofTesting(False))),
    (8, (RESET,)),
    (9, (Idle("a", "off"), Value("b", 15.0))),
    (20, (Tick(), StartUp(False))),
    (21, (Stop(),)),
)


@pytest.mark.parametrize("at", range(len(MOMENTS)))
def test_from_a_snapshot_everything_goes_on_exactly(at: int) -> None:
    channels = (
        channel("a", danger_delay_ns=S, multiplied=True),
        channel("b", not_ok_delay_ns=S, realarm_ns=S),
    )
    settings = spec(*channels, multiply=1.2, multiply_longest_ns=5 * S, inhibit_ns=0)
    first = Rack(settings, kept=Latch(bypass=KeptBypass("ann", "repair", 1.0), shelved_s={"a": 2.0}))
    for t_s, given in MOMENTS[:at]:
        first.step(t_s * S, *given)
    second = Rack(settings, state=first.snapshot())
    assert second.kept() == first.kept()
    for t_s, given in MOMENTS[at:]:
        assert second.step(t_s * S, *given) == first.step(t_s * S, *given)
        assert second.snapshot() == first.snapshot()


def test_a_snapshot_is_a_copy() -> None:
    one = rack()
    before = one.snapshot()
    one.step(S, Value("a", BAD))
    assert not before.interlock.tripped
    assert before != one.snapshot()


def test_no_file_lengthens_a_bypass_or_a_shelving_beyond_what_may_be_asked_for() -> None:
    settings = spec(channel("a"), bypass_longest_ns=60 * S, shelve_longest_ns=30 * S)
    for told_s in (61.0, 1e300):
        one = Rack(settings, kept=Latch(bypass=KeptBypass("ann", "", told_s), shelved_s={"a": told_s}))
        assert one.kept().bypass == KeptBypass("ann", "", 60.0)
        assert one.kept().shelved_s == {"a": 30.0}
