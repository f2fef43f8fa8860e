"""Everything that crosses a process boundary or the wire, as typed records.

Times: `*_mono_ns` orders (CLOCK_MONOTONIC, or the simulated machine's own clock), `*_utc_ns` informs.
Raw counts cross the socket; SI units from there on.
"""

from enum import Enum, IntEnum, IntFlag
from typing import Literal

import msgspec

LARGEST_ID = 2**53
"""Of an event: the largest whole number that every JSON reader keeps exactly."""


class Validity(IntFlag):
    """Why a block or reading may not be trusted; 0 is OK. A bad value is never shown as a good one."""

    OK = 0
    GAP = 1  # samples are missing before or inside this block
    STUCK = 2  # an axis does not move, or moves less than its own noise
    CLIP = 4  # an axis reached full scale
    RANGE = 8  # a value is outside what the sensor can measure, or not a number
    AGE = 16  # nothing came for too long
    GRAVITY = 32  # the gravity vector has turned or vanished: the sensor fell off or turned
    CLOCK = 64  # the measured sample rate is off its nominal by more than the sensor can be
    LOST = 128  # the device does not answer


class Level(IntEnum):
    """How bad; a verdict is the worst of its channels."""

    NORMAL = 0
    ALERT = 1
    DANGER = 2


class MachineState(Enum):
    """What the machine does. A stopped machine is a state, never an anomaly; only `running` is scored."""

    OFF = "off"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    TRANSIENT = "transient"
    UNKNOWN = "unknown"


class Quality(Enum):
    """Whether a score may be used."""

    OK = "ok"
    NOT_OK = "not_ok"
    LEARNING = "learning"


class SampleBlock(msgspec.Struct, frozen=True, tag=True):
    """Consecutive samples of one vibration sensor with their measured clock.

    counts: little-endian int16, C order, shape (n, axes). rate_hz: measured; nominal_hz: the device's own.
    mean_counts: slow mean of each axis, about which peak and RMS were taken; None: the axis was left out.
    """

    sensor: str
    seq: int
    t0_mono_ns: int
    rate_hz: float
    axes: int
    scale_mps2: float
    counts: bytes
    lost: int = 0
    validity: Validity = Validity.OK
    nominal_hz: float = 0.0
    mean_counts: tuple[float | None, ...] = ()

    @property
    def n(self) -> int:
        """Samples per axis."""
        return len(self.counts) // (2 * self.axes)

    @property
    def t1_mono_ns(self) -> int:
        """Time just after the last sample."""
        return self.t0_mono_ns + round(self.n * 1e9 / self.rate_hz)


class TemperatureReading(msgspec.Struct, frozen=True, tag=True):
    """One temperature; degc is None where validity is not OK."""

    sensor: str
    at_mono_ns: int
    degc: float | None
    validity: Validity = Validity.OK


class QuantityReading(msgspec.Struct, frozen=True):
    """One quantity of a transmitter, in `unit` as channels have it; value: None where validity is not OK."""

    sensor: str
    quantity: str
    unit: str
    at_mono_ns: int
    value: float | None
    validity: Validity = Validity.OK


class Contribution(msgspec.Struct, frozen=True):
    """One feature's part in a score. words: for a technician; share: of the score, 0–1.

    ratio: × its normal; 0 where a ratio means nothing (skewness about 0): the words tell the difference.
    """

    feature: str
    words: str
    share: float
    ratio: float


class Hypothesis(msgspec.Struct, frozen=True):
    """A fault that would look so. strength: 0–1, how well it explains what is measured. words: evidence."""

    fault: str
    strength: float
    words: str


class Score(msgspec.Struct, frozen=True, tag=True):
    """The model's opinion of one window. value: >= 0, higher is more abnormal; None where no model scored it.

    hypotheses: of the last seconds, strongest first, at most three; renewed at least every few windows.
    metrics: SI figures of the window for dashboards (keys carry their units). progress, reason: share, 0–1,
    of what is gathered to be learnt, and in words what for or why it waits. delay_s: above it until an Alert.
    """

    sensor: str
    t0_mono_ns: int
    t1_mono_ns: int
    quality: Quality
    state: MachineState
    value: float | None = None
    threshold: float | None = None
    model: str = ""
    top: tuple[Contribution, ...] = ()
    metrics: dict[str, float] = {}
    progress: float = 1.0
    compute_ms: float = 0.0
    hypotheses: tuple[Hypothesis, ...] = ()
    reason: str = ""
    delay_s: float | None = None


class Spectrum(msgspec.Struct, frozen=True, tag=True):
    """Velocity spectrum of one window, mm/s RMS of each line; their root sum square is the velocity.

    first_hz: centre of the first line; step_hz: from line to line. at_mono_ns: end of the window.
    """

    sensor: str
    at_mono_ns: int
    first_hz: float
    step_hz: float
    lines_mms: tuple[float, ...]


class EventKind(Enum):
    """Topic class of an event; trips leave first."""

    TRIP = "trip"
    ALARM = "alarm"
    HEALTH = "health"
    AUDIT = "audit"


