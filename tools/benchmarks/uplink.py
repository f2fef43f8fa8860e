"""Uplink: events accepted, 100 000 drained with live alerts in between, memory; beside other stores."""

import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path
from typing import NamedTuple

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from appliance.records import Contribution, Event, EventKind
from appliance.store import Store
from appliance.wear import written_bytes
from tools.benchmarks import uplink_stores
from tools.torture.processes import free_port

ROOT = Path(__file__).resolve().parents[2]
ACCEPTS = 3000
BURST, BATCH = 20_000, 100
ROWS = 100_000
LIVE_EVERY_S = 0.05
ACCEPT_P99_MS = 10.0
DRAIN_PER_S = 5000.0
LIVE_P99_MS = 100.0
RSS_MB = 35.0
GROWTH_MB = 8.0
PATIENCE_S = 60.0

CHILD = textwrap.dedent("""
    import sys, threading
    from pathlib import Path
    from appliance.config import Config, Uplink
    from appliance.uplink import process
    folder = Path(sys.argv[1])
    way = Uplink(host="127.0.0.1", port=int(sys.argv[2]), window=int(sys.argv[3]), settle_s=1.0,
                 drain_rate_hz=0.0, spread_s=0.0)
    process.run(Config(state_dir=folder, run_dir=folder, uplink=way), threading.Event(), lambda: None)
""")
EVENT = Event(
    EventKind.ALARM,
    "alarm.raised",
    "alarm",
    "press-07: Alert on de.score: 1.31 over 1 × threshold (axis y, 2.1–2.8 kHz envelope)",
    1,
    1_772_446_281_002_000_000,
    "ntp",
    channel="de.score",
    value=1.31,
    limit=1.0,
    unit="x threshold",
    top=(Contribution("y.envelope.2100-2800.rms", "axis y, 2.1–2.8 kHz envelope", 0.46, 6.3),) * 3,
    model="ae-3",
)


class Drained(NamedTuple):
    """Rows/s to a subscriber; live alerts meanwhile, ms; the uplink's memory, MB, and CPU per row, µs."""

    rate: float
    live_ms: list[float]
    begin_mb: float
    peak_mb: float
    end_mb: float
    cpu_us: float


