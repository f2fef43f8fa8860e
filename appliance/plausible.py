"""Faults between keys that each look right: a limit out of reach, a name used twice, a file not there."""

import os
import stat
from collections.abc import Iterator
from itertools import pairwise

from appliance import preset, register_maps
from appliance.channel_list import listed
from appliance.config import Config, Uplink
from appliance.errors import ConfigError
from appliance.geometry import impossible
from appliance.sensors import RecordedVibration, VibrationSensor
from appliance.setpoints import senseless
from appliance.toml_lines import Keys
from appliance.toml_types import Fault
from appliance.toml_values import nearest
from appliance.votes import miscounted
from appliance.wiring import miswired

FEWEST_WINDOW_SAMPLES = 16
"""A shorter window carries no feature."""
LEAST_ALARMS = 4
"""Half of the evidence may be protected; of the rest one is being written."""


def implausible(config: Config) -> Iterator[Fault]:
    """Every fault that concerns more than one key, or the world outside the file."""
    yield from _names(config)
    yield from _simulation(config)
    yield from _sensors(config)
    yield from impossible(config.geometry, [sensor.name for sensor in config.vibration])
    yield from miswired(config)
    maps = list(_maps(config))
    yield from maps
    if not maps:  # without them the channels are not known
        yield from _alarms(config)
    yield from _evidence(config)
    yield from _uplink(config.uplink)
    if config.state_dir.is_relative_to(config.run_dir):
        found = f"{str(config.state_dir)!r} is in run_dir, which a restart empties"
        yield Fault(
            ("state_dir",), f"{found}; expected a durable folder; change one of them", (("run_dir",),)
        )


def _names(config: Config) -> Iterator[Fault]:
    owners: dict[str, Keys] = {}
    for part in ("vibration", "temperature", "transmitter"):
        for n, sensor in enumerate(getattr(config, part)):
            keys = (part, n, "name")
            first = owners.setdefault(sensor.name, keys)
            if first != keys:
                found = f"{sensor.name!r} is already the name of {first[0]}[{first[1]}]"
                yield Fault(keys, f"{found}; expected a name of its own; rename one of them", (first,))


def _simulation(config: Config) -> Iterator[Fault]:
    for n, fault in enumerate(config.simulation.faults):
        keys: Keys = ("simulation", "faults", n)
        if fault.full_s < fault.start_s:
            found = f"{fault.full_s:g} is before start_s {fault.start_s:g}; expected the same or later"
            yield Fault((*keys, "full_s"), f"{found}; correct one of them", ((*keys, "start_s"),))
    for n, (before, after) in enumerate(pairwise(config.simulation.duty), 1):
        keys = ("simulation", "duty", n, "at_s")
        if after.at_s <= before.at_s:
            found = f"{after.at_s:g} is not after the step before it ({before.at_s:g})"
            yield Fault(
                keys, f"{found}; expected rising times; sort the steps", (("simulation", "duty", n - 1),)
            )


def _sensors(config: Config) -> Iterator[Fault]:
    for part in ("vibration", "temperature"):
        for n, sensor in enumerate(getattr(config, part)):
            for m, trouble in enumerate(getattr(sensor, "troubles", ())):
                keys: Keys = (part, n, "troubles", m)
                if trouble.end_s <= trouble.start_s:
                    found = (
                        f"{trouble.end_s:g} is not after start_s {trouble.start_s:g}; expected a later end"
                    )
                    yield Fault((*keys, "end_s"), f"{found}; correct one of them", ((*keys, "start_s"),))
    for n, sensor in enumerate(config.vibration):
        yield from _rates(config, sensor, ("vibration", n))
        if isinstance(sensor, RecordedVibration) and not sensor.path.is_file():
            found = f"{str(sensor.path)!r} is no file; expected a recording"
            yield Fault(("vibration", n, "path"), f"{found}; relative paths begin at this file's folder")


def _rates(config: Config, sensor: VibrationSensor, keys: Keys) -> Iterator[Fault]:
    if not sensor.rate_hz:  # None: the recording says it; 0 stands in for one that is missing or at fault
        return
    rate = (*keys, "rate_hz")
    window_s = config.analysis.window_s
    samples, least = int(window_s * sensor.rate_hz), FEWEST_WINDOW_SAMPLES
    if samples < least:
        found = (
            f"{window_s:g} s at the {sensor.rate_hz:g} Hz of {sensor.name!r} is a window of {samples} samples"
        )
        remedy = f"expected at least {least}; choose {least / sensor.rate_hz:g} or more"
        yield Fault(("analysis", "window_s"), f"{found}; {remedy}", (rate,))
    if sensor.block_s * sensor.rate_hz < 1:
        found = (
            f"{sensor.block_s:g} s at {sensor.rate_hz:g} Hz holds no sample; expected at least one in a block"
        )
        yield Fault((*keys, "block_s"), f"{found}; choose {1 / sensor.rate_hz:g} or more", (rate,))


