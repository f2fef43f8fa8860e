"""Trip and score latency of the real processes under load, their memory and cold start, against the budgets.

The guard plays, in real time, a recording of quiet running with a violent burst every second: each time
the peak limit trips, the relay's edge is written, and the latch is reset; a burst that meets a relay still
open is no trip. Meanwhile analysis computes overlapping windows without a pause and the uplink publishes what
it is told.
"""

import argparse
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from appliance import wire
from appliance.daemon import PARENT_VARIABLE
from appliance.desk.broker import Broker
from appliance.records import GuardState, Hello, Notice, Quality
from appliance.requests import Reset
from appliance.wire import Message
from hw.wav import write_wav

BUDGET = {
    "trip p99": 2.0,
    "score p99": 20.0,
    "guard RSS": 40.0,
    "analysis RSS": 70.0,
    "uplink RSS": 35.0,
    "first protected block": 1.5,
    "first score": 3.0,
}
CYCLE_S = 1.0
FIRST_TRIP_S = 3.0
SENSOR = {
    "bursts": 'driver = "recording"\npath = "bursts.wav"\nunits = "m/s2"',
    "sim": 'driver = "sim"\nrate_hz = {rate_hz}',
}
CONFIG = """state_dir = "state"
run_dir = "run"
[[vibration]]
name = "de"
block_s = 0.05
{sensor}
[[temperature]]
name = "bearing"
driver = "sim"
[relay]
driver = "sim"
edges = "relay.jsonl"
[limits]
peak_mps2 = {{ alert = 80.0, danger = 120.0, delay_s = 0.0 }}
rms_mps2 = {{ alert = 150.0 }}
[analysis]
overlap = {overlap}
learn_s = {learn_s}
[uplink]
host = "127.0.0.1"
port = {port}
"""


class Rig:
    """The three processes in a folder, with a broker, and an ear at the guard."""

    def __init__(self, folder: Path, *, rate_hz: float, trips: int, overlap: float, learn_s: float) -> None:
        self.folder = folder
        self.broker = Broker(folder)
        self.broker.start()
        sensor = SENSOR["bursts" if trips else "sim"].format(rate_hz=rate_hz)
        if trips:
            write_wav(folder / "bursts.wav", bursts(trips, rate_hz), rate_hz, "m/s2")
        self.config = folder / "appliance.toml"
        text = CONFIG.format(sensor=sensor, overlap=overlap, learn_s=learn_s, port=self.broker.port)
        self.config.write_text(text)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.link: wire.Link | None = None

    def start(self, *names: str) -> float:
        """Start processes; returns the monotonic time before."""
        started_s = time.monotonic()
        for name in names:
            with (self.folder / f"{name}.log").open("ab") as log:
                command = [sys.executable, "-m", "appliance", name, str(self.config)]
                environment = os.environ | {PARENT_VARIABLE: str(os.getpid())}
                self.processes[name] = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        return started_s

    def listen(self, seconds: float) -> Iterator[Message]:
        """Messages of the guard for so long."""
        until_s = time.monotonic() + seconds
        while (left_s := until_s - time.monotonic()) > 0:
            message = self._next(left_s)
            if message is not None:
                yield message

    def _next(self, left_s: float) -> Message | None:
        if self.link is None:
            try:
                self.link = wire.connect(self.folder / "run" / "guard.sock", Hello("status"))
            except OSError:
                time.sleep(0.01)
                return None
        select.select([self.link], [], [], min(left_s, 0.1))
        return self.link.receive()

    def rss_mb(self) -> dict[str, float]:
        return {name: rss_mb(process.pid) for name, process in self.processes.items()}

    def stop(self) -> None:
        if self.link:
            self.link.close()
            self.link = None
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(10)
        self.broker.stop()


def bursts(trips: int, rate_hz: float) -> np.ndarray:
    """Noise of 0.5 m/s² RMS, (n, 3), with 60 ms of 140 m/s² every CYCLE_S seconds."""
    n = round((FIRST_TRIP_S + CYCLE_S * trips + 15.0) * rate_hz)
    t_s = np.arange(n) / rate_hz
    accel = np.random.default_rng(0).normal(0.0, 0.5, (n, 3)).astype(np.float32)
    tripping = (t_s >= FIRST_TRIP_S) & (t_s < FIRST_TRIP_S + CYCLE_S * trips)
    violent = tripping & ((t_s - FIRST_TRIP_S) % CYCLE_S < 0.06)
    accel[violent] += (140.0 * np.sin(2 * np.pi * 1000.0 * t_s[violent]))[:, None].astype(np.float32)
    return accel