Severity = Literal["info", "warning", "alarm", "critical"]
Action = Literal["none", "relay_opened", "relay_closed", "inhibited"]
TimeQuality = Literal["ntp", "est", "none"]
Zone = Literal["", "A", "B", "C", "D"]


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something happened, once. id and seq are given by the store when it accepts the event.

    type: dotted, past tense ("alarm.raised", "trip.fired"). value, limit: in `unit`. who, why: of an act.
    boot, at_boot_ns: the kernel's boot id and CLOCK_BOOTTIME, from which a true time can be found later.
    time_error_ms: how far at_utc_ns may be off at most; None where nobody knew.
    """

    kind: EventKind
    type: str
    severity: Severity
    message: str
    at_mono_ns: int
    at_utc_ns: int
    time_quality: TimeQuality
    channel: str = ""
    value: float | None = None
    limit: float | None = None
    unit: str = ""
    top: tuple[Contribution, ...] = ()
    action: Action = "none"
    latency_ms: float | None = None
    model: str = ""
    evidence: str = ""
    who: str = ""
    why: str = ""
    zone: Zone = ""
    hypotheses: tuple[Hypothesis, ...] = ()
    boot: str = ""
    at_boot_ns: int = 0
    time_error_ms: float | None = None
    id: int = 0
    seq: int = 0


class ChannelState(msgspec.Struct, frozen=True):
    """One channel as the alarm engine sees it. since_mono_ns: when `level` began."""

    channel: str
    level: Level
    ok: bool
    value: float | None
    unit: str
    alert: float | None
    danger: float | None
    since_mono_ns: int
    latched: bool = False
    first_out: bool = False
    reason: str = ""
    acknowledged: bool = True
    shelved: bool = False
    zone: Zone = ""


class TripGroupState(msgspec.Struct, frozen=True):
    """One trip group: `need` of `members` in Danger drop the relay. blind: members that cannot vote."""

    name: str
    need: int
    members: tuple[str, ...]
    danger: tuple[str, ...] = ()
    blind: tuple[str, ...] = ()
    tripped: bool = False


class BypassState(msgspec.Struct, frozen=True):
    """A bypass in force: no trip is begun before until_mono_ns."""

    who: str
    why: str
    since_mono_ns: int
    until_mono_ns: int


class ClockHealth(msgspec.Struct, frozen=True):
    """The measured sample clock of one vibration sensor. ppm: against nominal.

    late_p50_ms, late_p99_ms, late_max_ms: how late its FIFO was emptied, worst of each block, since the
    guard's start.
    """

    sensor: str
    rate_hz: float
    ppm: float
    jitter_ms: float
    lost: int
    blocks: int
    late_p99_ms: float = 0.0
    late_max_ms: float = 0.0
    late_p50_ms: float = 0.0


class GuardState(msgspec.Struct, frozen=True, tag=True):
    """The guard's present condition, sent to every listener on change and once a second.

    latency_us: p50, p99, max of block in memory -> verdict and relay decision, since the start.
    score_latency_us: the same of window complete in memory -> its score judged.
    trip_latency_us: of the last trip, block in memory -> relay line written.
    log_seq, log_sha256: the last line of the event log, its head.
    at_boot_ns, time_error_ms: as in Event. written_bytes: what the guard has had written to disk.
    reasons: why the relay is not energised. relay_fault: what its read-back says otherwise, or said within
        the last minute. bypasses: so many since the box was made.
    """

    at_mono_ns: int
    at_utc_ns: int
    time_quality: TimeQuality
    level: Level
    tripped: bool
    relay_energised: bool
    machine: MachineState
    channels: tuple[ChannelState, ...]
    clocks: tuple[ClockHealth, ...]
    scores: tuple[Score, ...] = ()
    temperatures: tuple[TemperatureReading, ...] = ()
    latency_us: tuple[float, float, float] = (0.0, 0.0, 0.0)
    score_latency_us: tuple[float, float, float] = (0.0, 0.0, 0.0)
    trip_latency_us: float | None = None
    groups: tuple[TripGroupState, ...] = ()
    reasons: tuple[str, ...] = ()
    bypass: BypassState | None = None
    bypasses: int = 0
    multiplying: bool = False
    proof_test_due: bool = False
    events_accepted: int = 0
    pid: int = 0
    quantities: tuple[QuantityReading, ...] = ()
    log_seq: int = 0
    log_sha256: str = ""
    at_boot_ns: int = 0
    time_error_ms: float | None = None
    written_bytes: int = 0
    relay_fault: str = ""


class Hello(msgspec.Struct, frozen=True, tag=True):
    """First message of a process that connects to the guard: what it wants to hear."""

    role: Literal["analysis", "evidence", "uplink", "status"]


class ModelAct(msgspec.Struct, frozen=True, tag=True):
    """Analysis to guard, for the journal: a model was learnt, adapted, promoted, rolled back or refused.

    event: its type there: dotted, past tense ("model.learnt", "model.rolled_back").
    """

    sensor: str
    event: str
    message: str
    severity: Severity = "info"
    who: str = ""
    why: str = ""


class Trace(msgspec.Struct, frozen=True, tag=True):
    """Guard to evidence: what the rack was given and made of it. `guard/trace.py` reads it.

    seq: counts up by one; a hole is a loss. snapshot: the rack before the first step, b"" in most.
    """

    seq: int
    at_mono_ns: int
    snapshot: bytes
    steps: bytes
    changes: bytes


class Capture(msgspec.Struct, frozen=True, tag=True):
    """Guard to evidence: keep what is known around this moment under `name`."""

    name: str
    at_mono_ns: int
    reason: str


class Notice(msgspec.Struct, frozen=True, tag=True):
    """Guard to uplink: this event is durable in the store."""

    event: Event