def _alarms(config: Config) -> Iterator[Fault]:
    channels = listed(config)
    yield from senseless(config, channels)
    yield from miscounted(config, {one.name: one for one in channels})
    if config.machine.preset and preset.find(config.machine.preset) is None:
        yield Fault(("machine", "preset"), preset.fault(config.machine.preset))
    protection = config.protection
    if protection.trip_multiply > 1.0 and protection.trip_multiply_longest_s == 0.0:
        found = f"0 with trip_multiply {protection.trip_multiply:g}, which then never acts; expected a time"
        keys: Keys = ("protection", "trip_multiply_longest_s")
        yield Fault(keys, f"{found}; give one, or set trip_multiply = 1", (("protection", "trip_multiply"),))


def _maps(config: Config) -> Iterator[Fault]:
    """Maps that cannot be had, and limits of quantities that a map does not have."""
    for n, transmitter in enumerate(config.transmitter):
        keys: Keys = ("transmitter", n)
        try:
            known = register_maps.load(transmitter.map).units
        except ConfigError as fault:
            yield from (Fault((*keys, "map"), line) for line in str(fault).split("\n"))
            continue
        for name in transmitter.limits:
            if name not in known:
                found = f"no quantity of {transmitter.map.name}; expected one of {', '.join(known)}"
                yield Fault((*keys, "limits", name), f"{found}; {nearest(name, known)}", ((*keys, "map"),))


def _evidence(config: Config) -> Iterator[Fault]:
    """A quota that cannot hold a few alarms of these sensors."""
    settings = config.evidence
    bytes_per_s = sum(2 * (one.axes or 3) * (one.rate_hz or 0.0) for one in config.vibration)
    one_mb = bytes_per_s * (settings.pre_s + settings.post_s) / 1e6 + 1.0
    if settings.most_mb < LEAST_ALARMS * one_mb:
        found = f"{settings.most_mb:g} MB, and an alarm of these sensors is about {one_mb:.1f} MB"
        remedy = (
            f"expected room for {LEAST_ALARMS}; give {LEAST_ALARMS * one_mb:.0f} or more, or fewer seconds"
        )
        yield Fault(("evidence", "most_mb"), f"{found}; {remedy}", (("evidence", "pre_s"),))


def _uplink(uplink: Uplink) -> Iterator[Fault]:
    if uplink.backoff_max_s < uplink.backoff_s:
        found = f"{uplink.backoff_max_s:g} is below backoff_s {uplink.backoff_s:g}; expected the same or more"
        yield Fault(("uplink", "backoff_max_s"), f"{found}; correct one of them", (("uplink", "backoff_s"),))
    # Whether the files of TLS are sound, the uplink says: the guard starts without them.
    if uplink.tls and (uplink.tls.cert_file is None) != (uplink.tls.key_file is None):
        given = "cert_file" if uplink.tls.cert_file else "key_file"
        yield Fault(("uplink", "tls", given), "given alone; expected cert_file and key_file; add the other")
    path = uplink.password_file
    if path is None:
        return
    keys: Keys = ("uplink", "password_file")
    if not uplink.username:
        yield Fault(
            keys, "given without username; expected both or none; add username = …", (("uplink", "username"),)
        )
    try:
        mode = path.stat().st_mode
    except OSError as fault:
        yield Fault(
            keys,
            f"{str(path)!r} cannot be read ({fault.strerror}); expected a file; create it",
        )
        return
    if not stat.S_ISREG(mode):
        yield Fault(keys, f"{str(path)!r} is no file; expected a file with the password; correct the path")
    elif not os.access(path, os.R_OK):
        yield Fault(
            keys, f"{str(path)!r} may not be read by this user; expected its owner to be it; chown it"
        )
    elif mode & stat.S_IRWXO:
        yield Fault(
            keys, f"{str(path)!r} is open to every user; expected mode 600 or 640; run chmod o= on it"
        )
