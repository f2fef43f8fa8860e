"""What was measured, as the rack takes it: a value, NOT OK with its reason, or nothing to say."""

from appliance.guard.rack import Idle, Input, NotOk, Value
from appliance.records import MachineState, Quality, Score, Validity

LONGEST_DELAY_S = 3600.0
"""More than any model of ours asks for: twenty windows, each of a minute at most."""


def measured(channel: str, value: float | None, validity: Validity) -> Input:
    """A quantity of a block or a reading, None where it means nothing.

    What is reached counts all the same: a fallen sensor that bangs about still trips.
    """
    if not validity and value is not None:
        return Value(channel, value)
    return NotOk(channel, words(validity) or "not measured", None if Validity.RANGE in validity else value)


def sloped(channel: str, slope: float | None, *, usable: bool) -> Input:
    """A rate of change, None while too few readings are there. usable: whether the quantity itself is OK."""
    if not usable:
        return NotOk(channel, "quantity not usable")
    return Idle(channel, "too few readings yet") if slope is None else Value(channel, slope)


def scored(score: Score, *, own_delay: bool) -> Input:
    """The model's opinion, as a ratio to its threshold. own_delay: its Alert waits as long as it asks for."""
    channel = f"{score.sensor}.score"
    if score.quality is Quality.LEARNING:
        return Idle(channel, score.reason or f"learning, {score.progress:.0%}")
    threshold = score.threshold or 0.0
    if score.quality is Quality.NOT_OK or score.value is None or not threshold > 0.0:
        return NotOk(channel, "window not usable")
    if score.state is not MachineState.RUNNING:
        return Idle(channel, f"machine {score.state.value}")
    delay_s = score.delay_s if own_delay else None
    if delay_s is None or not 0.0 <= delay_s <= LONGEST_DELAY_S:
        return Value(channel, score.value / threshold)
    return Value(channel, score.value / threshold, round(delay_s * 1e9))


def words(validity: Validity) -> str:
    """The flags, as `gap+clip`."""
    return "+".join(flag.name.lower() for flag in Validity if flag and flag in validity and flag.name)
