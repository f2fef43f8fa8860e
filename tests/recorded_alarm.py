"""Evidence of an alarm as the guard's trip path and the recorder make it, in lockstep and without waiting."""

import math
import time
from collections.abc import Callable
from pathlib import Path

from appliance.analysis.recorder import Recorder
from appliance.clock import WallClock
from appliance.config import Config, Evidence, Fault, Limit, Limits, Simulation
from appliance.config import Protection as Protecting
from appliance.guard.latch import Latch
from appliance.guard.protection import Protection
from appliance.guard.sensors import World, open_vibration
from appliance.records import Capture, Event, Notice
from appliance.sensors import SimVibration, Trouble
from hw.ports import Reading
from hw.sim.relay import SimRelay

TEXT = (
    b'[machine]\nasset = "pump"\n[geometry]\nspeed_rpm = 1480\n'
    b"[geometry.bearing.de]\nbpfo = 3.585\nbpfi = 5.415\nbsf = 2.357\nftf = 0.398\n"
)
VIOLENT = (Fault(kind="outer_race", start_s=12.0, full_s=12.0, severity=1.0),)
Act = Callable[[Protection, float], None]


def config(
    folder: Path, *troubles: Trouble, faults: tuple[Fault, ...] = VIOLENT, **evidence: float
) -> Config:
    """One accelerometer that trips by its peak a second after the fault, and a thermometer."""
    return Config(
        state_dir=folder,
        simulation=Simulation(speed=math.inf, faults=faults),
        vibration=(SimVibration(name="de", rate_hz=3200.0, axes=3, troubles=troubles),),
        limits=Limits(peak_mps2=Limit(alert=15.0, danger=25.0, delay_s=1.0), rms_mps2=Limit(alert=4.0)),
        protection=Protecting(power_up_inhibit_s=0.0),
        evidence=Evidence(**{"pre_s": 8.0, "post_s": 3.0} | evidence),  # type: ignore[arg-type]
    )


class Alarmed:
    """One machine, one guard, one recorder. act: what a person does, called with the machine time, s."""

    def __init__(self, settings: Config, act: Act = lambda *_: None) -> None:
        self._sensor = open_vibration(settings.vibration[0], World(settings.simulation, 0))
        self.recorder = Recorder(settings, TEXT)
        self.folder = settings.state_dir / "evidence"
        self.folder.mkdir(exist_ok=True)
        self._told: list[Event] = []
        clock = WallClock(live=False)
        self.protection = Protection(settings, {"de": self._sensor}, SimRelay(), clock, self._tell)
        self._act = act

    def run(self, seconds: float) -> None:
        """Sample, judge and record."""
        self._sensor.start()
        end_s, now_s, read_s = seconds, 0.0, -1.0
        while now_s < end_s:
            block = self.protection.block("de", self._sensor.read(), time.perf_counter_ns())
            if block is None:
                continue
            now_s = block.t1_mono_ns / 1e9
            if now_s - read_s >= 1.0:
                read_s = now_s
                reading = Reading(40.0, block.t1_mono_ns)
                self._say(self.protection.reading("bearing", reading, time.perf_counter_ns()))
            self._act(self.protection, now_s)
            self._say(block, self.protection.state())
            if trace := self.protection.trace():
                self._say(trace)
            for event in self._told:
                self._say(Notice(event))
                if event.evidence:
                    self._say(Capture(event.evidence, event.at_mono_ns, event.message))
            self._told.clear()
            self.recorder._write()
        self.recorder._write(last=True)

    @property
    def files(self) -> list[Path]:
        """The evidence, oldest first."""
        return sorted(self.folder.glob("*.npz"), key=lambda path: int(path.name.partition("-")[0]))

    def _say(self, *messages: object) -> None:
        for message in messages:
            self.recorder._ring.take(message, time.monotonic())  # type: ignore[arg-type]

    def _tell(self, item: Event | Latch) -> None:
        if isinstance(item, Event):
            self._told.append(item)


def recorded(
    folder: Path, *troubles: Trouble, seconds: float = 20.0, act: Act = lambda *_: None
) -> list[Path]:
    """The evidence of a machine whose bearing goes at 12 s."""
    alarmed = Alarmed(config(folder, *troubles), act)
    alarmed.run(seconds)
    return alarmed.files
