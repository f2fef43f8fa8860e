"""`appliance status` and `appliance reset`: ask the running guard."""

import select
import time
from pathlib import Path
from typing import TypeVar

import msgspec

from appliance import check, wire
from appliance.errors import ApplianceError
from appliance.records import ChannelState, GuardState, Hello, Reply, Reset

_PATIENCE_S = 3.0
Answer = TypeVar("Answer", GuardState, Reply)


def show(config: Path, *, as_json: bool) -> int:
    """Print what the guard sees; exit status 0 normal, 1 Alert, 2 Danger or tripped."""
    state = ask(config)
    print(msgspec.json.encode(state).decode() if as_json else _page(state))
    return 2 if state.tripped else int(state.level)


def ask(config: Path) -> GuardState:
    """The state of the guard that runs on this configuration. Raises ApplianceError: none answers."""
    link = _connect(config)
    try:
        return _wait_for(link, GuardState)
    finally:
        link.close()


def reset(config: Path, who: str, why: str) -> int:
    """Ask the guard to clear the latch; exit status 0 if it did."""
    link = _connect(config)
    try:
        link.send(Reset(who, why))
        reply = _wait_for(link, Reply)
    finally:
        link.close()
    print(reply.message)
    return 0 if reply.ok else 1


def _connect(config: Path) -> wire.Link:
    path = check.load(config).socket_path
    try:
        return wire.connect(path, Hello("status"))
    except (OSError, wire.Closed) as fault:
        raise ApplianceError(f"{path}: no guard answers ({fault}); start it with `appliance run`") from fault


def _wait_for(link: wire.Link, kind: type[Answer]) -> Answer:
    deadline_s = time.monotonic() + _PATIENCE_S
    while (left_s := deadline_s - time.monotonic()) > 0:
        select.select([link], [], [], left_s)
        try:
            message = link.receive()
        except wire.Closed as fault:
            raise ApplianceError(f"the guard closed the connection: {fault}; see its log") from fault
        if isinstance(message, kind):
            return message
    raise ApplianceError(f"the guard did not answer within {_PATIENCE_S:.0f} s; see its log")


def _page(state: GuardState) -> str:
    relay = "energised (machine may run)" if state.relay_energised else "DE-ENERGISED (shutdown requested)"
    lines = [
        f"level    {state.level.name}{' - TRIPPED, reset needed' if state.tripped else ''}",
        f"relay    {relay}",
        f"machine  {state.machine.value}",
    ]
    lines += [_channel_line(channel) for channel in state.channels]
    lines += [
        f"quantity {one.sensor}.{one.quantity}: {'-' if one.value is None else f'{one.value:.3g}'} {one.unit}"
        for one in state.quantities
    ]
    lines += [
        f"clock    {clock.sensor}: {clock.rate_hz:.2f} Hz, {clock.ppm:+.0f} ppm, "
        f"jitter {clock.jitter_ms:.2f} ms, {clock.lost} samples lost"
        for clock in state.clocks
    ]
    p50, p99, most = state.latency_us
    lines.append(f"latency  block to verdict: p50 {p50:.0f} µs, p99 {p99:.0f} µs, max {most:.0f} µs")
    return "\n".join(lines)


def _channel_line(channel: ChannelState) -> str:
    value = "-" if channel.value is None else f"{channel.value:.3g}"
    limits = " / ".join("-" if limit is None else f"{limit:g}" for limit in (channel.alert, channel.danger))
    marks = [channel.level.name] + ["latched"] * channel.latched + ["first out"] * channel.first_out
    marks += ["NOT OK"] * (not channel.ok) + [channel.reason] * bool(channel.reason)
    return f"channel  {channel.channel}: {value} {channel.unit} (limits {limits}) {', '.join(marks)}"
