"""The relay may be energised only while no reason to drop it stands."""

from itertools import combinations

from appliance.guard.interlock import Interlock, Reason


def test_it_starts_with_a_reason_so_that_a_restart_cannot_blip_the_line():
    assert Interlock().energise is False


def test_one_reason_of_any_is_enough_and_only_none_energises():
    for count in range(len(Reason) + 1):
        for standing in combinations(Reason, count):
            interlock = Interlock()
            for reason in Reason:
                interlock.set(reason, stands=reason in standing)
            assert interlock.energise is (not standing)
            assert interlock.reasons == set(standing)


def test_taking_away_a_reason_that_does_not_stand_changes_nothing():
    interlock = Interlock()
    interlock.set(Reason.TRIPPED, stands=False)
    assert interlock.reasons == {Reason.STARTING}


def test_two_interlocks_share_nothing():
    Interlock().set(Reason.STARTING, stands=False)
    assert Interlock().energise is False
