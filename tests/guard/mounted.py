"""A sensor port without a bus, and a protection that is fed by hand in machine time."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from appliance.clock import WallClock
from appliance.config import Config, Limit, Limits
from appliance.config import Protection as Protecting
from appliance.guard.actuator import RELAY_SETTLES_S
from appliance.guard.latch import Latch
from appliance.guard.protection import Protection
from appliance.records import Event, MachineState, Quality, Score
from appliance.sensors import SimTemperature, SimVibration
from hw.ports import STANDARD_GRAVITY_MPS2, Reading, Samples
from hw.sim.relay import SimRelay

RATE_HZ = 1000.0
BLOCK_S = 0.1
SCALE_MPS2 = 0.005
BEGIN_NS = 7_000_000_000_000

# Peaks, m/s²: in Danger, in Alert, in neither by the peak's `limits`.
VIOLENT, LOUD, QUIET = 140.0, 100.0, 1.0
NO_RMS = {"rms_mps2": Limit(alert=150.0)}  # for `limits`: only the peak judges


@dataclass
class Port:
    """What the guard asks of hw.ports.Vibration; the test hands the samples over itself."""

    axes: int = 3
    rate_hz: float = RATE_HZ
    scale_mps2: float = SCALE_MPS2
    full_scale_counts: int = 32767
    noise_mps2: float = 0.02
    bandwidth_hz: float = RATE_HZ / 2
    dc_coupled: bool = True

    def start(self): ...

    def read(self):
        raise AssertionError("the test brings the samples")

    def stop(self): ...


def wave(peak_mps2: float, n: int = 100, axes: int = 3, seed: int = 0, gravity_axis: int = -1) -> np.ndarray:
    """Counts, (n, axes): a sine of this peak and a little noise on every axis, gravity on one."""
    t = np.arange(n) / RATE_HZ
    sine = peak_mps2 * np.sin(2 * np.pi * 50 * t)[:, None]
    accel = sine + np.random.default_rng(seed).normal(0, 0.02, (n, axes))
    accel[:, gravity_axis] += STANDARD_GRAVITY_MPS2
    return np.clip(np.rint(accel / SCALE_MPS2), -32768, 32767).astype(np.int16)


def limits(**more: object) -> Limits:
    """Small delays, so that tests are short; every default of the product that matters is kept."""
    few = {
        "peak_mps2": Limit(alert=80.0, danger=120.0, delay_s=0.3),
        "rms_mps2": Limit(alert=15.0, danger=30.0, delay_s=0.3),
        "temperature_degc": Limit(alert=80.0, danger=95.0, delay_s=2.0),
        "not_ok_delay_s": 1.0,
    }
    return Limits(**(few | more))  # type: ignore[arg-type]


class Guarded:
    """One protection of one accelerometer `de` and one thermometer `bearing`."""

    def __init__(
        self, latch: Latch | None = None, relay=None, temperatures: int = 1, trip=(), **more: object
    ) -> None:
        self.config = Config(
            state_dir=Path("unused"),
            vibration=(SimVibration(name="de", rate_hz=RATE_HZ, block_s=BLOCK_S),),
            temperature=(SimTemperature(name="bearing"),)[:temperatures],
            limits=limits(**more),
            trip=trip,
            protection=Protecting(power_up_inhibit_s=0.0),
        )
        self.relay = relay or SimRelay()
        self.told: list[tuple[int, Event | Latch]] = []
        self.t_ns = BEGIN_NS
        self.blocks = 0
        self.protection = Protection(
            self.config, {"de": Port()}, self.relay, WallClock(live=False), self._tell, latch
        )

    def _tell(self, item: Event | Latch) -> None:
        self.told.append((time.monotonic_ns(), item))

    def run(self, seconds: float, peak_mps2: float = 1.0, degc: float | None = 40.0, **how: object) -> None:
        """Blocks of a sine of this peak, and a temperature once a second."""
        for _ in range(round(seconds / BLOCK_S)):
            self.block(wave(peak_mps2, seed=self.blocks, **how))  # type: ignore[arg-type]
            if degc is not None and self.config.temperature and (self.blocks - 1) % 10 == 0:
                self.temperature(degc)

    def block(self, counts: np.ndarray, lost: int = 0):
        self.blocks += 1
        self.t_ns += round((len(counts) + lost) / RATE_HZ * 1e9)
        return self.protection.block("de", Samples(counts, self.t_ns, lost), time.perf_counter_ns())

    def temperature(self, degc: float):
        return self.protection.reading("bearing", Reading(degc, self.t_ns), time.perf_counter_ns())

    def score(
        self,
        ratio: float | None,
        *,
        quality: Quality = Quality.OK,
        state: MachineState = MachineState.RUNNING,
        model: str = "m1",
        delay_s: float | None = None,
    ) -> None:
        threshold = 2.0
        value = None if ratio is None else ratio * threshold
        t0_ns = self.t_ns - 1_000_000_000
        judged = Score("de", t0_ns, self.t_ns, quality, state, value, threshold, model, delay_s=delay_s)
        self.protection.score(judged, time.perf_counter_ns())

    def settle(self) -> None:
        """Until a contact has had the time to move, and the guard has looked at it."""
        time.sleep(RELAY_SETTLES_S)
        self.protection.watch()

    @property
    def energised(self) -> bool:
        return self.relay.read()

    def events(self, *types: str) -> list[Event]:
        found = [item for _, item in self.told if isinstance(item, Event)]
        return [event for event in found if not types or event.type in types]

    def latches(self) -> list[Latch]:
        return [item for _, item in self.told if isinstance(item, Latch)]

    def channel(self, name: str):
        return next(c for c in self.protection.state().channels if c.channel == name)
