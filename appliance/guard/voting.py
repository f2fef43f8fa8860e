"""Voting: how many channels of a trip group must be in Danger before the relay drops. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from appliance.guard.channel import Vote


@dataclass(frozen=True, slots=True)
class TripGroup:
    """`need` of `members` must be in Danger (2oo3: need 2 of three).

    hold: a member that is NOT OK or idle is left out, and as many of the others must agree as before where there
    are as many (2oo3 becomes 2oo2); otherwise it counts towards the trip (2oo3 becomes 1oo2).
    learned_alone: learned members may trip without an absolute limit beside them.
    """

    name: str
    need: int
    members: tuple[str, ...]
    hold: bool = False
    learned_alone: bool = False


@dataclass(frozen=True, slots=True)
class Count:
    """How a vote stands. danger: members that vote for the trip, in the group's order."""

    need: int
    danger: tuple[str, ...]
    blind: tuple[str, ...]
    trips: bool


def count(group: TripGroup, votes: Mapping[str, Vote], *, pending: bool = False) -> Count:
    """The vote of a group. pending: whether a Danger whose delay still runs counts, as for a reset."""
    danger = tuple(
        name for name in group.members if votes[name].danger or (pending and votes[name].pending)
    )
    blind = tuple(name for name in group.members if votes[name].blind and name not in danger)
    if group.hold:
        need = max(1, min(group.need, len(group.members) - len(blind)))
    else:
        need = max(1, group.need - len(blind))
    absolute = group.learned_alone or any(not votes[name].learned for name in danger)
    return Count(need, danger, blind, trips=len(danger) >= need and absolute)
