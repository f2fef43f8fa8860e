"""Voting: how many channels of a trip group must be in Danger before the relay drops. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from appliance.guard.channel import Vote


@dataclass(frozen=True, slots=True)
class TripGroup:
    """`need` of `members` must be in Danger (2oo3: need 2 of three).

    hold: a member that is NOT OK or idle is left out, and as many of the others must agree as before, or all
    (2oo3 becomes 2oo2); otherwise it counts towards the trip (2oo3 becomes 1oo2).
    learned_alone: learned members may trip without an absolute limit beside them.
    """

    name: str
    need: int
    members: tuple[str, ...]
    hold: bool = False
    learned_alone: bool = False


@dataclass(frozen=True, slots=True)
class Count:
    """How a vote stands. need: of `of` members. danger: those that vote for the trip."""

    need: int
    of: int
    danger: tuple[str, ...]
    blind: tuple[str, ...]
    trips: bool


def count(group: TripGroup, votes: Mapping[str, Vote], *, pending: bool = False) -> Count:
    """The vote of a group. pending: whether a Danger whose delay still runs counts, as for a reset."""
    danger = tuple(name for name in group.members if votes[name].danger or (pending and votes[name].pending))
    blind = tuple(name for name in group.members if votes[name].blind and name not in danger)
    if group.hold:
        need = max(1, min(group.need, len(group.members) - len(blind)))
    else:
        need = max(1, group.need - len(blind))
    absolute = group.learned_alone or any(not votes[name].learned for name in danger)
    return Count(need, len(group.members), danger, blind, trips=len(danger) >= need and absolute)


def words(vote: Count) -> str:
    """A vote as a person reads it; "" for a channel that trips alone."""
    if vote.of == 1:
        return ""
    lost = f", {', '.join(vote.blind)} without a vote" if vote.blind else ""
    return (
        f"{len(vote.danger)} of {vote.of} in Danger ({', '.join(vote.danger)}{lost}), {vote.need} are enough"
    )
