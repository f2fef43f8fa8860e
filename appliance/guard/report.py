"""Transitions and requests as events, in words a technician understands. Runs after the relay has moved."""

from appliance.clock import WallClock
from appliance.guard.alarm import Transition
from appliance.records import Action, Event, EventKind, Level, Score, Severity

_SEVERITY: dict[Level, Severity] = {Level.NORMAL: "info", Level.ALERT: "alarm", Level.DANGER: "critical"}
_UNIT = {"m/s2": "m/s²", "degC": "°C", "degC/min": "°C/min", "x threshold": "× threshold"}


class Reporter:
    """Makes the events of one machine."""

    def __init__(self, machine: str, clock: WallClock) -> None:
        self._machine = machine
        self._clock = clock

    def transition(
        self,
        change: Transition,
        *,
        action: Action = "none",
        latency_us: float | None = None,
        score: Score | None = None,
    ) -> Event:
        """The event of a change of level; a relay that opened makes it a trip."""
        state = change.state
        opened = action == "relay_opened"
        raised = state.level > change.was
        kind = EventKind.TRIP if opened else EventKind.ALARM
        type_ = "trip.fired" if opened else "alarm.raised" if raised else "alarm.cleared"
        limit = state.danger if state.level is Level.DANGER or change.was is Level.DANGER else state.alert
        return Event(
            kind=kind,
            type=type_,
            severity=_SEVERITY[state.level],
            message=self._words(change, limit, score, opened=opened),
            at_mono_ns=change.at_mono_ns,
            at_utc_ns=self._clock.utc_ns(change.at_mono_ns),
            time_quality=self._clock.quality,
            channel=state.channel,
            value=state.value,
            limit=limit,
            unit=state.unit,
            top=score.top if score else (),
            action=action,
            latency_ms=None if latency_us is None else latency_us / 1e3,
            model=score.model if score else "",
            evidence=f"{change.at_mono_ns}-{state.channel}" if raised else "",
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
    ) -> Event:
        """An event that is no change of level: start, reset, sensor restarted. HEALTH warns by default."""
        return Event(
            kind=kind,
            type=type_,
            severity=severity or ("warning" if kind is EventKind.HEALTH else "info"),
            message=f"{self._machine}: {message}"[:240],
            at_mono_ns=at_mono_ns,
            at_utc_ns=self._clock.utc_ns(at_mono_ns),
            time_quality=self._clock.quality,
            action=action,
        )

    def _words(self, change: Transition, limit: float | None, score: Score | None, *, opened: bool) -> str:
        state = change.state
        unit = _UNIT.get(state.unit, state.unit)
        name = {Level.NORMAL: "back to normal", Level.ALERT: "Alert", Level.DANGER: "Danger"}[state.level]
        tail = "; relay dropped" if opened else ""
        if state.reason and not state.ok:
            text = f"{self._machine}: {name} on {state.channel}: NOT OK, {state.reason}{tail}"
        elif state.value is None or limit is None:
            text = f"{self._machine}: {name} on {state.channel}{tail}"
        else:
            against = "over" if state.level > change.was else "under"
            figures = f"{state.value:.3g} {against} {limit:.3g} {unit}"
            told = score and score.top and state.level > change.was and state.channel.endswith(".score")
            why = f" ({score.top[0].words})" if score and told else ""
            text = f"{self._machine}: {name} on {state.channel}: {figures}{why}{tail}"
        return text[:240]
