"""`appliance replay`: a recording through the very guard and analysis code, in lockstep, without waiting.

Evidence of an alarm is judged once more instead (`rejudge`), unless limits, a model or a sensor are named.
"""

import argparse
import math
import time
from pathlib import Path

import msgspec

from appliance import check
from appliance.analysis import bundle as bundles
from appliance.analysis.bundle import Bundle
from appliance.analysis.stream import SensorStream
from appliance.clock import WallClock
from appliance.config import Config
from appliance.desk import evidence_file, rejudge, source
from appliance.errors import ApplianceError, BundleError
from appliance.guard.latch import Latch
from appliance.guard.protection import Protection
from appliance.records import Event, EventKind
from appliance.sensors import RecordedVibration
from hw.player import RecordingVibration
from hw.ports import EndOfSource
from hw.sim.clock import SimClock
from hw.sim.relay import SimRelay
from hw.waveform import Recording


class Replay:
    """One recording, one guard, one analysis, no process, no thread, no waiting."""

    def __init__(self, played: Recording, config: Config, bundle: Bundle | None) -> None:
        """The limits are those of `config`; its sensors are replaced by the recording."""
        name = bundle.manifest.sensor.name if bundle else "recording"
        spec = RecordedVibration(name=name, path=Path(played.name), block_s=source.BLOCK_S)
        config = msgspec.structs.replace(config, vibration=(spec,), temperature=(), transmitter=())
        self.clock = SimClock(math.inf, 0)
        self._player = RecordingVibration(played, source.BLOCK_S, self.clock)
        self.relay = SimRelay()
        self.events: list[Event] = []
        self._name = name
        sensors = {name: self._player}
        self.protection = Protection(config, sensors, self.relay, WallClock(live=False), self._tell)
        rate_hz, axes = played.rate_hz, played.accel.shape[1]
        self._stream = None
        if bundle:
            self._stream = SensorStream(name, rate_hz, axes, config.analysis, bundle, config.geometry)
        self.windows = 0
        self.seconds = 0.0

    def run(self) -> None:
        """Play to the end."""
        self._player.start()
        while True:
            try:
                samples = self._player.read()
            except EndOfSource:
                return
            block = self.protection.block(self._name, samples, time.perf_counter_ns())
            if block is None:
                continue
            self.seconds += block.n / block.rate_hz
            for score in self._stream.push(block) if self._stream else ():
                self.windows += 1
                self.protection.score(score, time.perf_counter_ns())

    def _tell(self, item: Event | Latch) -> None:
        if isinstance(item, Event):
            self.events.append(item)


def run(arguments: argparse.Namespace) -> int:
    """Print every event of the recording and how it ends; exit status 0, 1 Alert, 2 tripped.

    Of evidence: its verdicts, and whether they are the same again; exit status 0 identical, 1 not.
    """
    plain = arguments.bundle or arguments.config or arguments.sensor
    if not plain and evidence_file.holds_alarm(arguments.recording):
        return rejudge.run(arguments.recording)
    played = source.load(arguments.recording, arguments)
    bundle = bundles.load(arguments.bundle) if arguments.bundle else None
    if bundle:
        source.require_fit(arguments.recording, played, bundle)
    config = check.load(arguments.config) if arguments.config else Config()
    try:
        replay = Replay(played, config, bundle)
    except (BundleError, ValueError) as fault:
        raise ApplianceError(f"{arguments.recording}: {fault}") from fault
    started_s = time.monotonic()
    replay.run()
    took_s = max(time.monotonic() - started_s, 1e-9)
    for event in replay.events:
        at_s = event.at_mono_ns * 1e-9
        if event.kind is not EventKind.AUDIT:
            print(f"{at_s:9.2f} s  {event.type:15s} {event.message}")
    state = replay.protection.state()
    print(
        f"{arguments.recording.name}: {replay.seconds:.1f} s, {replay.windows} windows in {took_s:.2f} s "
        f"({replay.seconds / took_s:.0f}× real time); {state.level.name}, relay "
        f"{'energised' if state.relay_energised else 'de-energised'}"
    )
    return 2 if state.tripped else int(state.level)
