"""The rack of a configuration: which quantities are watched, with which limits and which votes."""

from appliance.config import Config, Levels, Limit, Trip
from appliance.guard import quantities
from appliance.guard.channel import Channel, Setpoints, protects
from appliance.guard.rack import RackSpec
from appliance.guard.voting import TripGroup
from appliance.records import Level, MachineState

_NOT_OK_LEVEL = {"alert": Level.ALERT, "danger": Level.DANGER, "ignore": Level.NORMAL}
_LATCH = {
    "danger": frozenset({Level.DANGER}),
    "both": frozenset({Level.ALERT, Level.DANGER}),
    "none": frozenset[Level](),
}
_STATES = (
    MachineState.OFF,
    MachineState.STARTING,
    MachineState.RUNNING,
    MachineState.STOPPING,
    MachineState.TRANSIENT,
)
_MULTIPLIED = ("m/s2", "mm/s")
"""Units of vibration, which trip multiply may raise; never a temperature, never a rate of change."""
_LEARNED = ".score"


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
    """Every channel, in the order of the file."""
    limits = config.limits
    found: list[Channel] = []
    for vibration in config.vibration:
        name = vibration.name
        found.append(_channel(config, f"{name}.peak", "m/s2", limits.peak_mps2))
        found.append(_channel(config, f"{name}.rms", "m/s2", limits.rms_mps2))
        found.append(_channel(config, f"{name}.score", "x threshold", limits.score_ratio))
    for thermometer in config.temperature:
        name = thermometer.name
        found.append(_channel(config, f"{name}.temperature", "degC", limits.temperature_degc))
        slope = limits.temperature_slope_degc_per_min
        found.append(_channel(config, f"{name}.slope", "degC/min", slope))
    readings = quantities.unheard(config)
    for transmitter in config.transmitter:
        units = {one.quantity: one.unit for one in readings[transmitter.name]}
        for quantity, limit in transmitter.limits.items():
            found.append(_channel(config, f"{transmitter.name}.{quantity}", units[quantity], limit))
    return tuple(found)


def _channel(config: Config, name: str, unit: str, usual: Limit) -> Channel:
    limit = config.limits.channels.get(name, usual)
    learned = name.endswith(_LEARNED)
    not_ok = _NOT_OK_LEVEL[limit.not_ok or config.limits.not_ok]
    danger_delay_s = limit.delay_s if limit.danger_delay_s is None else limit.danger_delay_s
    by_state = {state: getattr(limit, state.value) for state in _STATES}
    return Channel(
        name=name,
        unit=unit,
        setpoints=Setpoints(limit.alert, limit.danger),
        by_state={state: _setpoints(levels) for state, levels in by_state.items() if levels is not None},
        under=limit.direction == "under",
        alert_delay_ns=round(limit.delay_s * 1e9),
        danger_delay_ns=round(danger_delay_s * 1e9),
        off_delay_ns=round(limit.off_delay_s * 1e9),
        deadband=limit.deadband,
        latch=_LATCH[limit.latch],
        multiplied=unit in _MULTIPLIED and limit.direction == "over",
        learned=learned,
        not_ok_level=min(not_ok, Level.ALERT) if learned else not_ok,  # a silent model never trips
        not_ok_delay_ns=round(config.limits.not_ok_delay_s * 1e9),
        realarm_ns=round(limit.realarm_s * 1e9),
    )


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
        if channel.name not in grouped and not channel.learned and trips_alone(channel)
    )
    return voting + alone


def trips_alone(channel: Channel) -> bool:
    """Whether a Danger of the channel can come about at all."""
    return protects(channel) or channel.not_ok_level is Level.DANGER
