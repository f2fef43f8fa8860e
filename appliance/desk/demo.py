"""`appliance demo`: the product in two minutes, on a simulated machine that wears twenty times faster."""

import logging
import os
import signal
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from appliance import wire
from appliance.daemon import EPOCH_VARIABLE
from appliance.desk.broker import Broker, Subscriber
from appliance.desk.supervise import Supervisor
from appliance.desk.trend import Trend
from appliance.errors import ApplianceError
from appliance.records import Event, EventKind, GuardState, Hello, Level, Notice
from hw.sim.relay import observed_level

SPEED = 20.0
SHAFT_HZ = 24.7
FAULT_AT_S, FAULT_FULL_S = 360.0, 1000.0
BROKER_GONE_S = 320.0
BROKER_BACK_AFTER_TRIP_S = 60.0
LONGEST_S = 170.0
_CONFIG = """# Written by `appliance demo`. Try `appliance status {folder}/appliance.toml` while it runs.
state_dir = "state"
run_dir = "run"

[machine]
site = "demo"
area = "hall-1"
asset = "pump-7"
device = "box-1"

[simulation]
speed = {speed}
shaft_hz = {shaft_hz}
resonance_hz = 2400.0
faults = [{{ kind = "outer_race", start_s = {start_s}, full_s = {full_s}, severity = 1.0 }}]

[[vibration]]
name = "de"
driver = "sim"

[[temperature]]
name = "bearing"
driver = "sim"

[relay]
driver = "sim"
edges = "relay.jsonl"

[analysis]
learn_s = 180.0

[uplink]
host = "127.0.0.1"
port = {port}
backoff_s = 0.2
backoff_max_s = 1.0
spread_s = 0
settle_s = 1.0
"""


class Demo:
    """One run: the processes, the broker, the subscriber, and what has been seen so far."""

    def __init__(self, folder: Path) -> None:
        """Raises ApplianceError: no broker here, or a folder that cannot hold a new run."""
        _require_new(folder)
        self.folder = folder
        self.broker = Broker(folder)
        self.subscriber = Subscriber(self.broker.port)
        self.config = folder / "appliance.toml"
        self.config.write_text(
            _CONFIG.format(
                folder=folder,
                speed=SPEED,
                shaft_hz=SHAFT_HZ,
                start_s=FAULT_AT_S,
                full_s=FAULT_FULL_S,
                port=self.broker.port,
            )
        )
        self.supervisor = Supervisor(self.config, log=folder / "processes.log")
        self.trend = Trend()
        self.state: GuardState | None = None
        self.machine_s = 0.0
        self.tripped_s: float | None = None
        self.broker_up = False
        self._epoch_ns = time.monotonic_ns()
        os.environ[EPOCH_VARIABLE] = str(self._epoch_ns)
        self._link: wire.Link | None = None
        self._seen: set[int] = set()
        self._learnt = False
        self._said_fault = False
        self.signals: list[int] = []
        """SIGINT and SIGTERM that came; the first ends `run`. None may strike inside somebody's lock."""

    def say(self, who: str, text: str) -> None:
        """One line of the timeline, at machine time."""
        minutes, seconds = divmod(self.machine_s, 60)
        print(f"{int(minutes):3d}:{seconds:04.1f}  {who:9s} {text}", flush=True)

    def run(self) -> None:
        """Until the trip is reported, or time is up."""
        self.broker.start()
        self.subscriber.start()
        self.broker_up = True
        self.supervisor.start()
        pids = ", ".join(f"{name} {child.pid}" for name, child in self.supervisor.children.items())
        self.say("run", f"{pids}; log in {self.folder}/processes.log")
        self.say("plant", f"broker up: {self.broker.name}")
        self.say("guard", "limits protect from the first block; a first model comes soon and grows for 3 min")
        deadline_s = time.monotonic() + LONGEST_S
        while not self.signals and time.monotonic() < deadline_s and not self._finished():
            for name, status in self.supervisor.turn():
                self.say("run", f"{name} ended with {status}; restarting it")
            self._listen(0.1)
            self._plant()
        self._dashboard()

    def close(self) -> None:
        """End every process that was started."""
        if self._link:
            self._link.close()
        self.supervisor.stop()
        self.subscriber.stop()
        self.broker.stop()

    def produced(self) -> set[int]:
        """Ids of every event that the store accepted."""
        with closing(sqlite3.connect(f"file:{self.folder}/state/events.db?mode=ro", uri=True)) as db:
            return {int(row[0]) for row in db.execute("SELECT id FROM outbox UNION SELECT id FROM journal")}

    def _finished(self) -> bool:
        if self.tripped_s is None or not self.broker_up:
            return False
        return (
            self.machine_s > self.tripped_s + BROKER_BACK_AFTER_TRIP_S + 20
            and self.produced() <= self.subscriber.ids
        )

    def _plant(self) -> None:
        """The broker goes away before the fault shows, and comes back after the trip."""
        if self.broker_up and self.tripped_s is None and self.machine_s > BROKER_GONE_S and self._learnt:
            self.broker.stop()
            self.broker_up = False
            self.say("plant", "broker gone: from here on events gather on disk")
        back = self.tripped_s is not None and self.machine_s > self.tripped_s + BROKER_BACK_AFTER_TRIP_S
        if back and not self.broker_up:
            self.broker.start()
            self.broker_up = True
            self.say("plant", "broker back")
        if self.machine_s > FAULT_AT_S and not self._said_fault:
            self._said_fault = True
            self.say("machine", "an outer-race fault begins to grow in the bearing")
        self._dashboard()

    def _dashboard(self) -> None:
        """What has arrived at the plant."""
        while self.subscriber.events:
            event = self.subscriber.events.popleft()
            late = " (late)" if event.get("backfill") else ""
            self.say("dashboard", f"received #{event['seq']} {event['type']}{late}")

    def _listen(self, timeout_s: float) -> None:
        """Everything the guard says, for about timeout_s."""
        until_s = time.monotonic() + timeout_s
        while (left_s := until_s - time.monotonic()) > 0:
            try:
                if self._link is None:
                    self._link = wire.connect(self.folder / "run" / "guard.sock", Hello("status"))
                message = self._link.receive()
            except (OSError, wire.Closed):
                self._link = None
                time.sleep(min(left_s, 0.05))
                continue
            if isinstance(message, GuardState):
                self._follow(message)
            elif isinstance(message, Notice):
                self._event(message.event)
            else:
                time.sleep(min(left_s, 0.01))

    def _follow(self, state: GuardState) -> None:
        self.state = state
        self.machine_s = max(self.machine_s, (state.at_mono_ns - self._epoch_ns) * 1e-9)
        self.trend.add(self.machine_s, state)
        if state.tripped and self.tripped_s is None:
            self.tripped_s = self.machine_s

    def _event(self, event: Event) -> None:
        if event.id in self._seen:
            return
        self._seen.add(event.id)
        self._learnt |= event.type == "model.changed"
        at_s = (event.at_mono_ns - self._epoch_ns) * 1e-9
        self.machine_s = max(self.machine_s, at_s)
        self.trend.mark(at_s, event)
        self.say("GUARD" if event.kind is EventKind.TRIP else "guard", event.message)


