"""The configuration: one TOML file, typed, with defaults that work. `check.py` lists its faults."""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from appliance.accelerators import CpuAccelerator, EdgeTpuAccelerator
from appliance.geometry import Geometry
from appliance.models import Models
from appliance.pins import AnyRelay, Inputs, SimRelay
from appliance.plant_formats import HomeAssistant, Sparkplug
from appliance.plant_tls import Tls
from appliance.remote import Commands
from appliance.sensors import (
    NotNegative,
    PeriodSeconds,
    Positive,
    SimTemperature,
    SimVibration,
    TemperatureSensor,
    Token,
    VibrationSensor,
    Whole,
)
from appliance.storage import Storage

Fraction = Annotated[float, Meta(ge=0, lt=1)]
NotOkPolicy = Literal["alert", "danger", "ignore"]


class Site(Struct, forbid_unknown_fields=True, frozen=True):
    """What the appliance is bolted to; the MQTT prefix is pdm/v1/{site}/{area}/{asset}/{device}."""

    site: Token = "site"
    """Plant or works."""
    area: Token = "area"
    """Hall, line or unit inside it."""
    asset: Token = "machine"
    """The machine."""
    device: Token = "appliance"
    """This appliance on the machine."""
    preset: str = ""
    """Kind, power and support, as `pump, 15-300 kW, rigid`: limits and zones that follow (Presets)."""


class Fault(Struct, forbid_unknown_fields=True, frozen=True):
    """A simulated fault that grows: severity 0 at start_s, `severity` at full_s, held from there on."""

    kind: Literal[
        "imbalance",
        "misalignment",
        "looseness",
        "outer_race",
        "inner_race",
        "ball",
        "gear",
        "lubrication",
        "overheating",
    ]
    """What wears."""
    start_s: NotNegative = 0.0
    """Machine time at which it begins to grow, s."""
    full_s: NotNegative = 0.0
    """Machine time at which it has grown to `severity`, s."""
    severity: Annotated[float, Meta(ge=0, le=1)] = 1.0
    """How bad it becomes; 1 is violent."""


class Duty(Struct, forbid_unknown_fields=True, frozen=True):
    """From `at_s` on the simulated machine is asked for this speed and load, both shares of nameplate."""

    at_s: NotNegative
    """Machine time of the step, s; steps stand in order of time."""
    speed: Annotated[float, Meta(ge=0, le=1.5)] = 1.0
    """Share of nameplate speed; 0 stops the machine."""
    load: Annotated[float, Meta(ge=0, le=1.2)] = 0.7
    """Share of nameplate load."""


class Simulation(Struct, forbid_unknown_fields=True, frozen=True):
    """The simulated rotating machine that every `sim` sensor of this file is bolted to."""

    seed: Whole = 1
    """The same seed gives the same samples."""
    speed: Annotated[float, Meta(gt=0, le=1000)] = 1.0
    """How many times faster than real time the machine lives."""
    shaft_hz: Annotated[float, Meta(gt=0, le=500)] = 24.7
    """Nameplate speed of the shaft, turns per second."""
    resonance_hz: Annotated[float, Meta(ge=200, le=12000)] = 3500.0
    """Structural resonance that bearing impacts ring, Hz."""
    faults: tuple[Fault, ...] = ()
    """Faults that grow while the machine runs."""
    duty: tuple[Duty, ...] = ()
    """Starts, stops, speed and load; without a step it runs at nameplate speed."""


class Levels(Struct, forbid_unknown_fields=True, frozen=True):
    """Alert and Danger in one state of the machine. A level left out is not watched in it."""

    alert: float | None = None
    """Alert from this level on; left out: not watched."""
    danger: float | None = None
    """Danger from this level on; left out: not watched."""


