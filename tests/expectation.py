"""What a scenario expects of one moment, against what the guard says and its relay does."""

from collections.abc import Iterator

from scenario import Expect, Group

from appliance.records import GuardState


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
        *((f"level of {name}", level, levels[name]) for name, level in expect.level.items()),
        *((f"zone of {name}", zone, channels[name].zone) for name, zone in expect.zone.items()),
        *((f"group {name}", group, groups[name]) for name, group in expect.group.items()),
    ):
        if expected is not None and expected != found:
            yield f"{what}: expected {expected}, found {found}"
    left_s = (state.bypass.until_mono_ns - state.at_mono_ns) / 1e9 if state.bypass else None
    measured = [("s left of the bypass", expect.bypass_left_s, left_s)] if expect.bypass_left_s else []
    for what, range_, value in (
        *measured,
        *((f"value of {name}", range_, channels[name].value) for name, range_ in expect.value.items()),
    ):
        if value is None or not range_[0] <= value <= range_[1]:
            yield f"{what}: expected {range_[0]:g} to {range_[1]:g}, found {value}"
    for name, words in expect.reason.items():
        if words not in channels[name].reason:
            yield f"reason of {name}: expected {words!r}, found {channels[name].reason!r}"
