"""The rack of a configuration: which quantities are watched, with which limits and which votes."""

from appliance.channel_list import STATES, Listed, listed
from appliance.config import Config, Levels, Trip
from appliance.guard.channel import Channel, Setpoints, protects
from appliance.guard.rack import RackSpec
from appliance.guard.voting import TripGroup
from appliance.records import Level

_NOT_OK_LEVEL = {"alert": Level.ALERT, "danger": Level.DANGER, "ignore": Level.NORMAL}
_LATCH = {
    "danger": frozenset({Level.DANGER}),
    "both": frozenset({Level.ALERT, Level.DANGER}),
    "none": frozenset[Level](),
}


def rack_of(config: Config) -> RackSpec:
    """All channels, and a trip group for each `[[trip]]` and for each Danger outside of them."""
    channels = of(config)
    protection = config.protection
    return RackSpec(
        channels=channels,
        groups=_groups(config.trip, channels),
        inhibit_ns=round(protection.power_up_inhibit_s * 1e9),
        multiply=protection.trip_multiply,
        multiply_longest_ns=round(protection.trip_multiply_longest_s * 1e9),
        bypass_longest_ns=round(protection.bypass_longest_s * 1e9),
        shelve_longest_ns=round(protection.shelve_longest_s * 1e9),
    )


def of(config: Config) -> tuple[Channel, ...]:
    """Every channel, in the order of the file. Raises ConfigError for a register map that cannot be had."""
    return tuple(_channel(config, one) for one in listed(config))


def _channel(config: Config, one: Listed) -> Channel:
    limit = one.limit
    by_state = {state: getattr(limit, state.value) for state in STATES}
    return Channel(
        name=one.name,
        unit=one.unit,
        setpoints=Setpoints(limit.alert, limit.danger),
        by_state={state: _setpoints(levels) for state, levels in by_state.items() if levels is not None},
        under=limit.direction == "under",
        alert_delay_ns=round(one.alert_delay_s * 1e9),
        danger_delay_ns=round(one.danger_delay_s * 1e9),
        off_delay_ns=round(limit.off_delay_s * 1e9),
        deadband=limit.deadband,
        latch=_LATCH[limit.latch],
        multiplied=one.multiplied,
        learned=one.learned,
        zone_edges=one.zone_edges,
        not_ok_level=_not_ok(config, one),
        not_ok_delay_ns=round(config.limits.not_ok_delay_s * 1e9),
        realarm_ns=round(limit.realarm_s * 1e9),
    )


def _not_ok(config: Config, one: Listed) -> Level:
    """What NOT OK counts as. Where no level is watched, nobody is told of it unless the file says so."""
    watched = any(levels.alert is not None or levels.danger is not None for _, levels in one.levels)
    level = _NOT_OK_LEVEL[one.limit.not_ok or (config.limits.not_ok if watched else "ignore")]
    return min(level, Level.ALERT) if one.learned else level  # a silent model never trips


def _setpoints(levels: Levels) -> Setpoints:
    return Setpoints(levels.alert, levels.danger)


def _groups(trips: tuple[Trip, ...], channels: tuple[Channel, ...]) -> tuple[TripGroup, ...]:
    voting = tuple(
        TripGroup(
            trip.name,
            int(trip.vote[0]),
            trip.members,
            hold=trip.not_ok_member == "is left out",
            learned_alone=trip.learned.startswith("alone"),
        )
        for trip in trips
    )
    grouped = {name for trip in trips for name in trip.members}
    alone = tuple(
        TripGroup(channel.name, 1, (channel.name,))
        for channel in channels
        if channel.name not in grouped and not channel.learned and protects(channel)
    )
    return voting + alone