class Limit(Struct, forbid_unknown_fields=True, frozen=True):
    """Two levels of one quantity, and how they come and go."""

    alert: float | None = None
    """Alert from this level on; left out: not watched."""
    danger: float | None = None
    """Danger from this level on; left out: not watched. It drops the relay, alone or by vote ([[trip]])."""
    delay_s: NotNegative | None = None
    """How long the value must be beyond a level before it counts, s; left out: 3, of a score
    what its model asks, or 10."""
    danger_delay_s: NotNegative | None = None
    """The same for Danger alone, s; left out: delay_s; of a score without one, 10."""
    off_delay_s: NotNegative = 0.0
    """How long the value must be back before a level clears, s."""
    deadband: Annotated[float, Meta(ge=0, le=0.5)] = 0.05
    """Share of the setpoint by which the value must be back before a level clears."""
    direction: Literal["over", "under"] = "over"
    """Whether a value at and over its level is bad, or one at and under it."""
    latch: Literal["danger", "both", "none"] = "danger"
    """Levels that stand until reset, whatever the value does. A trip is latched in any case."""
    not_ok: NotOkPolicy | None = None
    """What NOT OK counts as here; left out: limits.not_ok."""
    realarm_s: NotNegative = 0.0
    """A level that stands is announced again after so long, s; 0: once."""
    off: Levels | None = None
    """Levels while the machine is off, instead of those above."""
    starting: Levels | None = None
    """Levels while it starts."""
    running: Levels | None = None
    """Levels while it runs."""
    stopping: Levels | None = None
    """Levels while it runs down."""
    transient: Levels | None = None
    """Levels while its speed or load changes."""


class Limits(Struct, forbid_unknown_fields=True, frozen=True):
    """Absolute limits: in force from the first block, whatever the model knows."""

    peak_mps2: Limit = Limit(alert=80.0, danger=120.0, delay_s=1.0)
    """Largest acceleration of a block without its mean, m/s²."""
    rms_mps2: Limit = Limit(alert=15.0, danger=30.0)
    """RMS acceleration of a block without its mean, m/s²."""
    velocity_mms: Limit = Limit()
    """Velocity RMS 10–1000 Hz of the worst axis, mm/s; machine.preset sets it to the zones of its class."""
    velocity_slope_mms_per_min: Limit = Limit(delay_s=30.0)
    """Rise of that velocity over the last ten minutes, mm/s per minute."""
    temperature_degc: Limit = Limit(alert=80.0, danger=95.0)
    """Temperature, °C."""
    temperature_slope_degc_per_min: Limit = Limit(alert=5.0, danger=10.0, delay_s=30.0)
    """Rise of temperature over the last two minutes, °C/min."""
    score_ratio: Limit = Limit(alert=1.0)
    """Learned score over its threshold. It raises an Alert alone, and trips only by a vote ([[trip]])."""
    channels: dict[str, Limit] = {}
    """Limits of single channels by name (`de.velocity`), instead of those above and of any preset."""
    not_ok: NotOkPolicy = "alert"
    """What a channel that is NOT OK counts as."""
    not_ok_delay_s: NotNegative = 3.0
    """How long a channel must be NOT OK before it counts, s."""


class Trip(Struct, forbid_unknown_fields=True, frozen=True):
    """A trip group: channels that drop the relay only by vote. Danger of any other channel trips alone."""

    name: Token
    """The group's name in events; unique in the file."""
    members: Annotated[tuple[str, ...], Meta(min_length=1)]
    """Channels, as `de.velocity`; each in one group at most."""
    vote: Annotated[
        str, Meta(pattern=r"^[1-9]oo[1-9]$", description="as 1oo2, 2oo2 or 2oo3: so many of the members")
    ]
    """How many of the members must be in Danger."""
    not_ok_member: Literal["counts towards the trip", "is left out"] = "counts towards the trip"
    """What a member that cannot be judged does: 2oo3 becomes 1oo2, or it becomes 2oo2."""
    learned: Literal["with an absolute limit", "alone, without any absolute limit"] = "with an absolute limit"
    """Whether learned scores may trip without an absolute channel of the group in Danger too."""


class Protection(Struct, forbid_unknown_fields=True, frozen=True):
    """How the machine is protected beside its limits."""

    power_up_inhibit_s: Annotated[float, Meta(ge=0, le=10)] = 0.5
    """Nothing is judged for so long after the start, and the relay stays de-energised, s."""
    trip_multiply: Annotated[float, Meta(ge=1, le=3)] = 1.0
    """Factor on vibration levels while the machine starts (contact, or state `starting`); 1: none."""
    trip_multiply_longest_s: Annotated[float, Meta(ge=0, le=600)] = 60.0
    """So long at most, s; then the levels count as they stand until the next start."""
    bypass_longest_s: Annotated[float, Meta(gt=0, le=28_800)] = 28_800.0
    """Longest bypass of the trip, s."""
    shelve_longest_s: Annotated[float, Meta(gt=0, le=604_800)] = 28_800.0
    """Longest shelving of an Alert, s."""
    proof_test_days: Annotated[float, Meta(gt=0, le=3650)] = 365.0
    """Days after which a proof test of the relay is due."""


