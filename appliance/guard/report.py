"""Changes and requests as events, in words a technician understands. Runs after the relay has moved."""

from datetime import UTC, datetime

from appliance.clock import BOOT, WallClock
from appliance.guard.channel import Change, What
from appliance.records import Action, ChannelState, Event, EventKind, Hypothesis, Level, Score, Severity
from appliance.unit import with_unit

_SEVERITY: dict[Level, Severity] = {Level.NORMAL: "info", Level.ALERT: "alarm", Level.DANGER: "critical"}
_LEVEL = {Level.NORMAL: "back to normal", Level.ALERT: "Alert", Level.DANGER: "Danger"}
_LONGEST = 240
_WORTH_TELLING_NS = 1_000_000_000
_LIKELY = 0.7
"""Strength from which a hypothesis is called likely."""
_EXPLAINED = (What.RAISED, What.REPEATED, What.TRIPPED, What.INHIBITED)
_KIND: dict[What, tuple[EventKind, Severity]] = {
    What.TRIPPED: (EventKind.TRIP, "critical"),
    What.INHIBITED: (EventKind.ALARM, "critical"),
    What.ACKNOWLEDGED: (EventKind.AUDIT, "info"),
    What.SHELVED: (EventKind.AUDIT, "info"),
    What.UNSHELVED: (EventKind.AUDIT, "info"),
    What.MULTIPLIED: (EventKind.AUDIT, "info"),
    What.UNMULTIPLIED: (EventKind.AUDIT, "info"),
    What.RESET: (EventKind.AUDIT, "info"),
    What.BYPASSED: (EventKind.AUDIT, "warning"),
    What.BYPASS_ENDED: (EventKind.AUDIT, "info"),
    What.DEGRADED: (EventKind.HEALTH, "warning"),
    What.RESTORED: (EventKind.HEALTH, "info"),
}
_WORDS = {
    What.ACKNOWLEDGED: "alarm acknowledged",
    What.SHELVED: "Alert shelved",
    What.UNSHELVED: "Alert no longer shelved",
    What.MULTIPLIED: "trip multiply begins",
    What.UNMULTIPLIED: "trip multiply ends",
    What.RESET: "reset",
    What.BYPASSED: "trip bypassed",
    What.BYPASS_ENDED: "bypass ended",
    What.DEGRADED: "trip group votes with fewer members",
    What.RESTORED: "trip group votes with all members again",
}


