"""Racks of a few channels, for the tests of their rules."""

from appliance.guard.channel import Change, Channel, Setpoints, What
from appliance.guard.rack import (
    Rack,
    RackSpec,
    Value,
)
from appliance.guard.voting import TripGroup
from appliance.records import Level
from appliance.requests import Reset

S = 1_000_000_000
N, A, D = Level.NORMAL, Level.ALERT, Level.DANGER
CALM, BAD = 1.0, 30.0
RESET = Reset("ann", "repaired")


def channel(name: str, **more: object) -> Channel:
    return Channel(name, "mm/s", Setpoints(10.0, 20.0), **more)


def spec(*channels: Channel, groups: tuple[TripGroup, ...] | None = None, **more: object) -> RackSpec:
    channels = channels or (channel("a"), channel("b"))
    alone = tuple(TripGroup(one.name, 1, (one.name,)) for one in channels)
    return RackSpec(channels, alone if groups is None else groups, **more)


def rack(*channels: Channel, **more: object) -> Rack:
    """A rack that protects: every channel was judged at time 0."""
    one = Rack(spec(*channels, **more))
    one.step(0, *(Value(channel.name, CALM) for channel in one.spec.channels))
    return one


def told(changes: list[Change]) -> list[tuple[What, str]]:
    return [(change.what, change.name) for change in changes]
