"""Voting: every vote with every number of members in Danger and NOT OK."""

import pytest

from appliance.guard.channel import Vote
from appliance.guard.voting import Count, TripGroup, count, words

CALM = Vote(danger=False, pending=False, blind=False, learned=False)
DANGER = CALM._replace(danger=True, pending=True)
COMING = CALM._replace(pending=True)
BLIND = CALM._replace(blind=True)
BLIND_DANGER = DANGER._replace(blind=True)
LEARNED = DANGER._replace(learned=True)
VOTES = {".": CALM, "D": DANGER, "p": COMING, "-": BLIND, "X": BLIND_DANGER, "L": LEARNED}


def voted(need: int, said: str, *, hold: bool = False, alone: bool = False, pending: bool = False) -> Count:
    """Members a, b, c … say: . nothing, D Danger, p on its way, - NOT OK, X both, L learned Danger."""
    votes = {chr(ord("a") + k): VOTES[letter] for k, letter in enumerate(said)}
    return count(TripGroup("g", need, tuple(votes), hold, alone), votes, pending=pending)


@pytest.mark.parametrize(
    ("need", "trips", "calm"),
    [
        (1, "D X", ". p -"),  # 1oo1
        (1, "D. .D DD D- -D X.", ".. .- -- p."),  # 1oo2
        (2, "DD D- -D DX", ".. D. .D -. -- Dp"),  # 2oo2: NOT OK counts towards the trip
        (
            2,
            "DD. D.D .DD DDD D-. .-D D-- DX.",
            "... D.. .D. ..D -.. .-- --- Dp.",
        ),  # 2oo3 becomes 1oo2, then 1oo1
        (3, "DDD DD- D--", "DD. D.- .-- ---"),  # 3oo3
    ],
)
def test_not_ok_counts_towards_the_trip(need: int, trips: str, calm: str) -> None:
    assert [said for said in trips.split() if not voted(need, said).trips] == []
    assert [said for said in calm.split() if voted(need, said).trips] == []


@pytest.mark.parametrize(
    ("need", "trips", "calm"),
    [
        (1, "D X", ". -"),
        (1, "D. D- -D", ".. .- --"),
        (2, "DD D- -D", "D. -. --"),  # the last that is left decides
        (2, "DD. DDD DD- -DD D-- --D", "D.. D.- -D. .-- ---"),  # 2oo3 becomes 2oo2, then 1oo1
        (3, "DDD DD- D--", "DD. D.-"),
    ],
)
def test_hold_leaves_a_member_that_is_not_ok_out(need: int, trips: str, calm: str) -> None:
    assert [said for said in trips.split() if not voted(need, said, hold=True).trips] == []
    assert [said for said in calm.split() if voted(need, said, hold=True).trips] == []


def test_a_count_says_how_it_stands() -> None:
    assert voted(2, "D-.") == Count(1, 3, ("a",), ("b",), trips=True)
    assert voted(2, "D-.", hold=True) == Count(2, 3, ("a",), ("b",), trips=False)
    assert voted(2, "--", hold=True) == Count(1, 2, (), ("a", "b"), trips=False)
    assert voted(2, "---") == Count(1, 3, (), ("a", "b", "c"), trips=False)
    assert voted(2, "X-.") == Count(1, 3, ("a",), ("b",), trips=True)


def test_a_danger_on_its_way_counts_for_a_reset_only() -> None:
    assert not voted(1, "p").trips
    assert voted(1, "p", pending=True).trips
    assert voted(2, "Dp.", pending=True) == Count(2, 3, ("a", "b"), (), trips=True)


def test_a_learned_member_trips_only_beside_an_absolute_one() -> None:
    assert not voted(1, "L").trips
    assert not voted(1, "L.").trips
    assert not voted(2, "LL").trips
    assert not voted(2, "L-").trips  # not even where the absolute one is lost
    assert voted(2, "LD").trips
    assert voted(1, "LD").trips
    assert voted(2, "LL", alone=True).trips
    assert voted(1, "L", alone=True).trips
    assert not voted(1, ".", alone=True).trips


def test_by_default_a_member_not_ok_counts_and_a_model_needs_a_limit() -> None:
    group = TripGroup("g", 2, ("a", "b"))
    assert (group.hold, group.learned_alone) == (False, False)


def test_words() -> None:
    assert words(voted(1, "D")) == ""
    assert words(voted(2, "DD.")) == "2 of 3 in Danger (a, b), 2 are enough"
    assert words(voted(2, "D--")) == "1 of 3 in Danger (a, b, c without a vote), 1 are enough"