def run(folder: Path | None, picture: Path) -> int:
    """Run the demo; exit status 0 only if the relay dropped and every event arrived.

    Raises ApplianceError: see Demo; a picture that cannot be written; a guard that never answers.
    """
    logging.basicConfig(level=logging.ERROR)  # the timeline tells it; processes.log keeps the rest
    if picture.suffix != ".png" or picture.is_dir():
        raise ApplianceError(f"{picture}: expected the name of a .png file; correct --picture")
    demo = Demo(folder or Path(tempfile.mkdtemp(prefix="appliance-demo-")))
    print(
        f"A simulated pump, {SPEED:.0f} times faster than real time. Times are the machine's own (min:s).\n"
    )
    before = {
        number: signal.signal(number, lambda came, _: demo.signals.append(came))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        demo.run()
        if demo.signals:
            print("interrupted", file=sys.stderr)
            return 128 + demo.signals[0]
        if demo.state is None:
            raise ApplianceError(f"the guard never answered; see {demo.folder}/processes.log")
        dropped = not observed_level(demo.folder / "relay.jsonl")
        produced = demo.produced()
    finally:
        demo.close()
        for number, handler in before.items():
            signal.signal(number, handler)
    passed = _summary(demo, demo.state, produced, dropped=dropped)
    _draw(demo, picture)
    return 0 if passed else 1


def _require_new(folder: Path) -> None:
    """Make the folder; one that an earlier run has used would start with its trip."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        used = next(folder.iterdir(), None)
    except OSError as fault:
        raise ApplianceError(f"{folder}: {fault.strerror}, expected a folder; correct --folder") from fault
    if used:
        raise ApplianceError(f"{folder}: found {used.name} in it, expected an empty folder; choose another")


def _summary(demo: Demo, state: GuardState, produced: set[int], *, dropped: bool) -> bool:
    delivered = demo.subscriber.ids
    p50, p99, most = state.latency_us
    learnt = demo.trend.scored
    checks = {
        "relay dropped": dropped and demo.tripped_s is not None,
        "machine learnt and scored": learnt,
        "Alert before the trip": demo.trend.alert_before_trip,
        "delivered = produced": bool(produced) and produced == delivered,
    }
    print("\nSummary")
    trip_ms = "-" if state.trip_latency_us is None else f"{state.trip_latency_us / 1e3:.3f} ms"
    print(f"  trip latency          {trip_ms} (block in memory -> relay line written)")
    print(f"  block -> verdict      p50 {p50 / 1e3:.3f}, p99 {p99 / 1e3:.3f}, max {most / 1e3:.3f} ms")
    print(f"  window -> score       {demo.trend.compute_ms:.2f} ms (median)")
    print(f"  events                {len(produced)} produced, {len(produced & delivered)} delivered")
    print(f"  duplicates            0 after de-duplication ({demo.subscriber.repeated} repeated ids dropped)")
    print(f"  telemetry             {demo.subscriber.telemetry} messages")
    restarts = sum(child.restarts for child in demo.supervisor.children.values())
    print(f"  processes restarted   {restarts}")
    print(f"  broker                {demo.broker.name}")
    print(f"  level                 {Level(state.level).name}; kept in {demo.folder}")
    for name, held in checks.items():
        print(f"  {'ok  ' if held else 'FAIL'}  {name}")
    return all(checks.values())


def _draw(demo: Demo, picture: Path) -> None:
    try:
        from appliance.desk import picture as pictures  # noqa: PLC0415 - matplotlib only where a picture is wanted
    except ImportError:
        print("  no picture: matplotlib is missing; pip install 'appliance[demo]'")
        return
    evidence, shaft_hz = demo.folder / "state" / "evidence", demo.trend.speed_hz or SHAFT_HZ
    try:
        pictures.draw(demo.trend, evidence, picture, shaft_hz)
    except OSError as fault:
        raise ApplianceError(f"{picture}: {fault.strerror}, expected a file to write; correct it") from fault
    print(f"  picture               {picture}")
