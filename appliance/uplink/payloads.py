"""From the appliance's records to the payloads of the contract. Pure: no clock, no socket."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec
from msgspec import UNSET, UnsetType

from appliance import preset
from appliance.config import Config
from appliance.records import (
    Event,
    GuardState,
    Level,
    Quality,
    QuantityReading,
    Score,
    Severity,
    Spectrum,
    TemperatureReading,
    TripGroupState,
    Validity,
    Zone,
)
from appliance.uplink.anchors import Told
from appliance.uplink.topics import EventPayload, Info, InfoChannel, Metric, State, Telemetry
from appliance.uplink.topics import Spectrum as SpectrumPayload
from appliance.uplink.units import shown_key, shown_unit, ucum, unit_of

_SEVERITY_N: dict[Severity, int] = {"info": 0, "warning": 1, "alarm": 2, "critical": 3}
_LEVEL_NAMES = ("normal", "learning", "warning", "alarm", "tripped")
_MESSAGE_MOST = 240
_ENVELOPE = {"v", "id", "ts", "tsq", "ts_err_ms", "ts_device", "backfill"}
_KINDS = {
    "ok": "bool",
    "sensor": "string",
    "level": "int",
    "zone": "string",
    "bypassed": "bool",
    "multiplying": "bool",
}


def event_payload(event: Event, *, backfill: bool, when: Told | None = None) -> EventPayload:
    """The payload of `event/{kind}`. The message is cut to 240 characters. when: None: as it is stamped."""
    when = when or Told(event.at_utc_ns, event.time_quality, event.time_error_ms)
    top = list(event.top[:3])
    faults: dict[str, object] = {}
    for n, one in enumerate(event.hypotheses[:3], 1):
        told = {"": one.fault, "_strength": float(one.strength), "_evidence": one.words}
        faults |= {f"fault{n}{key}": value for key, value in told.items()}
    names = [item.feature for item in top] + [UNSET] * 3
    shares = [float(item.share) for item in top] + [UNSET] * 3
    return EventPayload(
        id=event.id,
        seq=event.seq,
        ts=_millis_of(when.utc_ns),
        tsq=when.quality,
        ts_err_ms=_figure(when.error_ms),
        ts_device=UNSET if when.device_ns is None else _millis_of(when.device_ns),
        backfill=backfill,
        type=event.type,
        severity=event.severity,
        severity_n=_SEVERITY_N[event.severity],
        message=event.message
        if len(event.message) <= _MESSAGE_MOST
        else event.message[: _MESSAGE_MOST - 1] + "…",
        action=event.action,
        value=_figure(event.value),
        limit=_figure(event.limit),
        unit=event.unit,
        ucum=_ucum(event.unit),
        latency_ms=_figure(event.latency_ms),
        channel=event.channel or UNSET,
        top1=names[0],
        top1_share=shares[0],
        top2=names[1],
        top2_share=shares[1],
        top3=names[2],
        top3_share=shares[2],
        **faults,  # type: ignore[arg-type]
        model=event.model or UNSET,
        wave=event.evidence or UNSET,
        zone=event.zone or UNSET,
        who=event.who or UNSET,
        why=event.why or UNSET,
    )


def cloud_event(event: Event, source: str, ts: int) -> list[tuple[str, str]]:
    """CloudEvents 1.0 attributes, binary mode, for MQTT 5 User Properties. source: the topic prefix."""
    at = datetime.fromtimestamp(ts / 1e3, UTC)
    return [
        ("specversion", "1.0"),
        ("id", str(event.id)),
        ("source", source),
        ("type", event.type),
        ("time", at.isoformat(timespec="milliseconds").replace("+00:00", "Z")),
    ]


def level(state: GuardState) -> int:
    """0 normal, 1 learning, 2 warning, 3 alarm, 4 tripped: the worst that holds."""
    if state.tripped:
        return 4
    learning = any(score.quality is Quality.LEARNING for score in state.scores)
    return {Level.NORMAL: int(learning), Level.ALERT: 2, Level.DANGER: 3}[state.level]


def state_payload(state: GuardState, backlog: int, oldest_s: int) -> State:
    """The payload of `state`. The score shown is the one nearest to, or farthest over, its threshold."""
    score = max(state.scores, key=lambda item: _ratio(item) or 0.0, default=None)
    began = [one.since_mono_ns for one in state.channels if one.level is state.level and one.since_mono_ns]
    of_them = max if state.level is Level.NORMAL else min
    number = level(state)
    bypass = state.bypass
    groups = [group for group in state.groups if group.tripped or len(group.members) > 1]
    return State(
        ts=_millis_of(state.at_utc_ns),
        tsq=state.time_quality,
        ts_err_ms=_figure(state.time_error_ms),
        level=number,
        level_name=_LEVEL_NAMES[number],  # type: ignore[arg-type]
        alarm=number >= 3,
        tripped=state.tripped,
        ok=all(channel.ok for channel in state.channels),
        machine=state.machine.value,
        score=_figure(score.value) if score else None,
        threshold=_figure(score.threshold) if score else None,
        backlog=backlog,
        oldest_s=oldest_s,
        since=_millis(state, of_them(began)) if began else UNSET,
        reasons="; ".join(state.reasons),
        relay_fault=state.relay_fault,
        bypassed=bypass is not None,
        bypass_who=bypass.who if bypass else UNSET,
        bypass_why=bypass.why if bypass else UNSET,
        bypass_until=_millis(state, bypass.until_mono_ns) if bypass else UNSET,
        groups="; ".join(map(_votes, groups)),
        zone=max((channel.zone for channel in state.channels), default=""),
        acknowledged=all(channel.acknowledged for channel in state.channels),
        unacknowledged=" ".join(one.channel for one in state.channels if not one.acknowledged),
        shelved=sum(channel.shelved for channel in state.channels),
        multiplying=state.multiplying,
        proof_test_due=state.proof_test_due,
    )


def telemetry(score: Score, state: GuardState, id_: int) -> dict[str, object]:
    """The payload of `telemetry`: one window's score and metrics, with the guard's state at the time."""
    fixed = Telemetry(
        id=id_,
        ts=_millis(state, score.t1_mono_ns),
        tsq=state.time_quality,
        ts_err_ms=_figure(state.time_error_ms),
        backfill=False,
        ok=score.quality is not Quality.NOT_OK and all(map(math.isfinite, score.metrics.values())),
        sensor=score.sensor,
        level=level(state),
        score=_figure(score.value),
        threshold=_figure(score.threshold),
        ratio=_ratio(score),
        zone=_zone(state, score.sensor),
        bypassed=state.bypass is not None,
        multiplying=state.multiplying,
    )
    shown: dict[str, object] = msgspec.to_builtins(fixed)
    return shown | _displayed(score.metrics) | _temperatures(state.temperatures)


def transmitted(readings: Sequence[QuantityReading], state: GuardState, id_: int) -> dict[str, object]:
    """The payload of `telemetry`: an answer of a transmitter, or its loss. readings: all its quantities."""
    fixed = Telemetry(
        id=id_,
        ts=_millis(state, readings[0].at_mono_ns),
        tsq=state.time_quality,
        ts_err_ms=_figure(state.time_error_ms),
        backfill=False,
        ok=all(one.validity is Validity.OK for one in readings),
        sensor=readings[0].sensor,
        level=level(state),
        score=None,
        threshold=None,
        ratio=None,
        zone=_zone(state, readings[0].sensor),
        bypassed=state.bypass is not None,
        multiplying=state.multiplying,
    )
    shown: dict[str, object] = msgspec.to_builtins(fixed)
    return shown | dict(map(_quantity, readings))


def spectrum(seen: Spectrum, state: GuardState) -> SpectrumPayload:
    """The payload of `spectrum`."""
    return SpectrumPayload(
        ts=_millis(state, seen.at_mono_ns),
        tsq=state.time_quality,
        sensor=seen.sensor,
        first_hz=float(f"{seen.first_hz:.7g}"),
        step_hz=float(f"{seen.step_hz:.7g}"),
        lines_mm_s=seen.lines_mms,
    )


def late(sample: dict[str, object], when: Told) -> dict[str, object]:
    """The payload of `history`, of one of `telemetry`."""
    device = {} if when.device_ns is None else {"ts_device": _millis_of(when.device_ns)}
    stamps: dict[str, object] = {
        "ts": _millis_of(when.utc_ns),
        "tsq": when.quality,
        "ts_err_ms": _figure(when.error_ms),
    }
    return {**sample, **stamps, **device, "backfill": True}


def _zone(state: GuardState, sensor: str) -> Zone:
    """The worst severity zone of this sensor."""
    return max((one.zone for one in state.channels if one.channel.startswith(f"{sensor}.")), default="")


def info(config: Config, state: GuardState | None, sample: Iterable[str], fw: str, ts: int) -> Info:
    """The payload of `info`. sample: the keys of telemetry payloads."""
    measured = {clock.sensor: clock.rate_hz for clock in state.clocks} if state else {}
    channels = [
        InfoChannel(
            sensor.name,
            "acceleration",
            "g",
            float(sensor.rate_hz or round(measured.get(sensor.name, 0.0), -1)),
            sensor.axes or UNSET,
            ucum=_ucum("g"),
        )
        for sensor in config.vibration
    ]
    channels += [
        InfoChannel(sensor.name, "temperature", "°C", 1.0 / sensor.period_s, ucum=_ucum("°C"))
        for sensor in config.temperature
    ]
    readings = state.quantities if state else ()
    period_s = {sensor.name: sensor.period_s for sensor in config.transmitter}
    channels += [
        InfoChannel(
            f"{one.sensor}.{one.quantity}",
            shown.kind,
            shown.unit,
            1.0 / period_s[one.sensor],
            ucum=_ucum(shown.unit),
        )
        for one in readings
        if one.sensor in period_s and (shown := shown_unit(one.unit))
    ]
    units = {_quantity(one)[0]: shown_unit(one.unit).unit for one in readings}
    chosen = preset.find(config.machine.preset)
    return Info(
        ts=ts,
        device=config.machine.device,
        fw=fw,
        model=next((score.model for score in state.scores if score.model), "") if state else "",
        channels=tuple(channels),
        metrics={key: _metric(key, units) for key in sample if key not in _ENVELOPE},
        zone_edges_mm_s=chosen.zones.edges_mms if chosen else (),
        commands=tuple(sorted(set(config.uplink.commands.allow))),
    )


def _votes(group: TripGroupState) -> str:
    """`pair: 1 of 3 in Danger, 2 would trip, 1 without a vote`."""
    counted = f"{group.name}: {len(group.danger)} of {len(group.members)} in Danger, {group.need} would trip"
    blind = f", {len(group.blind)} without a vote" if group.blind else ""
    return counted + blind + (", TRIPPED" if group.tripped else "")


def _metric(key: str, units: Mapping[str, str]) -> Metric:
    """units: of those keys whose end does not tell."""
    kind = _KINDS.get(key, "float")
    unit = units.get(key) or unit_of(key)
    code = _ucum(unit) if kind == "float" else UNSET
    return Metric(kind, UNSET if unit == "1" else unit, code)  # type: ignore[arg-type]


def _ucum(unit: str) -> str | UnsetType:
    return ucum(unit) or UNSET


def _displayed(metrics: Mapping[str, float]) -> dict[str, object]:
    named = [(shown_key(key), value) for key, value in metrics.items()]
    return {key: _figure(value * factor) for (key, factor), value in named}


def _temperatures(readings: Iterable[TemperatureReading]) -> dict[str, object]:
    """`temp_c`: the hottest that may be trusted; with several thermometers each also under its own name."""
    trusted = {r.sensor: r.degc if r.validity is Validity.OK else None for r in readings}
    if not trusted:
        return {}
    hottest = max((degc for degc in trusted.values() if degc is not None), default=None)
    each: dict[str, object] = {
        f"temp_{name.replace('-', '_')}_c": _figure(degc) for name, degc in trusted.items()
    }
    return {"temp_c": _figure(hottest), **(each if len(trusted) > 1 else {})}


def _quantity(reading: QuantityReading) -> tuple[str, float | None]:
    """Key and value of a transmitter's quantity: `tx_z_velocity_rms_mm_s`."""
    shown = shown_unit(reading.unit)
    key = f"tx_{reading.quantity.replace('-', '_')}{shown.suffix}"
    return key, None if reading.value is None else _figure(reading.value * shown.factor)


def _utc_ns(state: GuardState, mono_ns: int) -> int:
    """UTC of a monotonic time, by the pair of times in the guard's state."""
    return state.at_utc_ns + mono_ns - state.at_mono_ns


def _millis(state: GuardState, mono_ns: int) -> int:
    """UTC milliseconds of a monotonic time; 0 where the clock has not been set yet."""
    return _millis_of(_utc_ns(state, mono_ns))


def _millis_of(utc_ns: int) -> int:
    return max(0, utc_ns // 1_000_000)


def _ratio(score: Score) -> float | None:
    if score.value is None or not score.threshold:
        return None
    return _figure(score.value / score.threshold)


def _figure(value: float | None) -> float | None:
    """A float of seven digits, so that JSON shows a decimal point; None (null) for what is no number."""
    return float(f"{value:.7g}") if value is not None and math.isfinite(value) else None
