"""The rack: what it waits for, trips and their cause, time, and the inputs that are no requests."""

from racks import BAD, CALM, D, N, S, channel, rack, spec, told

from appliance.guard.channel import Setpoints, What
from appliance.guard.interlock import Reason
from appliance.guard.rack import (
    Idle,
    Machine,
    NotOk,
    Rack,
    RackSpec,
    StartUp,
    Stop,
    Tick,
    Value,
)
from appliance.guard.rack import Testing as ProofTesting
from appliance.guard.voting import TripGroup
from appliance.records import MachineState, TripGroupState
from appliance.requests import Bypass


def test_it_protects_once_every_channel_was_judged() -> None:
    one = Rack(spec())
    assert (one.protecting, one.interlock.energise) == (False, False)
    one.step(0, Value("a", CALM))
    assert one.interlock.reasons == (Reason.STARTING,)
    one.step(0, Value("b", CALM))
    assert (one.protecting, one.interlock.energise) == (True, True)


def test_a_trip() -> None:
    one = rack()
    outcome = one.step(S, Value("b", BAD))
    assert told(outcome.changes) == [(What.RAISED, "b"), (What.TRIPPED, "b")]
    tripped = outcome.changes[1]
    assert tripped.state is not None
    assert (tripped.state.channel, tripped.state.level, tripped.t_ns) == ("b", D, S)
    assert (one.tripped, one.interlock.energise, outcome.refused) == (True, False, "")


def test_what_is_reached_while_not_ok_trips() -> None:
    one = rack()
    assert told(one.step(S, NotOk("a", "clip", BAD)).changes) == [(What.RAISED, "a"), (What.TRIPPED, "a")]


def test_idle_has_its_time() -> None:
    one = rack(channel("a", latch=frozenset()))
    one.step(S, NotOk("a", "gone"))
    [cleared] = one.step(2 * S, Idle("a", "off")).changes
    assert cleared.t_ns == 2 * S


def test_a_step_without_input_is_time_alone() -> None:
    assert rack().step(S) == ([], "")


def test_a_trip_of_a_vote_names_its_member_that_came_first() -> None:
    groups = (TripGroup("vote", 2, ("a", "b")), TripGroup("c", 1, ("c",)))
    one = rack(channel("c", danger_delay_ns=9 * S), channel("a"), channel("b"), groups=groups)
    one.step(S, Value("c", BAD), Value("b", BAD))
    tripped = one.step(2 * S, Value("a", BAD)).changes[-1]
    assert (tripped.what, tripped.name, tripped.why) == (
        What.TRIPPED,
        "vote",
        "2 of 2 in Danger (a, b), 2 are enough",
    )
    assert tripped.state is not None
    assert tripped.state.channel == "b"


def test_a_trip_held_off_names_its_channel_too_and_a_degraded_vote_names_none() -> None:
    one = rack(groups=(TripGroup("vote", 1, ("a", "b")),))
    one.step(S, Bypass("ann", "repair", 10.0))
    inhibited = one.step(2 * S, Value("b", BAD)).changes[-1]
    assert (inhibited.what, inhibited.state and inhibited.state.channel) == (What.INHIBITED, "b")
    degraded = one.step(3 * S, NotOk("a", "gone")).changes[-1]
    assert (degraded.what, degraded.name, degraded.state) == (What.DEGRADED, "vote", None)


def test_nothing_is_judged_during_the_power_up_inhibit_but_all_is_shown() -> None:
    one = Rack(spec(inhibit_ns=2 * S))
    assert one.step(5 * S, Value("a", BAD), NotOk("b", "gone", 30.0)).changes == []
    shown = one.channels()
    assert [(state.value, state.reason, state.level) for state in shown] == [
        (BAD, "power-up inhibit", N),
        (None, "gone", N),
    ]
    assert one.step(7 * S - 1, Value("a", BAD), Value("b", BAD)).changes == []
    assert not one.protecting
    assert told(one.step(7 * S, Value("a", BAD)).changes) == [(What.RAISED, "a"), (What.TRIPPED, "a")]


def test_idle_is_taken_during_the_inhibit_but_protection_waits_for_its_end() -> None:
    one = Rack(spec(channel("a"), inhibit_ns=2 * S))
    one.step(0, Idle("a", "learning"))
    assert one.channels()[0].reason == "learning"
    assert not one.protecting
    one.step(2 * S, Tick())
    assert one.protecting


