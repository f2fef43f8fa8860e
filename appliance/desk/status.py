"""`appliance status`: what the running guard sees, on one page."""

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from appliance import check
from appliance.config import Config
from appliance.desk import requests
from appliance.records import BypassState, ChannelState, GuardState, TripGroupState
from appliance.unit import with_unit
from appliance.uplink import plant_link


def show(config: Path, *, as_json: bool) -> int:
    """Print what the guard sees; exit status 0 normal, 1 Alert, 2 Danger or tripped."""
    state = requests.state(config)
    page = [*_page(state), *_plant(check.load(config))]
    print(msgspec.json.encode(state).decode() if as_json else "\n".join(page))
    return 2 if state.tripped else int(state.level)


def _plant(config: Config) -> Iterator[str]:
    if not config.uplink.enabled:
        return
    link = plant_link.seen(config.run_dir)
    if link is None:
        yield "plant    the uplink is not running: events stay on disk"
        return
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(link.since_utc_ns // 1_000_000_000))
    yield f"plant    {'connected to' if link.connected else 'NOT CONNECTED:'} {link.words}, since {since}"


def _page(state: GuardState) -> Iterator[str]:
    relay = "energised (machine may run)" if state.relay_energised else "DE-ENERGISED (shutdown requested)"
    yield f"level    {state.level.name}{' - TRIPPED, reset needed' if state.tripped else ''}"
    yield f"relay    {relay}"
    yield from (f"because  {reason}" for reason in state.reasons)
    if state.relay_fault:
        yield f"RELAY    {state.relay_fault}"
    if state.bypass:
        yield f"BYPASS   {_bypass(state.bypass, state.at_mono_ns)}"
    yield f"machine  {state.machine.value}"
    if state.multiplying:
        yield "start    vibration setpoints are multiplied while the machine starts"
    yield from (_group_line(group) for group in state.groups if group.tripped or len(group.members) > 1)
    yield from map(_channel_line, state.channels)
    for one in state.quantities:
        value = "-" if one.value is None else f"{one.value:.3g}"
        yield with_unit(f"quantity {one.sensor}.{one.quantity}: {value}", one.unit)
    for clock in state.clocks:
        measured = f"{clock.rate_hz:.2f} Hz, {clock.ppm:+.0f} ppm, jitter {clock.jitter_ms:.2f} ms"
        yield f"clock    {clock.sensor}: {measured}, {clock.lost} samples lost"
    p50, p99, most = state.latency_us
    yield f"latency  block to verdict: p50 {p50:.0f} µs, p99 {p99:.0f} µs, max {most:.0f} µs"
    if state.proof_test_due:
        yield "test     proof test of the relay is due; run `appliance prooftest`"


def _bypass(bypass: BypassState, now_mono_ns: int) -> str:
    left_s = max(0, bypass.until_mono_ns - now_mono_ns) // 1_000_000_000
    left = f"{left_s // 3600} h {left_s // 60 % 60:02d} min {left_s % 60:02d} s"
    return f"NO TRIP for {left} more, by {bypass.who}: {bypass.why}"


def _group_line(group: TripGroupState) -> str:
    counted = f"{len(group.danger)} of {len(group.members)} in Danger, {group.need} would trip"
    named = [
        f"{words}: {', '.join(names)}"
        for words, names in (("Danger", group.danger), ("without a vote", group.blind))
        if names
    ]
    return "; ".join([f"group    {group.name}: {counted}", *named, *["TRIPPED"] * group.tripped])


def _channel_line(channel: ChannelState) -> str:
    number = "-" if channel.value is None else f"{channel.value:.3g}"
    value = with_unit(number, channel.unit)
    limits = " / ".join("-" if limit is None else f"{limit:g}" for limit in (channel.alert, channel.danger))
    marks = [channel.level.name] + [f"zone {channel.zone}"] * bool(channel.zone)
    marks += ["latched"] * channel.latched + ["first out"] * channel.first_out
    marks += ["not acknowledged"] * (not channel.acknowledged) + ["SHELVED"] * channel.shelved
    marks += ["NOT OK"] * (not channel.ok) + [channel.reason] * bool(channel.reason)
    return f"channel  {channel.channel}: {value} (limits {limits}) {', '.join(marks)}"
