"""The configuration: one TOML file, typed, with defaults that work. `check.py` lists its faults with their lines."""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

Token = Annotated[
    str, Meta(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$", description="a to z, 0 to 9 and '-', 1 to 32 characters")
]
Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Fraction = Annotated[float, Meta(ge=0, lt=1)]
Whole = Annotated[int, Meta(ge=0)]
NotOkPolicy = Literal["alert", "danger", "ignore"]


class Site(Struct, forbid_unknown_fields=True, frozen=True):
    """Where the appliance is bolted: the MQTT prefix is pdm/v1/{site}/{area}/{asset}/{device}."""

    site: Token = "site"
    area: Token = "area"
    asset: Token = "machine"
    device: Token = "appliance"


class Fault(Struct, forbid_unknown_fields=True, frozen=True):
    """A simulated fault that grows: severity 0 at start_s, `severity` at full_s, held from there on."""

    kind: Literal[
        "imbalance", "misalignment", "looseness", "outer_race", "inner_race", "ball", "gear", "lubrication", "overheating"
    ]
    start_s: NotNegative = 0.0
    full_s: NotNegative = 0.0
    severity: Annotated[float, Meta(ge=0, le=1)] = 1.0


class Duty(Struct, forbid_unknown_fields=True, frozen=True):
    """From `at_s` on the simulated machine is asked for this speed (share of nameplate, 0 = stop) and load (0–1)."""

    at_s: NotNegative
    speed: Annotated[float, Meta(ge=0, le=1.5)] = 1.0
    load: Annotated[float, Meta(ge=0, le=1.2)] = 0.7


class Trouble(Struct, forbid_unknown_fields=True, frozen=True):
    """A simulated sensor trouble between start_s and end_s. amount: clock drift in ppm; unused by the others."""

    kind: Literal["dropout", "stuck", "clip", "fallen", "clock_drift", "lost"]
    start_s: NotNegative = 0.0
    end_s: Positive = 1e9
    amount: float = 0.0


class Simulation(Struct, forbid_unknown_fields=True, frozen=True):
    """The simulated rotating machine that every `sim` sensor of this file is bolted to."""

    seed: Whole = 1
    speed: Annotated[float, Meta(gt=0, le=1000)] = 1.0
    """How many times faster than real time the machine lives."""
    shaft_hz: Annotated[float, Meta(gt=0, le=500)] = 24.7
    resonance_hz: Annotated[float, Meta(ge=200, le=12000)] = 3500.0
    faults: tuple[Fault, ...] = ()
    duty: tuple[Duty, ...] = ()


class SimVibration(Struct, forbid_unknown_fields=True, frozen=True, tag_field="driver", tag="sim"):
    """An accelerometer on the simulated machine."""

    name: Token
    rate_hz: Annotated[float, Meta(ge=50, le=100_000)] = 6400.0
    axes: Annotated[int, Meta(ge=1, le=3)] = 3
    block_s: Annotated[float, Meta(ge=0.005, le=1.0)] = 0.1
    range_g: Positive = 16.0
    clock_ppm: float = 0.0
    troubles: tuple[Trouble, ...] = ()


class RecordedVibration(Struct, forbid_unknown_fields=True, frozen=True, tag_field="driver", tag="recording"):
    """A recording played as if it were a sensor: CSV, WAV or evidence .npz."""

    name: Token
    path: Path
    rate_hz: Annotated[float, Meta(ge=50, le=200_000)] | None = None
    units: Literal["g", "m/s2"] = "g"
    axes: Annotated[int, Meta(ge=1, le=3)] | None = None
    block_s: Annotated[float, Meta(ge=0.005, le=1.0)] = 0.1
    speed: Annotated[float, Meta(ge=0)] = 1.0
    """How many times faster than real time; 0 = as fast as it can."""


VibrationSensor = SimVibration | RecordedVibration


class SimTemperature(Struct, forbid_unknown_fields=True, frozen=True, tag_field="driver", tag="sim"):
    """A thermometer on the simulated machine."""

    name: Token
    period_s: Annotated[float, Meta(ge=0.1, le=600)] = 1.0
    troubles: tuple[Trouble, ...] = ()


TemperatureSensor = SimTemperature


class Limit(Struct, forbid_unknown_fields=True, frozen=True):
    """Two levels of one quantity. A level left out is not watched. delay_s: time delay of both levels."""

    alert: Positive | None = None
    danger: Positive | None = None
    delay_s: NotNegative = 3.0


class Limits(Struct, forbid_unknown_fields=True, frozen=True):
    """Absolute limits: in force from the first block, whatever the model knows."""

    peak_mps2: Limit = Limit(alert=80.0, danger=120.0, delay_s=1.0)
    rms_mps2: Limit = Limit(alert=15.0, danger=30.0)
    temperature_degc: Limit = Limit(alert=80.0, danger=95.0)
    temperature_slope_degc_per_min: Limit = Limit(alert=5.0, danger=10.0, delay_s=30.0)
    score_ratio: Limit = Limit(alert=1.0, delay_s=10.0)
    """Learned score over its threshold. Alert only by default: a score does not trip alone."""
    not_ok: NotOkPolicy = "alert"
    not_ok_delay_s: NotNegative = 3.0


class SimRelay(Struct, forbid_unknown_fields=True, frozen=True, tag_field="driver", tag="sim"):
    """A relay that records its edges in `edges` (one JSON object a line), or only in memory."""

    edges: Path | None = None


class Analysis(Struct, forbid_unknown_fields=True, frozen=True):
    """Windows and the learning of normal."""

    window_s: Annotated[float, Meta(ge=0.1, le=60)] = 1.28
    overlap: Fraction = 0.5
    learn_s: Annotated[float, Meta(gt=0)] = 300.0
    """Normal running to gather before the first model, in the machine's own time."""
    settle_s: NotNegative = 5.0
    """After a start or a change of speed the machine counts as transient for this long."""
    seed: Whole = 1


class Uplink(Struct, forbid_unknown_fields=True, frozen=True):
    """The way to the plant's broker."""

    enabled: bool = True
    host: str = "localhost"
    port: Annotated[int, Meta(ge=1, le=65535)] = 1883
    username: str = ""
    password_file: Path | None = None
    keepalive_s: Annotated[int, Meta(ge=5, le=3600)] = 30
    window: Annotated[int, Meta(ge=1, le=1000)] = 20
    """Messages that may wait for their PUBACK at once."""
    backoff_s: Positive = 1.0
    backoff_max_s: Positive = 60.0
    state_period_s: Positive = 60.0
    health_period_s: Positive = 300.0


class Config(Struct, forbid_unknown_fields=True, frozen=True):
    """The whole file."""

    machine: Site = Site()
    state_dir: Path = Path("/var/lib/appliance")
    """Durable: event store, bundles, latch, evidence."""
    run_dir: Path = Path("/run/appliance")
    """Volatile: the guard's socket."""
    simulation: Simulation = Simulation()
    vibration: Annotated[tuple[VibrationSensor, ...], Meta(min_length=1)] = field(
        default_factory=lambda: (SimVibration(name="de"),)
    )
    temperature: tuple[TemperatureSensor, ...] = field(default_factory=lambda: (SimTemperature(name="bearing"),))
    relay: SimRelay = SimRelay()
    on_stop: Literal["hold", "trip"] = "trip"
    """What a planned stop does to the relay: de-energise, or leave the line as it is for the next start."""
    limits: Limits = Limits()
    analysis: Analysis = Analysis()
    uplink: Uplink = Uplink()

    @property
    def socket_path(self) -> Path:
        """The guard's SOCK_SEQPACKET socket."""
        return self.run_dir / "guard.sock"

    @property
    def store_path(self) -> Path:
        """The SQLite event store."""
        return self.state_dir / "events.db"

    def bundle_dir(self, sensor: str) -> Path:
        """Where the bundles of one vibration sensor live; `active` in it points at the one in force."""
        return self.state_dir / "bundles" / sensor