class Transmitter(Struct, forbid_unknown_fields=True, frozen=True):
    """A Modbus RTU transmitter, which gives numbers instead of samples. Those on one port share its line."""

    name: Token
    """The sensor's name in channels and topics; unique in the file."""
    port: Annotated[
        str,
        Meta(
            pattern=r"^(/.+|sim)$",
            description="a path from the root, or sim for a transmitter on the simulated machine",
        ),
    ]
    """The tty of its line, best by its stable name in /dev/serial/by-id; sim: a pty of its own."""
    map: Path
    """`qm30vt2`, `wtvb01`, or a file with a map of your own (NAME.toml; docs/ADDING-A-SENSOR.md)."""
    slave: Annotated[int, Meta(ge=1, le=247)] = 1
    """Its address; from the factory 1 (QM30VT2) or 80 (WTVB01)."""
    baud: Literal[1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400] = 19200
    """Bits per second on the line; from the factory 19200 (QM30VT2) or 9600 (WTVB01)."""
    parity: Literal["none", "even", "odd"] = "none"
    """Parity on the line."""
    stop_bits: Literal[1, 2] = 1
    """Stop bits on the line."""
    echo: bool = False
    """Whether the adapter hears what it sends (two wires, no transmit mute)."""
    timeout_s: Annotated[float, Meta(ge=0.02, le=1)] = 0.3
    """How long a slave of the line may take to begin its answer, s."""
    period_s: PeriodSeconds = 1.0
    """Seconds between readings."""
    limits: dict[str, Limit] = {}
    """Limits by quantity of the map, in its unit: `limits.z-velocity-rms = { alert = 4.5, danger = 7.1 }`."""

    @property
    def simulated(self) -> bool:
        """Whether it is bolted to the simulated machine."""
        return self.port == "sim"


class Analysis(Struct, forbid_unknown_fields=True, frozen=True):
    """Windows and the learning of normal."""

    window_s: Annotated[float, Meta(ge=0.1, le=60)] = 1.28
    """Length of one window, s."""
    overlap: Fraction = 0.5
    """Share of a window that the next one repeats."""
    learn_s: Annotated[float, Meta(gt=0)] = 300.0
    """Normal running behind a mature model, s of the machine's own time; a provisional one needs less."""
    settle_s: NotNegative = 5.0
    """After a start or a change of speed the machine counts as transient for this long."""
    off_mms: NotNegative = 0.2
    """Below this velocity RMS, mm/s, the machine counts as off while nothing is learnt yet."""
    seed: Whole = 1
    """Seed of the learning."""


class Evidence(Struct, forbid_unknown_fields=True, frozen=True):
    """What is kept of each alarm, and how much of it: docs/RECORDINGS.md."""

    pre_s: Annotated[float, Meta(ge=1, le=60)] = 10.0
    """Seconds of waveform before the alarm."""
    post_s: Annotated[float, Meta(ge=0.5, le=60)] = 5.0
    """Seconds of waveform after it."""
    most_files: Annotated[int, Meta(ge=4, le=10_000)] = 200
    """Files kept at most. The oldest goes first; protected ones stay while they are half of that or less."""
    most_mb: Annotated[float, Meta(ge=1, le=1_000_000)] = 1000.0
    """Size of all files at most, MB; the same rule."""


