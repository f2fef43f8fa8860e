"""The interlock: the relay is energised only while every reason to drop it is absent. Pure."""

from dataclasses import dataclass, field
from enum import Enum


class Reason(Enum):
    """Why the relay is not energised."""

    STARTING = "starting: not every protected channel has been judged yet"
    TRIPPED = "tripped: a Danger is latched"
    STOPPED = "stopped: the guard is being stopped"


@dataclass(slots=True)
class Interlock:
    """Reasons to drop, gathered; starts with STARTING, so that a restart can never blip the line up."""

    reasons: set[Reason] = field(default_factory=lambda: {Reason.STARTING})

    def set(self, reason: Reason, *, stands: bool) -> None:
        """Add or remove a reason."""
        if stands:
            self.reasons.add(reason)
        else:
            self.reasons.discard(reason)

    @property
    def energise(self) -> bool:
        """Whether the relay may be energised."""
        return not self.reasons
