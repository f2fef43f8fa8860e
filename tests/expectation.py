"""What a scenario expects of one moment, against what the guard says and its relay does."""

from collections.abc import Iterator

from scenario import Expect, Group

from appliance.records import GuardState

NO_CHANNEL = "no such channel"


def differences(expect: Expect, state: GuardState, relay: str) -> Iterator[str]:
    """Where it is not so, in words. relay: what an observer of its line sees."""
    channels = {one.channel: one for one in state.channels}
    levels = {one.channel: one.level.name.lower() for one in state.channels}
    groups = {one.name: Group(one.need, one.danger, one.blind) for one in state.groups}
    for what, expected, found in (
        ("relay", expect.relay, relay),
        ("tripped", expect.tripped, state.tripped),
        ("NOT OK", expect.not_ok, tuple(one.channel for one in state.channels if not one.ok)),
        ("latched", expect.latched, tuple(one.channel for one in state.channels if one.latched)),
        ("shelved", expect.shelved, tuple(one.channel for one in state.channels if one.shelved)),
        (
            "unacknowledged",
            expect.unacknowledged,
            tuple(one.channel for one in state.channels if not one.acknowledged),
        ),
        ("first out", expect.first_out, "".join(one.channel for one in state.channels if one.first_out)),
        ("because", expect.because, tuple(reason.partition(":")[0] for reason in state.reasons)),
        ("bypassed", expect.bypassed, state.bypass is not None),
        ("bypasses", expect.bypasses, state.bypasses),
        ("multiplying", expect.multiplying, state.multiplying),
        *((f"level of {name}", level, levels.get(name, NO_CHANNEL)) for name, level in expect.level.items()),
        *(
            (f"zone of {name}", zone, getattr(channels.get(name), "zone", NO_CHANNEL))
            for name, zone in expect.zone.items()
        ),
        *(
            (f"group {name}", group, groups.get(name, "no such group"))
            for name, group in expect.group.items()
        ),
    ):
        if expected is not None and expected != found:
            yield f"{what}: expected {expected}, found {found}"
    left_s = (state.bypass.until_mono_ns - state.at_mono_ns) / 1e9 if state.bypass else None
    ranges = {
        f"value of {name}": (one, getattr(channels.get(name), "value", None))
        for name, one in expect.value.items()
    }
    if expect.bypass_left_s:
        ranges["s left of the bypass"] = expect.bypass_left_s, left_s
    for what, ((low, high), number) in ranges.items():
        if number is None or not low <= number <= high:
            yield f"{what}: expected {low:g} to {high:g}, found {number}"
    for name, words in expect.reason.items():
        reason = getattr(channels.get(name), "reason", NO_CHANNEL)
        if words not in reason:
            yield f"reason of {name}: expected {words!r}, found {reason!r}"
