"""How a simulated fault grows: severity over time, and what a severity does."""

from collections.abc import Iterable
from typing import Protocol


class Fault(Protocol):
    """A fault that grows from 0 at start_s to `severity` at full_s and stays (appliance.config.Fault)."""

    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def start_s(self) -> float: ...  # noqa: D102
    @property
    def full_s(self) -> float: ...  # noqa: D102
    @property
    def severity(self) -> float: ...  # noqa: D102


def severity(fault: Fault, t_s: float) -> float:
    """Severity at machine time t_s: no step, no kink from start_s to full_s; a step if full_s <= start_s."""
    if t_s < fault.start_s:
        return 0.0
    if t_s >= fault.full_s:
        return fault.severity
    u = (t_s - fault.start_s) / (fault.full_s - fault.start_s)
    return fault.severity * u * u * (3.0 - 2.0 * u)


def severities(faults: Iterable[Fault], t_s: float) -> dict[str, float]:
    """Severity by kind at machine time t_s; of two faults of one kind the worse counts."""
    worst: dict[str, float] = {}
    for fault in faults:
        worst[fault.kind] = max(worst.get(fault.kind, 0.0), severity(fault, t_s))
    return worst
