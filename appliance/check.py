"""Reads the configuration file and lists all of its faults with their lines: found; expected; what to do."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from appliance import preset
from appliance.channel_list import Listed, carries_the_band, listed
from appliance.config import Config, Trip, Uplink
from appliance.plausible import implausible
from appliance.sensors import RecordedVibration, driver
from appliance.severity import band_hz
from appliance.toml_document import Document, Raw
from appliance.toml_lines import Keys
from appliance.toml_types import Fault
from appliance.unit import with_unit
from appliance.votes import votes_for_trip


def load(path: Path) -> Config:
    """The configuration in the TOML file `path`; relative paths in it begin at the file's folder.

    Raises:
        ConfigError: all faults, one a line, in the order of the file:
            `file:line: key: found; expected; what to do`. Items of arrays are numbered from 0.
    """
    return _sound(path).content


def describe(path: Path) -> str:
    """What the file asks for, a line each: sensors, channels with their limits, trip groups, broker, folders.

    Behind each limit stands where it comes from: file, preset or default. Raises ConfigError as `load` does.
    """
    document = _sound(path)
    config = document.content
    channels = listed(config)
    site, up = config.machine, config.uplink
    return "\n".join(
        (
            f"machine: {site.site}/{site.area}/{site.asset}/{site.device}",
            *_sensors(config),
            *_zones(config),
            *(f"channel {one.name}: {_limit(document, one)}" for one in channels),
            *(f"trip {trip.name}: {_vote(trip)}" for trip in config.trip),
            f"trip alone: {', '.join(_alone(config, channels)) or 'none'}",
            f"start-up: {_start_up(document)}",
            f"contacts: {_contacts(config)}",
            f"NOT OK: {config.limits.not_ok} after {config.limits.not_ok_delay_s:g} s",
            f"broker: {_broker(up) if up.enabled else 'none (uplink off)'}",
            f"from the plant: {up.commands.in_words}",
            f"state: {config.state_dir}, run: {config.run_dir}, on stop: {config.on_stop}",
        )
    )


def _broker(up: Uplink) -> str:
    how = "in the clear"
    if up.tls:
        how = "TLS, with our certificate" if up.tls.cert_file else "TLS, without a certificate of ours"
    return f"{up.host}:{up.port}, {how}"


def _sound(path: Path) -> Document[Config]:
    document = Document(path, Config, _preset_tables)
    config = document.content
    document.require_sound((*implausible(config), *_preset_out_of_band(document)))
    return document


def _preset_tables(raw: Raw) -> Raw:
    """What the preset that the file names says in its place."""
    machine = raw.get("machine")
    name = machine.get("preset") if isinstance(machine, Mapping) else None
    chosen = preset.find(name) if isinstance(name, str) else None
    return chosen.tables() if chosen else {}


def _preset_out_of_band(document: Document[Config]) -> Iterator[Fault]:
    """Velocity limits of a preset on a sensor that reads less than they are stated for."""
    config = document.content
    chosen = preset.find(config.machine.preset)
    for n, spec in enumerate(config.vibration):
        by_channel = f"{spec.name}.velocity" in config.limits.channels
        if chosen is None or by_channel or spec.rate_hz is None or carries_the_band(spec):
            continue
        if all(document.is_written(("limits", "velocity_mms", level)) for level in ("alert", "danger")):
            continue
        low, high = band_hz(spec.rate_hz) or (0.0, 0.0)
        found = f"its limits are stated for 10–1000 Hz, and {spec.name!r} at {spec.rate_hz:g} Hz reads"
        remedy = f'raise it, or give limits by hand: [limits.channels."{spec.name}.velocity"]'
        message = f"{found} {low:g}–{high:.4g} Hz; expected a rate_hz of 2560 or more; {remedy}"
        yield Fault(("machine", "preset"), message, (("vibration", n, "rate_hz"),))


def _origin(document: Document[Config], keys: Keys) -> str:
    if document.is_written(keys):
        return "file"
    chosen = preset.find(document.content.machine.preset)
    return "preset" if chosen and chosen.says(keys) else "default"


def _sensors(config: Config) -> Iterator[str]:
    vibration = (
        f"{s.name} (recording {s.path})"
        if isinstance(s, RecordedVibration)
        else f"{s.name} ({driver(s)}, {s.rate_hz:g} Hz × {s.axes}, ±{s.range_g:.3g} g)"
        for s in config.vibration
    )
    temperature = (f"{s.name} ({driver(s)}, every {s.period_s:g} s)" for s in config.temperature)
    yield f"vibration: {', '.join(vibration)}"
    yield f"temperature: {', '.join(temperature) or 'none'}"
    for one in config.transmitter:
        where = f"slave {one.slave} on {one.port}"
        yield f"transmitter: {one.name} ({one.map.name}, {where}, every {one.period_s:g} s)"


def _zones(config: Config) -> Iterator[str]:
    if chosen := preset.find(config.machine.preset):
        a, b, c = chosen.zones.edges_mms
        yield f"zones: A below {a:g}, B below {b:g}, C below {c:g} mm/s, D from there; {chosen.zones.source}"


def _limit(document: Document[Config], one: Listed) -> str:
    """`Alert 2.8 mm/s (preset), Danger 4.5 mm/s (file) after 3 s; zones`."""
    usual = _levels(document, one, one.keys, one.limit.alert, one.limit.danger)
    states = [
        f"{keys[-1]}: {_levels(document, one, keys, levels.alert, levels.danger)}"
        for keys, levels in one.levels[1:]
    ]
    zones = ["zones A to D"] if one.zone_edges else []
    return "; ".join((usual + _delays(one), *states, *zones))


def _levels(
    document: Document[Config], one: Listed, keys: Keys, alert: float | None, danger: float | None
) -> str:
    sign = "≤ " if one.limit.direction == "under" else ""
    found = [
        f"{name.title()} {sign}{with_unit(f'{value:g}', one.unit)} ({_origin(document, (*keys, name))})"
        for name, value in (("alert", alert), ("danger", danger))
        if value is not None
    ]
    return ", ".join(found) or "not watched"


def _delays(one: Listed) -> str:
    if one.limit.alert is None and one.limit.danger is None:
        return ""
    alert = "as long as the model asks for" if one.own_delay else f"{one.alert_delay_s:g} s"
    differs = one.limit.danger is not None and (one.own_delay or one.danger_delay_s != one.alert_delay_s)
    return f" after {alert}" + (f", Danger after {one.danger_delay_s:g} s" if differs else "")


def _vote(trip: Trip) -> str:
    return f"{trip.vote} of {', '.join(trip.members)}; NOT OK {trip.not_ok_member}; learned {trip.learned}"


def _alone(config: Config, channels: tuple[Listed, ...]) -> list[str]:
    grouped = {name for trip in config.trip for name in trip.members}
    voting = (one for one in channels if not one.learned and votes_for_trip(config, one))
    return [one.name for one in voting if one.name not in grouped]


def _contacts(config: Config) -> str:
    return ", ".join(f"{name} ({driver(spec)})" for name, spec in config.inputs.wired.items()) or "none"


def _start_up(document: Document[Config]) -> str:
    protection = document.content.protection
    if protection.trip_multiply == 1.0:
        return "limits as they stand"
    factor = f"vibration limits × {protection.trip_multiply:g}"
    origin = _origin(document, ("protection", "trip_multiply"))
    longest = _origin(document, ("protection", "trip_multiply_longest_s"))
    return f"{factor} ({origin}) for {protection.trip_multiply_longest_s:g} s at most ({longest})"
