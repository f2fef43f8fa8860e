"""Evidence of an alarm in words: what happened, by how much, and what was in force."""

from collections.abc import Iterator
from datetime import UTC, datetime

from appliance.desk.evidence_file import Alarm
from appliance.records import ChannelState, Event, GuardState, Level, Score
from appliance.unit import with_unit


def page(alarm: Alarm) -> str:
    """A page for a technician, a fact a line."""
    return "\n".join(f"{what:10s} {words}" for what, words in _facts(alarm))


def score_at(alarm: Alarm, at_ns: int) -> Score | None:
    """The newest usable window that ended before this moment; of the alarm's own sensor where it has one."""
    sensor = str(alarm.meta.get("channel", "")).partition(".")[0]
    scores = [
        one.score for one in alarm.record.windows if one.score.t1_mono_ns <= at_ns and one.score.metrics
    ]
    own = [score for score in scores if score.sensor == sensor]
    return max(own or scores, key=lambda score: score.t1_mono_ns, default=None)


def _facts(alarm: Alarm) -> Iterator[tuple[str, str]]:
    record, main = alarm.record, alarm.main
    at_ns = main.at_mono_ns if main else record.at_mono_ns
    yield "evidence", f"{alarm.path} (every part as its SHA-256 says)"
    yield "alarm", str(alarm.meta.get("reason", "-"))
    if main:
        moment = datetime.fromtimestamp(main.at_utc_ns // 10**9, UTC)
        yield "when", f"{moment:%Y-%m-%d %H:%M:%S} UTC (clock: {main.time_quality})"
        yield "value", _value(main)
    state = _state_at(alarm, at_ns)
    if state:
        yield from _standing(alarm, state, at_ns)
    for event in record.events:
        if event is not main:
            yield "beside", f"{(event.at_mono_ns - at_ns) / 1e9:+.2f} s  {event.type}: {event.message}"
    score = score_at(alarm, at_ns)
    if score:
        yield from _judged(score)
    yield from _in_force(alarm)


def _value(event: Event) -> str:
    value = "-" if event.value is None else with_unit(f"{event.value:.4g}", event.unit)
    limit = "" if event.limit is None else with_unit(f", limit {event.limit:g}", event.unit)
    zone = f", zone {event.zone}" if event.zone else ""
    return f"{event.channel}: {value}{limit}{zone}"


def _state_at(alarm: Alarm, at_ns: int) -> GuardState | None:
    """The guard's first word that knows of the alarm (a score is judged later than it was measured)."""
    states, channel = alarm.record.states, alarm.meta.get("channel")
    after = [state for state in states if state.at_mono_ns >= at_ns] or list(states[-1:])
    knows = (
        state
        for state in after
        if any(one.channel == channel and one.level is not Level.NORMAL for one in state.channels)
    )
    return next(knows, after[0] if after else None)


def _standing(alarm: Alarm, state: GuardState, at_ns: int) -> Iterator[tuple[str, str]]:
    relay = "energised" if state.relay_energised else f"de-energised ({'; '.join(state.reasons)})"
    yield "relay", relay
    channel = next((one for one in state.channels if one.channel == alarm.meta.get("channel")), None)
    if channel:
        yield "since", _since(channel, at_ns)
    yield "machine", state.machine.value
    for clock in state.clocks:
        words = f"{clock.rate_hz:.2f} Hz, {clock.ppm:+.0f} ppm, jitter {clock.jitter_ms:.2f} ms"
        yield "clock", f"{clock.sensor}: {words}, {clock.lost} lost"
    for quantity in state.quantities:
        value = "NOT OK" if quantity.value is None else with_unit(f"{quantity.value:.4g}", quantity.unit)
        yield "quantity", f"{quantity.sensor}.{quantity.quantity}: {value}"


def _since(channel: ChannelState, at_ns: int) -> str:
    after_s = (channel.since_mono_ns - at_ns) / 1e9
    marks = ["first out"] * channel.first_out + ["latched"] * channel.latched + ["NOT OK"] * (not channel.ok)
    return ", ".join((f"{channel.level.name} from {after_s:+.2f} s", *marks))


def _judged(score: Score) -> Iterator[tuple[str, str]]:
    for one in score.hypotheses:
        yield "looks like", f"{one.fault} ({one.strength:.0%}): {one.words}"
    if "speed_hz" in score.metrics:
        yield "speed", f"{score.metrics['speed_hz']:.2f} Hz ({score.metrics['speed_hz'] * 60:.0f} rpm)"
    if score.value is not None and score.threshold:
        yield "score", f"{score.value / score.threshold:.2f} × threshold on {score.sensor}"
    for part in score.top:
        yield "top", f"{part.words} ({part.share:.0%} of the score)"


def _in_force(alarm: Alarm) -> Iterator[tuple[str, str]]:
    record = alarm.record
    for model in record.models:
        yield "model", f"{model.sensor}: {model.id}, SHA-256 {model.sha256}"
    yield "config", f"SHA-256 {record.config_sha256}"
    yield "appliance", record.appliance
    for track in alarm.tracks:
        n, axes = track.counts.shape
        lost = sum(gap.missing for gap in track.lost)
        yield "waveform", f"{track.sensor}: {n} samples × {axes} axes at {track.rate_hz:.2f} Hz, {lost} lost"