def rss_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def trips(rounds: int, rate_hz: float) -> dict[str, object]:
    """Trip again and again while analysis and uplink run flat out."""
    with tempfile.TemporaryDirectory() as name:
        # 99.95 % overlap: one window every few samples, far more than one core can do.
        rig = Rig(Path(name), rate_hz=rate_hz, trips=rounds, overlap=0.9995, learn_s=1.0)
        latencies_ms: list[float] = []
        state: GuardState | None = None
        try:
            rig.start("guard", "analysis", "uplink")
            for message in rig.listen(FIRST_TRIP_S + CYCLE_S * rounds + 3.0):
                if isinstance(message, GuardState):
                    state = message
                elif isinstance(message, Notice) and message.event.type == "trip.fired":
                    latencies_ms.append(message.event.latency_ms or 0.0)
                    print(f"\r  trip {len(latencies_ms)} of {rounds}", end="", file=sys.stderr)
                if state and state.tripped and isinstance(message, GuardState) and rig.link:
                    rig.link.send(Reset("bench", "next round"))
            busy = _cpu_share(rig.processes["analysis"].pid)
            edges = [json.loads(line) for line in (Path(name) / "relay.jsonl").read_text().splitlines()]
            log = (Path(name) / "guard.log").read_text()
        finally:
            rig.stop()
    print(file=sys.stderr)
    assert state is not None
    opened = sum(not edge["energised"] for edge in edges)
    assert opened >= len(latencies_ms), "every trip told of has its edge"
    return {
        "latencies_ms": np.array(latencies_ms),
        "blocks_us": state.latency_us,
        "analysis_cpu": busy,
        "realtime": "no real-time priority" not in log,
    }


def _cpu_share(pid: int) -> float:
    """Share of one core that a process has used since it started."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    uptime_s = float(Path("/proc/uptime").read_text().split()[0])
    return (int(fields[11]) + int(fields[12])) / ticks / (uptime_s - int(fields[19]) / ticks)


def scores(seconds: float, rate_hz: float) -> dict[str, object]:
    """Learn, start anew with the bundle, and measure cold start, score latency and memory."""
    with tempfile.TemporaryDirectory() as name:
        rig = Rig(Path(name), rate_hz=rate_hz, trips=0, overlap=0.9, learn_s=8.0)
        first_s: dict[str, float] = {}
        try:
            rig.start("guard", "analysis", "uplink")
            _until_scored(rig, 60.0)
            for process in rig.processes.values():
                process.terminate()
                process.wait(10)
            rig.link = None
            (Path(name) / "relay.jsonl").unlink()
            started_s = rig.start("guard", "analysis", "uplink")
            first_s["first score"] = _until_scored(rig, 30.0) - started_s
            edge = json.loads((Path(name) / "relay.jsonl").read_text().splitlines()[0])
            first_s["first protected block"] = edge["mono_ns"] * 1e-9 - started_s
            state = [m for m in rig.listen(seconds) if isinstance(m, GuardState)][-1]
            memory = rig.rss_mb()
        finally:
            rig.stop()
    return {"score_us": state.score_latency_us, "first_s": first_s, "rss_mb": memory}


def _until_scored(rig: Rig, patience_s: float) -> float:
    """Monotonic time at which the first usable score was heard."""
    for message in rig.listen(patience_s):
        if isinstance(message, GuardState) and any(s.quality is Quality.OK for s in message.scores):
            return time.monotonic()
    raise SystemExit(f"no score within {patience_s:.0f} s; see the log in {rig.folder}")


def line(what: str, value: float, unit: str, budget: float | None = None) -> str:
    verdict = "" if budget is None else f"budget {budget:g} {unit}: {'ok' if value <= budget else 'MISSED'}"
    return f"  {what:58s} {value:9.3f} {unit:3s} {verdict}"


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="latency", description=__doc__)
    parser.add_argument("--trips", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=40.0, help="of scoring")
    parser.add_argument("--rate", type=float, default=6400.0, help="samples per second, 3 axes")
    options = parser.parse_args(argv)
    print(f"3 axes at {options.rate:g} Hz, real time, {os.cpu_count()} cores")
    tripped = trips(options.trips, options.rate)
    latency = tripped["latencies_ms"]
    priority = "with" if tripped["realtime"] else "WITHOUT"
    load = f"analysis at {tripped['analysis_cpu']:.0%} of a core"
    print(f"\n{len(latency)} trips seen of {options.trips}, {load}, {priority} real-time priority")
    print(line("block in memory -> relay edge, p50", float(np.percentile(latency, 50)), "ms"))
    p99 = float(np.percentile(latency, 99))
    print(line("block in memory -> relay edge, p99", p99, "ms", BUDGET["trip p99"]))
    print(line("block in memory -> relay edge, max", float(latency.max()), "ms"))
    for name, us in zip(("p50", "p99", "max"), tripped["blocks_us"], strict=True):
        print(line(f"every block in memory -> verdict, {name}", us / 1e3, "ms"))
    scored = scores(options.seconds, options.rate)
    print("\nscoring, 1.28 s windows, 90 % overlap")
    for name, us in zip(("p50", "p99", "max"), scored["score_us"], strict=True):
        budget = BUDGET["score p99"] if name == "p99" else None
        print(line(f"window complete in memory -> score judged, {name}", us / 1e3, "ms", budget))
    for what, seconds in scored["first_s"].items():
        print(line(f"cold start -> {what}", seconds, "s", BUDGET[what]))
    for name, mb in scored["rss_mb"].items():
        print(line(f"memory (RSS) of {name}", mb, "MB", BUDGET[f"{name} RSS"]))
    missed = p99 > BUDGET["trip p99"] or scored["score_us"][1] / 1e3 > BUDGET["score p99"]
    missed |= any(seconds > BUDGET[what] for what, seconds in scored["first_s"].items())
    missed |= any(mb > BUDGET[f"{name} RSS"] for name, mb in scored["rss_mb"].items())
    return int(missed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