class Uplink(Struct, forbid_unknown_fields=True, frozen=True):
    """The way to the plant's broker."""

    enabled: bool = True
    """Whether to talk to a broker at all; events are kept on disk in any case."""
    host: Annotated[str, Meta(min_length=1)] = "localhost"
    """Name or address of the broker."""
    port: Annotated[int, Meta(ge=1, le=65535)] = 1883
    """TCP port of the broker."""
    username: str = ""
    """MQTT user; empty: anonymous."""
    password_file: Path | None = None
    """File with the MQTT password, readable by this user only."""
    tls: Tls | None = None
    """TLS; left out: none, and whoever is on the network may read along and write."""
    keepalive_s: Annotated[int, Meta(ge=5, le=3600)] = 30
    """MQTT keep-alive, s."""
    window: Annotated[int, Meta(ge=1, le=1000)] = 20
    """Messages that may wait for their PUBACK at once."""
    backoff_s: Positive = 5.0
    """Longest first wait, after a start and after a lost connection, s; random up to it; doubles."""
    backoff_max_s: Positive = 60.0
    """Longest wait between attempts, s."""
    settle_s: NotNegative = 10.0
    """Seconds the broker must outlive its PUBACK before an event counts as delivered; above its autosave."""
    drain_rate_hz: Annotated[float, Meta(ge=0, le=100_000)] = 200.0
    """Late messages per second at most, so that they do not crowd out live ones; 0: as fast as it goes."""
    spread_s: Annotated[float, Meta(ge=0, le=3600)] = 30.0
    """Late messages wait a random time up to so long, so that a plant does not come back all at once, s."""
    state_period_s: Positive = 60.0
    """Seconds between state messages without a change."""
    health_period_s: Positive = 300.0
    """Seconds between health messages."""
    sparkplug: Sparkplug = Sparkplug()
    """The same data as a Sparkplug B edge node."""
    homeassistant: HomeAssistant = HomeAssistant()
    """Discovery by Home Assistant."""
    commands: Commands = Commands()
    """What the plant may ask for."""


class Config(Struct, forbid_unknown_fields=True, frozen=True):
    """The whole file."""

    machine: Site = Site()
    """Where the appliance is bolted."""
    state_dir: Path = Path("/var/lib/appliance")
    """Durable: event store, bundles, latch, evidence."""
    run_dir: Path = Path("/run/appliance")
    """Volatile: the guard's socket."""
    simulation: Simulation = Simulation()
    """The simulated machine."""
    vibration: Annotated[tuple[VibrationSensor, ...], Meta(min_length=1)] = field(
        default_factory=lambda: (SimVibration(name="de"),)
    )
    """Accelerometers, at least one."""
    temperature: tuple[TemperatureSensor, ...] = field(
        default_factory=lambda: (SimTemperature(name="bearing"),)
    )
    """Thermometers; an empty array for none."""
    transmitter: tuple[Transmitter, ...] = ()
    """Modbus transmitters."""
    geometry: Geometry = Geometry()
    """What turns in the machine."""
    relay: AnyRelay = SimRelay()
    """The shutdown output."""
    inputs: Inputs = Inputs()
    """Contacts of the machine and its panel."""
    on_stop: Literal["hold", "trip"] = "trip"
    """What a planned stop does to the relay: de-energise, or leave the line as it is for the next start."""
    limits: Limits = Limits()
    """Absolute limits."""
    trip: tuple[Trip, ...] = ()
    """Trip groups; a channel in none of them trips alone."""
    protection: Protection = Protection()
    """Inhibit, multiply, bypass, shelving, proof test."""
    analysis: Analysis = Analysis()
    """Windows and learning."""
    models: Models = Models()
    """Signers, shadow and probation of models."""
    accelerator: CpuAccelerator | EdgeTpuAccelerator = CpuAccelerator()
    """What runs the model."""
    evidence: Evidence = Evidence()
    """The record of each alarm."""
    storage: Storage = Storage()
    """Events and history on disk."""
    uplink: Uplink = Uplink()
    """The plant's broker."""

    @property
    def socket_path(self) -> Path:
        """The guard's SOCK_SEQPACKET socket."""
        return self.run_dir / "guard.sock"

    @property
    def store_path(self) -> Path:
        """The SQLite event store."""
        return self.state_dir / "events.db"

    @property
    def history_path(self) -> Path:
        """The SQLite file of telemetry that could not be sent live."""
        return self.state_dir / "history.db"

    @property
    def anchors_path(self) -> Path:
        """Which wall time belongs to which boot time."""
        return self.state_dir / "anchors.json"

    @property
    def device_key_path(self) -> Path:
        """The private key that signs what this device learns."""
        return self.state_dir / "device.key"

    def machine_of(self, sensor: str) -> str:
        """What a bundle for this sensor of this machine says it is for."""
        return f"{self.machine.site}/{self.machine.area}/{self.machine.asset}/{sensor}"

    def bundle_dir(self, sensor: str) -> Path:
        """Where the bundles of one vibration sensor live; `active` in it points at the one in force."""
        return self.state_dir / "bundles" / sensor