class Reporter:
    """Makes the events of one machine."""

    def __init__(self, machine: str, clock: WallClock) -> None:
        self._machine = machine
        self._clock = clock

    def change(
        self,
        change: Change,
        *,
        action: Action = "none",
        latency_us: float | None = None,
        score: Score | None = None,
    ) -> Event:
        """The event of a change."""
        state = change.state
        kind, severity = _kind(change)
        at = self._clock.stamp(change.t_ns)
        rises = change.what in (What.RAISED, What.TRIPPED, What.INHIBITED)
        return Event(
            kind=kind,
            type=change.what.value,
            severity=severity,
            message=self._words(change, score, action),
            at_mono_ns=change.t_ns,
            at_utc_ns=at.utc_ns,
            time_quality=at.quality,
            time_error_ms=at.error_ms,
            boot=BOOT,
            at_boot_ns=at.boot_ns,
            channel=state.channel if state else "",
            value=state.value if state else None,
            limit=_limit(change, state) if state else None,
            unit=state.unit if state else "",
            top=score.top if score else (),
            hypotheses=score.hypotheses if score and change.what in _EXPLAINED else (),
            action="inhibited" if change.what is What.INHIBITED else action,
            latency_ms=None if latency_us is None else latency_us / 1e3,
            model=score.model if score else "",
            evidence=f"{change.t_ns}-{state.channel}" if state and rises else "",
            who=change.who,
            why=change.why,
            zone=state.zone if state else "",
        )

    def note(
        self,
        kind: EventKind,
        type_: str,
        message: str,
        at_mono_ns: int,
        *,
        action: Action = "none",
        severity: Severity | None = None,
        who: str = "",
        why: str = "",
    ) -> Event:
        """An event that is no change of the rack's: start, sensor restarted. HEALTH warns by default."""
        at = self._clock.stamp(at_mono_ns)
        return Event(
            kind=kind,
            type=type_,
            severity=severity or ("warning" if kind is EventKind.HEALTH else "info"),
            message=f"{self._machine}: {message}"[:_LONGEST],
            at_mono_ns=at_mono_ns,
            at_utc_ns=at.utc_ns,
            time_quality=at.quality,
            time_error_ms=at.error_ms,
            boot=BOOT,
            at_boot_ns=at.boot_ns,
            action=action,
            who=who,
            why=why,
        )

    def _words(self, change: Change, score: Score | None, action: Action) -> str:
        text = f"{self._machine}: "
        if change.what in _WORDS:
            text += _WORDS[change.what]
            text += f" on {change.name}" if change.name else ""
            text += f" by {change.who}" if change.who else ""
            return _cut(text + (f": {change.why}" if change.why else ""), _LONGEST)
        state = change.state
        if state is None:  # a trip by what an earlier run left behind
            return _cut(f"{text}trip of {change.name}; relay dropped", _LONGEST)
        tripped = change.what in (What.TRIPPED, What.INHIBITED)
        text += f"{_LEVEL[Level.DANGER if tripped else state.level]} on {state.channel}"
        text += self._figures(change, state, score)
        if change.t_ns - state.since_mono_ns >= _WORTH_TELLING_NS:
            text += f", since {self._clock_time(state.since_mono_ns)}"
        end = f"; {change.why}" if tripped and change.why else ""
        if change.what is What.INHIBITED:
            end += "; trip held off by the bypass"
        end += "; relay dropped" if action == "relay_opened" else ""
        told = score.hypotheses[:1] if score and state.ok and change.what in _EXPLAINED else ()
        cause = "".join(f"; {_likely(one)} {one.fault}: {one.words}" for one in told)
        return _cut(_cut(text + cause, _LONGEST - len(end)) + end, _LONGEST)

    def _clock_time(self, mono_ns: int) -> str:
        return (
            f"{datetime.fromtimestamp(self._clock.stamp(mono_ns).utc_ns // 10**9, UTC):%Y-%m-%d %H:%M:%S} UTC"
        )

    @staticmethod
    def _figures(change: Change, state: ChannelState, score: Score | None) -> str:
        if state.reason and not state.ok:
            return f": NOT OK, {state.reason}"
        limit = _limit(change, state)
        if state.value is None or limit is None:
            return ""
        rises = change.what is not What.CLEARED
        against = "over" if state.value >= limit else "under"
        crossed = with_unit(f"{limit:.3g}", state.unit)
        told = score and score.top and rises and state.channel.endswith(".score")
        why = f" ({score.top[0].words})" if score and told else ""
        zone = f", zone {state.zone}" if state.zone else ""
        return f": {state.value:.3g} {against} {crossed}{zone}{why}"


def _likely(hypothesis: Hypothesis) -> str:
    return "likely" if hypothesis.strength >= _LIKELY else "perhaps"


def _cut(text: str, longest: int) -> str:
    longest = max(longest, 1)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _kind(change: Change) -> tuple[EventKind, Severity]:
    if change.what in _KIND:
        return _KIND[change.what]
    level = change.state.level if change.state else Level.NORMAL
    shelved = change.state is not None and change.state.shelved and level < Level.DANGER
    quiet = shelved and change.what is not What.CLEARED  # the plant may have heard it rise
    return EventKind.AUDIT if quiet else EventKind.ALARM, _SEVERITY[level]


def _limit(change: Change, state: ChannelState) -> float | None:
    """The setpoint that was crossed."""
    danger = Level.DANGER in (state.level, change.was) or change.what in (What.TRIPPED, What.INHIBITED)
    return state.danger if danger else state.alert