def main(_arguments: list[str]) -> int:
    """Print the tables; 1 if a budget is missed."""
    missed = False

    def line(what: str, value: float, unit: str, budget: float | None = None, *, least: bool = False) -> None:
        nonlocal missed
        kept = budget is None or (value >= budget if least else value <= budget)
        missed |= not kept
        shown = "" if budget is None else f"{'>=' if least else '<='} {budget:.0f} {unit}"
        print(f"{what:48}{value:10.2f} {unit:5}{shown:>16}{'' if kept else '  MISSED'}", flush=True)

    with tempfile.TemporaryDirectory(prefix="bench-uplink-") as name:
        folder = Path(name)
        times_ms, written = accept_times(folder)
        line("event accepted -> durable, p50", times_ms[ACCEPTS // 2], "ms")
        line("event accepted -> durable, p99", times_ms[ACCEPTS * 99 // 100], "ms", ACCEPT_P99_MS)
        line(f"event accepted -> durable, worst of {ACCEPTS}", times_ms[-1], "ms")
        line("written for each event", written / 1e3, "kB")
        line(f"burst of {BURST} events, {BATCH} at a time", burst(folder), "/s")
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        if Path(program).exists():
            found = drain(folder / "drain", program, 20)
            live = sorted(found.live_ms)
            line(f"drain of {ROWS} rows, window 20", found.rate, "/s", DRAIN_PER_S, least=True)
            line("  CPU for each", found.cpu_us, "µs")
            line(f"  {len(live)} live alerts meanwhile, p50", live[len(live) // 2], "ms")
            line("  live alerts, p99", live[len(live) * 99 // 100], "ms", LIVE_P99_MS)
            line("  memory at the begin", found.begin_mb, "MB")
            line("  memory at its peak", found.peak_mb, "MB", RSS_MB)
            line(
                "  growth from a tenth of the drain to its end",
                found.end_mb - found.begin_mb,
                "MB",
                GROWTH_MB,
            )
        else:
            print("drain and memory: not measured, mosquitto is not installed (apt-get install mosquitto)")
    uplink_stores.table()
    return int(missed)


def accept_times(folder: Path) -> tuple[list[float], float]:
    """Times of single durable events, ms, sorted; bytes written for each."""
    store = Store(folder / "accept" / "events.db")
    times_ms, before = [], written_bytes()
    for _ in range(ACCEPTS):
        began_s = time.perf_counter()
        store.accept([EVENT])
        times_ms.append((time.perf_counter() - began_s) * 1e3)
    store.close()
    return sorted(times_ms), (written_bytes() - before) / ACCEPTS


def burst(folder: Path) -> float:
    """Durable events per second where many come at once."""
    store = Store(folder / "burst" / "events.db")
    began_s = time.perf_counter()
    for _ in range(BURST // BATCH):
        store.accept([EVENT] * BATCH)
    took_s = time.perf_counter() - began_s
    store.close()
    return BURST / took_s


def drain(folder: Path, program: str, window: int) -> Drained:
    """A backlog of ROWS, and live alerts while it drains."""
    store = Store(folder / "events.db", most_bytes=10**9)
    for _ in range(ROWS // 10_000):
        store.accept([EVENT] * 10_000)
    port = free_port()
    (folder / "broker.conf").write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nset_tcp_nodelay true\n"
    )
    broker = subprocess.Popen([program, "-c", str(folder / "broker.conf")], stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    plant = Plant(port)
    command = [sys.executable, "-c", CHILD, str(folder), str(port), str(window)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    uplink = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        return watched(store, plant, uplink)
    finally:
        plant.close()
        for process in (uplink, broker):
            process.kill()
            process.wait()


def watched(store: Store, plant: "Plant", uplink: subprocess.Popen[bytes]) -> Drained:
    """Accept a live alert now and then until the backlog is gone. Raises SystemExit: it goes no further."""
    began: dict[int, float] = {}
    while plant.count == 0:
        expect_more(plant, uplink)
        time.sleep(0.01)
    pid = uplink.pid
    begin_s, busy_s, begin_mb = time.perf_counter(), cpu_s(pid), 0.0
    while plant.count < ROWS + len(began):
        expect_more(plant, uplink)
        if plant.count < ROWS * 9 // 10:
            began_s = time.perf_counter()
            began[store.accept([EVENT])[0].id] = began_s
        if plant.count > ROWS // 10:
            begin_mb = begin_mb or memory_mb(pid, "VmRSS")
        time.sleep(LIVE_EVERY_S)
    took_s = plant.last_s - begin_s
    live_ms = [(plant.live[id_] - began_s) * 1e3 for id_, began_s in began.items()]
    end_mb, peak_mb = memory_mb(pid, "VmRSS"), memory_mb(pid, "VmHWM")
    return Drained(ROWS / took_s, live_ms, begin_mb, peak_mb, end_mb, (cpu_s(pid) - busy_s) / ROWS * 1e6)


def expect_more(plant: "Plant", uplink: subprocess.Popen[bytes]) -> None:
    if uplink.poll() is not None:
        raise SystemExit(f"drain: the uplink ended with {uplink.returncode} after {plant.count} events")
    if time.perf_counter() - plant.last_s > PATIENCE_S:
        raise SystemExit(f"drain: {plant.count} events, and none more in {PATIENCE_S:g} s; expected {ROWS}")


class Plant:
    """A subscriber that notes when the last event came, and when each live one did."""

    def __init__(self, port: int) -> None:
        self.count = 0
        self.last_s = time.perf_counter()
        self.live: dict[int, float] = {}
        self._client = Client(CallbackAPIVersion.VERSION2, "plant")
        ready = threading.Event()
        self._client.on_message = self._note
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.connect("127.0.0.1", port)
        self._client.subscribe("pdm/v1/+/+/+/+/event/#", qos=0)
        self._client.loop_start()
        ready.wait(5)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _note(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self.last_s = time.perf_counter()
        if b'"backfill":false' in message.payload:
            self.live[int(message.payload.partition(b'"id":')[2].partition(b",")[0])] = self.last_s
        self.count += 1


def memory_mb(pid: int, field: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) * 1024 / 1e6


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
