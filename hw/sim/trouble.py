"""What can happen to a simulated sensor, and when."""

from collections.abc import Iterable
from typing import Protocol


class Trouble(Protocol):
    """A trouble of one kind from start_s to end_s of machine time (appliance.config.Trouble)."""

    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def start_s(self) -> float: ...  # noqa: D102
    @property
    def end_s(self) -> float: ...  # noqa: D102
    @property
    def amount(self) -> float: ...  # noqa: D102


def active(troubles: Iterable[Trouble], kind: str, t_s: float) -> Trouble | None:
    """The trouble of this kind at machine time t_s, if any: start_s <= t_s < end_s."""
    return next((x for x in troubles if x.kind == kind and x.start_s <= t_s < x.end_s), None)
