"""The interlock: the relay is energised only while every reason to drop it is absent. Pure.

It counts the votes of the trip groups, latches the trip until a reset, and keeps the bypass: a bypass holds
off a trip that is not yet latched, never one that is, and always ends.
"""

from collections.abc import Mapping
from enum import Enum

import msgspec

from appliance.guard.channel import Change, Vote, What
from appliance.guard.voting import Count, TripGroup, count, words


class Reason(Enum):
    """Why the relay is not energised."""

    STARTING = "starting: not every protected channel has been judged yet"
    TRIPPED = "tripped: latched until reset"
    TESTING = "proof test of the relay"
    STOPPED = "stopped: the guard is being stopped"


class Bypassed(msgspec.Struct, frozen=True):
    """Who holds the trip off, why, and until when. key: by the bypass key, which ends it too."""

    who: str
    why: str
    since_ns: int
    until_ns: int
    key: bool = False


class InterlockState(msgspec.Struct):
    """All that the interlock remembers. tripped_by: groups in the order in which they tripped.

    starting, testing, stopped: reasons of their own. inhibited: groups that would have tripped but for the
    bypass. degraded: groups that vote with fewer members than they have.
    """

    tripped: bool = False
    tripped_by: tuple[str, ...] = ()
    bypass: Bypassed | None = None
    bypasses: int = 0
    inhibited: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()
    starting: bool = True
    testing: bool = False
    stopped: bool = False


class Interlock:
    """Trip groups in, the relay's state out. It begins with STARTING, so that no restart blips the line."""

    def __init__(self, groups: tuple[TripGroup, ...], state: InterlockState | None = None) -> None:
        self.groups = groups
        self.state = state or InterlockState()

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why the relay is not energised."""
        state = self.state
        standing = {
            Reason.STARTING: state.starting,
            Reason.TRIPPED: state.tripped,
            Reason.TESTING: state.testing,
            Reason.STOPPED: state.stopped,
        }
        return tuple(reason for reason, stands in standing.items() if stands)

    @property
    def energise(self) -> bool:
        """Whether the relay may be energised."""
        return not self.reasons

    def update(self, t_ns: int, votes: Mapping[str, Vote]) -> list[Change]:
        """Count every group's votes; trip, or note a trip that the bypass holds off."""
        changes = self._expire(t_ns)
        counts = {group.name: count(group, votes) for group in self.groups}
        changes += self._degradation(t_ns, counts)
        demanded = tuple(name for name, vote in counts.items() if vote.trips)
        if self.state.bypass is not None:
            changes += [
                Change(What.INHIBITED, t_ns, name) for name in demanded if name not in self.state.inhibited
            ]
            self.state.inhibited = demanded
            return changes
        self.state.inhibited = ()
        if demanded and not self.state.tripped:
            self.state.tripped = True
            changes.append(Change(What.TRIPPED, t_ns, demanded[0], why=words(counts[demanded[0]])))
        if self.state.tripped:
            news = tuple(name for name in demanded if name not in self.state.tripped_by)
            self.state.tripped_by += news
        return changes

    def counts(self, votes: Mapping[str, Vote]) -> dict[str, Count]:
        """How each group's vote stands."""
        return {group.name: count(group, votes) for group in self.groups}

    def bypass(self, t_ns: int, until_ns: int, who: str, why: str, *, key: bool = False) -> list[Change]:
        """Hold off trips until then; a bypass that runs is replaced and counts once more."""
        changes = self.end_bypass(t_ns, who, "replaced")
        self.state.bypass = Bypassed(who, why, t_ns, until_ns, key)
        self.state.bypasses += 1
        return [*changes, Change(What.BYPASSED, t_ns, who=who, why=why)]

    def end_bypass(self, t_ns: int, who: str, why: str) -> list[Change]:
        """From now on trips count again; what stands then trips with the next `update`."""
        if self.state.bypass is None:
            return []
        self.state.bypass = None
        return [Change(What.BYPASS_ENDED, t_ns, who=who, why=why)]

    def standing(self, votes: Mapping[str, Vote]) -> tuple[str, ...]:
        """Groups that would trip, a Danger whose delay still runs counted in: a reset must wait for them."""
        return tuple(group.name for group in self.groups if count(group, votes, pending=True).trips)

    def reset(self) -> None:
        """Forget the trip. The caller has asked `standing` first."""
        self.state.tripped, self.state.tripped_by = False, ()

    def _expire(self, t_ns: int) -> list[Change]:
        bypass = self.state.bypass
        if bypass is None or t_ns < bypass.until_ns:
            return []
        return self.end_bypass(t_ns, bypass.who, "time is over")

    def _degradation(self, t_ns: int, counts: Mapping[str, Count]) -> list[Change]:
        several = [group.name for group in self.groups if len(group.members) > 1]
        blind = tuple(name for name in several if counts[name].blind)
        before, self.state.degraded = self.state.degraded, blind
        lost = [Change(What.DEGRADED, t_ns, name) for name in blind if name not in before]
        return lost + [Change(What.RESTORED, t_ns, name) for name in before if name not in blind]
