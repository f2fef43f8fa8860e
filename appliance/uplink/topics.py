"""The MQTT contract: every topic with its payload type. docs/TOPICS.md and the JSON Schemas come from here.

A payload is one flat JSON object with one type per key for ever; floats carry a decimal point, a value that
is not known is null. Adding keys is a minor change, consumers ignore keys they do not know.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from appliance.config import Site
from appliance.records import Action, Severity, TimeQuality, Zone
from appliance.uplink.command import Answer
from appliance.uplink.wave import Manifest

Version = Literal[1]
Id = Annotated[
    int,
    Meta(
        ge=1,
        le=2**53 - 1,
        description="unique per device: (start counter << 32) | n; increasing over restarts within a "
        "topic class; consumers drop a repeated id",
    ),
]
Millis = Annotated[
    int,
    Meta(ge=0, description="UTC, milliseconds since 1970, of the measurement or event, never of the sending"),
]
Tsq = Annotated[
    TimeQuality,
    Meta(
        description="ntp: synchronised clock; est: free running since it was, or found out later; none: the "
        "clock was never synchronised, or set by hand since: order by id"
    ),
]
ErrorMs = Annotated[float | None, Meta(description="how far ts may be off at most, ms; null: nobody knows")]
DeviceMillis = Annotated[
    int, Meta(ge=0, description="what the device's clock said, where ts was found out later")
]
Count = Annotated[int, Meta(ge=0)]
Multiplying = Annotated[bool, Meta(description="vibration setpoints are multiplied, the machine starts")]
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Figure = float | None
Ucum = Annotated[str, Meta(description="the unit as a UCUM code; left out where there is none")]
ChannelKind = Literal["acceleration", "velocity", "temperature", "other"]


class Status(Struct, frozen=True, kw_only=True):
    """Whether the appliance is there; also its last will."""

    v: Version = 1
    online: bool
    start: Annotated[
        int,
        Meta(
            ge=1, description="start counter; ignore an offline with a smaller one than the last online had"
        ),
    ]
    reason: Literal["connected", "lost", "stopped"]


class Metric(Struct, frozen=True):
    """One key of `telemetry`."""

    type: Literal["float", "int", "bool", "string"]
    unit: str | UnsetType = UNSET
    ucum: Ucum | UnsetType = UNSET


class InfoChannel(Struct, frozen=True):
    """One sensor, or one quantity of a transmitter. fs_hz: samples per second; 0.0 where not known yet."""

    name: str
    kind: ChannelKind
    unit: str
    fs_hz: float
    axes: int | UnsetType = UNSET
    ucum: Ucum | UnsetType = UNSET


class Info(Struct, frozen=True, kw_only=True):
    """What this appliance is; changes only with firmware, model or configuration."""

    v: Version = 1
    ts: Millis
    device: str
    fw: str
    model: str
    channels: tuple[InfoChannel, ...]
    metrics: dict[str, Metric]
    zone_edges_mm_s: Annotated[
        tuple[float, ...], Meta(description="velocity at A/B, B/C, C/D, mm/s RMS; empty where none is named")
    ] = ()
    schema: str = "pdm/v1"
    commands: tuple[str, ...] = ()


class State(Struct, frozen=True, kw_only=True):
    """The present condition. level: 0 normal, 1 learning, 2 warning (Alert), 3 alarm (Danger), 4 tripped."""

    v: Version = 1
    ts: Millis
    tsq: Tsq
    ts_err_ms: ErrorMs
    level: Annotated[int, Meta(ge=0, le=4)]
    level_name: Literal["normal", "learning", "warning", "alarm", "tripped"]
    alarm: Annotated[bool, Meta(description="level is alarm or tripped")]
    tripped: bool
    ok: Annotated[bool, Meta(description="false: some channel may not be trusted")]
    machine: Literal["off", "starting", "running", "stopping", "transient", "unknown"]
    score: Figure
    threshold: Figure
    backlog: Annotated[int, Meta(ge=0, description="events not delivered yet")]
    oldest_s: Annotated[int, Meta(ge=0, description="age of the oldest of them")]
    since: (
        Annotated[
            int,
            Meta(
                ge=0,
                description="UTC ms: when the worst level of a channel began; left out: before the start",
            ),
        ]
        | UnsetType
    ) = UNSET
    reasons: Annotated[str, Meta(description="why the relay is not energised; empty while it is")]
    relay_fault: Annotated[str, Meta(description="what its read-back says otherwise; empty while it agrees")]
    bypassed: Annotated[bool, Meta(description="no trip is begun; what is tripped stays tripped")]
    bypass_who: str | UnsetType = UNSET
    bypass_why: str | UnsetType = UNSET
    bypass_until: Millis | UnsetType = UNSET
    groups: Annotated[str, Meta(description="votes of the trip groups of several channels, and what tripped")]
    zone: Annotated[Zone, Meta(description="worst severity zone; empty where none is named")]
    acknowledged: Annotated[bool, Meta(description="false: an alarm that nobody has acknowledged")]
    unacknowledged: Annotated[str, Meta(description="channels with such an alarm, separated by spaces")]
    shelved: Annotated[int, Meta(ge=0, description="channels whose Alert is shelved")]
    multiplying: Multiplying
    proof_test_due: bool


class Telemetry(Struct, frozen=True, kw_only=True):
    """One flat sample per window of a vibration sensor, or per answer of a transmitter (no score then). What
    was measured follows as float keys, see `info.metrics`; a transmitter's begin with `tx_`.
    """

    v: Version = 1
    id: Id
    ts: Millis
    tsq: Tsq
    ts_err_ms: ErrorMs
    ts_device: DeviceMillis | UnsetType = UNSET
    backfill: bool
    ok: Annotated[bool, Meta(description="false: a sensor or the model was not usable in this window")]
    sensor: str
    level: Annotated[int, Meta(ge=0, le=4)]
    score: Figure
    threshold: Figure
    ratio: Annotated[Figure, Meta(description="score / threshold")]
    zone: Annotated[Zone, Meta(description="worst severity zone of this sensor; empty where none is named")]
    bypassed: bool
    multiplying: Multiplying


class Spectrum(Struct, frozen=True, kw_only=True):
    """Velocity spectrum of one window: the axis that shakes most. The root sum square of the lines is its
    velocity.
    """

    v: Version = 1
    ts: Millis
    tsq: Tsq
    sensor: str
    first_hz: Annotated[float, Meta(description="centre of the first line, Hz")]
    step_hz: Annotated[float, Meta(description="from one line to the next, Hz")]
    lines_mm_s: Annotated[
        tuple[float, ...], Meta(max_length=200, description="velocity of each line, mm/s RMS")
    ]


class EventPayload(Struct, frozen=True, kw_only=True):
    """Something happened; at least once, durable before it is sent."""

    v: Version = 1
    id: Id
    seq: Annotated[int, Meta(ge=1, description="contiguous per device over all events: a hole means lost")]
    ts: Millis
    tsq: Tsq
    ts_err_ms: ErrorMs
    ts_device: DeviceMillis | UnsetType = UNSET
    backfill: Annotated[bool, Meta(description="true: sent late, after an outage, or offered again")]
    type: Annotated[str, Meta(pattern=r"^[a-z]+(\.[a-z_]+)*$", examples=["alarm.raised", "trip.fired"])]
    severity: Severity
    severity_n: Annotated[int, Meta(ge=0, le=3)]
    message: Annotated[str, Meta(max_length=240)]
    action: Action
    value: Annotated[Figure, Meta(description="what was found, in `unit`")]
    limit: Annotated[Figure, Meta(description="what it was compared with, in `unit`")]
    unit: str
    latency_ms: Annotated[Figure, Meta(description="of a trip: block in memory to relay line written")]
    ucum: Ucum | UnsetType = UNSET
    channel: str | UnsetType = UNSET
    top1: str | UnsetType = UNSET
    top1_share: float | UnsetType = UNSET
    top2: str | UnsetType = UNSET
    top2_share: float | UnsetType = UNSET
    top3: str | UnsetType = UNSET
    top3_share: float | UnsetType = UNSET
    fault1: Annotated[str, Meta(description="what would look so, most likely first")] | UnsetType = UNSET
    fault1_strength: Annotated[float, Meta(ge=0, le=1)] | UnsetType = UNSET
    fault1_evidence: str | UnsetType = UNSET
    fault2: str | UnsetType = UNSET
    fault2_strength: Annotated[float, Meta(ge=0, le=1)] | UnsetType = UNSET
    fault2_evidence: str | UnsetType = UNSET
    fault3: str | UnsetType = UNSET
    fault3_strength: Annotated[float, Meta(ge=0, le=1)] | UnsetType = UNSET
    fault3_evidence: str | UnsetType = UNSET
    model: str | UnsetType = UNSET
    wave: Annotated[str, Meta(description="the waveform kept on the device")] | UnsetType = UNSET
    zone: Annotated[str, Meta(description="severity zone of the value")] | UnsetType = UNSET
    who: Annotated[str, Meta(description="of a person's act")] | UnsetType = UNSET
    why: Annotated[str, Meta(description="of a person's act, or how the vote stood")] | UnsetType = UNSET


class Health(Struct, frozen=True, kw_only=True):
    """How the appliance itself is. Counters begin at 0 with each start of the uplink, those of evictions with
    the files that they speak of.
    """

    v: Version = 1
    ts: Millis
    up_s: Count
    backlog: Count
    oldest_s: Count
    backlog_history: Annotated[int, Meta(ge=0, description="samples that wait to be sent as history")]
    evicted_telemetry: Annotated[int, Meta(ge=0, description="samples given up: no room, or the disk full")]
    evicted_events: Annotated[int, Meta(ge=0, description="events given up: no room; each is a hole in seq")]
    refused: Annotated[int, Meta(ge=0, description="events that the broker refused; kept and offered again")]
    nobody_listening: Annotated[int, Meta(ge=0, description="offers of an event that no subscriber took")]
    reconnects: Count
    infer_p50_ms: Figure
    infer_p99_ms: Figure
    cpu_load: Figure
    rss_mb: Annotated[Figure, Meta(description="resident memory of the uplink process")]
    disk_free_mb: Figure
    written_mb_per_day: Annotated[
        Figure, Meta(description="what guard and uplink write to disk; null in the first minute")
    ]
    written_kb_per_event: Annotated[
        Figure, Meta(description="what the guard has written for each event that it has accepted")
    ]
    disk_written_mb_per_day: Annotated[
        Figure, Meta(description="what the whole box writes to that disk; null where it does not count")
    ]
    over_write_budget: Annotated[
        bool, Meta(description="guard and uplink write more than storage.written_mb_per_day")
    ]
    log_seq: Annotated[
        int | None, Meta(description="number of the event log's last line; null while the guard is away")
    ]
    log_sha256: Annotated[
        Sha256 | None,
        Meta(description="its SHA-256; `appliance evidence verify --head SEQ:SHA256` finds a log cut short"),
    ]


@dataclass(frozen=True, slots=True)
class Topic:
    """One row of the contract. All are sent with QoS 1. expiry_s: MQTT 5 Message Expiry; None: never.

    payload: None: binary. A `{name}` in the suffix stands for the name of a command.
    """

    suffix: str
    payload: type[Struct] | None
    retain: bool
    durable: bool
    expiry_s: int | None
    when: str
    content_type: str = "application/json"


_ROWS = (
    Topic("status", Status, True, False, None, "connect, clean stop; the will says offline"),
    Topic("info", Info, True, False, None, "connect, and when model, sensors or firmware change"),
    Topic("state", State, True, False, 300, "on change, and every `uplink.state_period_s`; live only"),
    Topic(
        "telemetry",
        Telemetry,
        False,
        False,
        60,
        "each window and each answer of a transmitter, live only (younger than 30 s)",
    ),
    Topic("spectrum", Spectrum, False, False, 120, "once a minute for each sensor, live only"),
    Topic("history", Telemetry, False, True, None, "telemetry that could not be sent live, after the events"),
    Topic("event/trip", EventPayload, False, True, None, "the relay dropped"),
    Topic("event/alarm", EventPayload, False, True, None, "a channel changed its level"),
    Topic(
        "event/health", EventPayload, False, True, None, "the appliance or a sensor has a fault, or no more"
    ),
    Topic("event/audit", EventPayload, False, True, None, "a person or the system did something"),
    Topic("health", Health, True, False, 900, "connect, and every `uplink.health_period_s`"),
    Topic("rsp/{name}", Answer, False, False, 60, "a command has been obeyed or refused"),
    Topic(
        "wave/chunk",
        None,
        False,
        False,
        3600,
        "`cmd/evidence`, where `uplink.commands` allows it",
        "application/octet-stream",
    ),
    Topic("wave/manifest", Manifest, False, False, 3600, "after the chunks of an upload"),
)
TOPICS: Mapping[str, Topic] = {topic.suffix: topic for topic in _ROWS}
"""By suffix; the full topic is `{prefix}/{suffix}`."""


def prefix(site: Site) -> str:
    """Where all topics of this appliance begin: pdm/v1/{site}/{area}/{asset}/{device}."""
    return f"pdm/v1/{site.site}/{site.area}/{site.asset}/{site.device}"
