"""Alarm engines of a few channels, for the tests of their rules."""

from appliance.guard.alarm import AlarmEngine
from appliance.guard.channel import Change, Channel, Setpoints, What
from appliance.records import Level, MachineState

S = 1_000_000_000
N, A, D = Level.NORMAL, Level.ALERT, Level.DANGER
LIMITS = Setpoints(10.0, 20.0)
OFF = MachineState.OFF


def channel(name: str = "a", delay_s: float = 0, not_ok_s: float = 0, **more: object) -> Channel:
    delay_ns = round(delay_s * S)
    settings = {
        "setpoints": LIMITS,
        "alert_delay_ns": delay_ns,
        "danger_delay_ns": delay_ns,
        "not_ok_delay_ns": round(not_ok_s * S),
        **more,
    }
    return Channel(name, "mm/s", **settings)


def engine(*channels: Channel, multiply: float = 1.0, longest_s: int = 0) -> AlarmEngine:
    return AlarmEngine(channels or (channel(),), multiply, longest_s * S)


def levels(
    one: AlarmEngine, values: list[float | str | None], name: str = "a", start_s: int = 0
) -> list[Level]:
    """Level after each value, one a second; None = NOT OK, "idle" = idle."""
    found = []
    for k, value in enumerate(values, start_s):
        if value is None:
            one.not_ok(name, k * S, "gone")
        elif isinstance(value, str):
            one.idle(name, k * S, value)
        else:
            one.value(name, k * S, value)
        found.append(one.state_of(name).level)
    return found


def told(changes: list[Change]) -> list[tuple[What, str]]:
    return [(change.what, change.name) for change in changes]