def test_the_time_of_a_rack_never_goes_back() -> None:
    one = rack(channel("a", alert_delay_ns=S))
    one.step(10 * S, Tick())
    assert one.step(8 * S, Value("a", 15.0)).changes == []  # late, and as old as it says
    assert one.now_ns == 10 * S
    [raised] = one.step(9 * S, Value("a", 15.0)).changes
    assert raised.t_ns == 9 * S


def test_a_late_input_does_not_bring_back_what_has_ended() -> None:
    one = rack()
    one.step(0, Bypass("ann", "repair", 10.0))
    assert told(one.step(10 * S, Tick()).changes) == [(What.BYPASS_ENDED, "")]
    assert told(one.step(9 * S, Value("a", BAD)).changes) == [(What.RAISED, "a"), (What.TRIPPED, "a")]


def test_start_up_multiplies_from_now_on() -> None:
    vibration, hot = channel("a", multiplied=True), channel("t")
    one = rack(vibration, hot, multiply=3.0, multiply_longest_ns=10 * S)
    assert told(one.step(S, StartUp(True)).changes) == [(What.MULTIPLIED, "")]
    assert one.step(2 * S, Value("a", BAD)).changes != []
    assert not one.tripped
    assert told(one.step(11 * S, Tick()).changes) == [(What.UNMULTIPLIED, "")]
    one.step(12 * S, StartUp(False))
    one.step(13 * S, StartUp(True))
    one.step(14 * S, Value("t", BAD))
    assert one.tripped


def test_a_step_is_taken_with_the_time_already_passed() -> None:
    """The end of multiply comes before the value of the same step is compared."""
    one = rack(channel("a", multiplied=True), multiply=3.0, multiply_longest_ns=10 * S)
    one.step(S, StartUp(True))
    assert told(one.step(11 * S, Value("a", BAD)).changes)[0] == (What.UNMULTIPLIED, "")
    assert one.tripped


def test_the_machine_s_state_brings_its_setpoints() -> None:
    one = rack(channel("a", by_state={MachineState.OFF: Setpoints(None, 2.0)}))
    assert one.step(S, Machine(MachineState.OFF)) == ([], "")
    one.step(2 * S, Value("a", 3.0))
    assert one.tripped


def test_a_proof_test_drops_the_relay_while_it_lasts() -> None:
    one = rack()
    assert one.step(S, ProofTesting(True)) == ([], "")
    assert one.interlock.reasons == (Reason.TESTING,)
    one.step(2 * S, ProofTesting(False))
    assert one.interlock.energise


def test_a_stop_drops_the_relay_for_good() -> None:
    one = rack()
    assert one.step(S, Stop()) == ([], "")
    one.step(2 * S, Value("a", CALM), Tick())
    assert one.interlock.reasons == (Reason.STOPPED,)


def test_groups_as_they_stand() -> None:
    groups = (TripGroup("vote", 2, ("a", "b")), TripGroup("b", 1, ("b",)))
    one = rack(groups=groups)
    one.step(S, NotOk("a", "gone"), Value("b", BAD))
    assert one.groups() == (
        TripGroupState("vote", 1, ("a", "b"), danger=("b",), blind=("a",), tripped=True),
        TripGroupState("b", 1, ("b",), danger=("b",), blind=(), tripped=True),
    )
    one.step(2 * S, NotOk("b", "gone"))
    assert one.groups()[0].danger == ("b",)


def test_before_all_have_spoken_a_vote_needs_as_many_as_ever() -> None:
    one = Rack(spec(*map(channel, "abc"), groups=(TripGroup("vote", 2, ("a", "b", "c")),)))
    assert told(one.step(0, Value("a", BAD)).changes) == [(What.RAISED, "a")]


def test_the_usual_rack() -> None:
    usual = RackSpec((), ())
    assert (usual.inhibit_ns, usual.multiply, usual.multiply_longest_ns) == (0, 1.0, 0)
    assert usual.bypass_longest_ns == usual.shelve_longest_ns == 8 * 3600 * S


def test_a_value_brings_the_delay_of_its_alert_into_the_rack() -> None:
    one = rack(channel("a", alert_delay_ns=9 * S))
    assert one.step(S, Value("a", 15.0, S)).changes == []
    assert told(one.step(2 * S, Value("a", 15.0, S)).changes) == [(What.RAISED, "a")]
