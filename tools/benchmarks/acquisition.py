"""CPU share and service lateness of a guard that reads chips and a digitizer at full rate, in real time.

One real guard with an LSM6DSOX at 3332 Hz, an ADXL345 at 800 Hz and a TMP117 on simulated buses; the
digitizer at 25.6 kHz × 3 axes and a Modbus transmitter asked every second, each on a real pseudo-terminal and
simulated by a process of its own. Beside it analysis computes windows without a pause. The chips are
simulated inside the guard's process: how much of its CPU that takes is measured first, by running the same
drivers on the same buses without a guard, in real time, and adding up the CPU time of their threads inside
the simulated transfers. A witness of higher priority than the guard's sleeps and wakes all the time: what
keeps it asleep is the machine below us (a host that shares its cores out), and no software here can help it.
"""

import argparse
import contextlib
import os
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from appliance import wire
from appliance.daemon import PARENT_VARIABLE
from appliance.records import ClockHealth, GuardState, Hello
from hw import adxl345, lsm6dso
from hw.adxl345 import Adxl345
from hw.lsm6dso import Lsm6dso
from hw.ports import PortError, Vibration
from hw.qm30vt2 import QM30VT2
from hw.registers import OnI2c
from hw.sim.accelerometer import SimAccelerometer
from hw.sim.bus import Chip, SimI2c
from hw.sim.chips.adxl345 import SimAdxl345
from hw.sim.chips.lsm6dso import SimLsm6dso
from hw.sim.chips.thermometers import Tmp117Chip
from hw.sim.clock import SimClock
from hw.sim.digitizer import MEMORY_BYTES, SimDigitizer
from hw.sim.machine_time import MachineTime
from hw.sim.modbus_slave import ModbusSlave
from hw.sim.rotor import Machine
from hw.sim.transmitter import MachineRegisters
from hw.tmp117 import Tmp117

CPU_BUDGET = 0.25
SLACK_SHARE = 0.5
"""Lateness p99 is well inside the slack below this share of it."""
WARM_UP_S = 10.0
ALONE_S = 15.0
OLDEST_S = 2.5
"""Of what a transmitter has said that is asked once a second."""
DIGITIZER_HZ = 25_600.0
LSM6DSO_HZ, ADXL345_HZ = 3332.0, 800.0
SLACK_MS = {
    "lsm6dsox": 1e3 * (lsm6dso.DEPTH - lsm6dso.SERVICE) / LSM6DSO_HZ,
    "adxl345": 1e3 * (adxl345.DEPTH - adxl345.SERVICE) / ADXL345_HZ,
    "digitizer": 1e3 * MEMORY_BYTES / (6 * DIGITIZER_HZ * 1.03),
}
"""How late each may be served before a sample is lost: the rest of its FIFO, or of the sender's memory."""
SIMULATED = ("digitizer", "transmitter")
"""Each in a process of its own."""
WITNESS_S = 0.002
STILL_MS = 4.0
"""The machine stood still if the witness woke later than this."""
CONFIG = """state_dir = "state"
run_dir = "run"
relay = {{ driver = "sim", edges = "relay.jsonl" }}
uplink.enabled = false
analysis = {{ overlap = 0.9995, learn_s = 5.0 }}
temperature = [{{ name = "housing", driver = "tmp117", bus = "sim:i2c" }}]
[[vibration]]
name = "lsm6dsox"
driver = "lsm6dso"
bus = "sim:i2c"
rate_hz = {lsm6dso_hz:.0f}
[[vibration]]
name = "adxl345"
driver = "adxl345"
bus = "sim:i2c"
rate_hz = {adxl345_hz:.0f}
[[vibration]]
name = "digitizer"
driver = "digitizer"
port = "digitizer"
rate_hz = {digitizer_hz:.0f}
scale_mps2 = {scale_mps2!r}
[[transmitter]]
name = "transmitter"
port = "{folder}/transmitter"
map = "qm30vt2"
limits.z-velocity-rms = {{ alert = 4.5, danger = 7.1 }}
"""


def digitizer_source() -> SimAccelerometer:
    """What the digitizer samples, in drains of 10 ms, as its firmware would send them."""
    return SimAccelerometer(Machine(), SimClock(), rate_hz=DIGITIZER_HZ, axes=3, block_s=0.01)


def witness(report: Path) -> None:
    """Write down how often the machine stood still, and for how long at worst; until killed."""
    count, worst_ms = 0, 0.0
    while True:
        began_s = time.monotonic()
        time.sleep(WITNESS_S)
        late_ms = (time.monotonic() - began_s - WITNESS_S) * 1e3
        if late_ms > STILL_MS:
            count, worst_ms = count + 1, max(worst_ms, late_ms)
            report.write_text(f"{count} times over {STILL_MS:g} ms, worst {worst_ms:.1f} ms")


def simulate(name: str, link: Path) -> int:
    """Be the digitizer or the transmitter, with a tty at link, or the witness, until killed."""
    if name == "witness":
        witness(link)
    if name == "digitizer":
        SimDigitizer(link, digitizer_source())
    else:
        ModbusSlave(link, 1, MachineRegisters(Machine(), SimClock(), QM30VT2))
    while True:
        time.sleep(60.0)


class TimedI2c(SimI2c):
    """A simulated bus that adds up the CPU time of its transfers."""

    cpu_ns = 0

    def _carry(self, address: int, write: bytes, count: int) -> bytes:
        began_ns = time.thread_time_ns()
        try:
            return super()._carry(address, write, count)
        finally:
            self.cpu_ns += time.thread_time_ns() - began_ns


def simulation_share(seconds: float) -> float:
    """Share of one core that the simulated buses and chips take, driven in real time as the guard does."""
    machine, clock = Machine(), SimClock()
    buses = []

    def bus(address: int, chip: Chip) -> TimedI2c:
        buses.append(TimedI2c(MachineTime(clock), {address: chip}))
        return buses[-1]

    noise_mps2 = 0.05
    time_ = MachineTime(clock)
    sensors: list[Vibration] = [
        Lsm6dso(OnI2c(bus(0x6A, SimLsm6dso(machine, 0.0, noise_mps2)), 0x6A), time_, LSM6DSO_HZ),
        Adxl345(OnI2c(bus(0x53, SimAdxl345(machine, 0.0, noise_mps2)), 0x53), time_, ADXL345_HZ),
    ]
    thermometer = Tmp117(bus(0x48, Tmp117Chip(machine)), time_, 0x48)
    stop = threading.Event()

    def sample(sensor: Vibration) -> None:
        sensor.start()
        while not stop.is_set():
            sensor.read()

    def read_temperature() -> None:
        while not stop.is_set():
            with contextlib.suppress(PortError):  # there is no conversion yet
                thermometer.read()

    threads = [threading.Thread(target=sample, args=(sensor,)) for sensor in sensors]
    threads.append(threading.Thread(target=read_temperature))
    for thread in threads:
        thread.start()
    time.sleep(2.0)
    before_ns, began_s = sum(bus.cpu_ns for bus in buses), time.monotonic()
    time.sleep(seconds)
    spent_ns = sum(bus.cpu_ns for bus in buses) - before_ns
    passed_s = time.monotonic() - began_s
    stop.set()
    for thread in threads:
        thread.join()
    return spent_ns * 1e-9 / passed_s


class Rig:
    """The digitizer, the transmitter, the guard and analysis, each a process, and an ear at the guard."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._config = folder / "appliance.toml"
        self._config.write_text(
            CONFIG.format(
                lsm6dso_hz=LSM6DSO_HZ,
                adxl345_hz=ADXL345_HZ,
                digitizer_hz=DIGITIZER_HZ,
                scale_mps2=digitizer_source().scale_mps2,
                folder=folder,
            )
        )
        self._report = folder / "witness.txt"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        links = {name: self.folder / name for name in SIMULATED}
        for name, link in links.items():
            command = ["-m", "tools.benchmarks", "acquisition", "--simulate", name, str(link)]
            self._start(name, command, before=partial(_fifo, 30))  # hardware waits for no load of ours
        while not all(link.is_symlink() for link in links.values()):
            time.sleep(0.05)
        self._start("guard", ["-m", "appliance", "guard", str(self._config)], before=partial(_fifo, 10))
        self._start("analysis", ["-m", "appliance", "analysis", str(self._config)])

    def watch_host(self) -> None:
        """Have the witness look on from now."""
        self._report.write_text(f"0 times over {STILL_MS:g} ms")
        command = ["-m", "tools.benchmarks", "acquisition", "--simulate", "witness", str(self._report)]
        self._start("witness", command, before=partial(_fifo, 50))

    def host_stood_still(self) -> str:
        """What the witness saw so far."""
        return self._report.read_text()

    def _start(self, name: str, arguments: list[str], before: Callable[[], None] | None = None) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, *arguments],
                stdout=log,
                stderr=log,
                env=os.environ | {PARENT_VARIABLE: str(os.getpid())},
                preexec_fn=before,  # noqa: PLW1509 - no thread runs here yet
            )

    def states(self, seconds: float) -> Iterator[GuardState]:
        """What the guard says of itself for so long."""
        until_s = time.monotonic() + seconds
        link: wire.Link | None = None
        while time.monotonic() < until_s:
            if link is None:
                with contextlib.suppress(OSError):
                    link = wire.connect(self.folder / "run" / "guard.sock", Hello("status"))
                time.sleep(0.05)
                continue
            select.select([link], [], [], 0.1)
            message = link.receive()
            if isinstance(message, GuardState):
                yield message
        if link is not None:
            link.close()

    def cpu_s(self) -> dict[str, float]:
        """CPU time of each process so far, s."""
        return {name: cpu_s(process.pid) for name, process in self._processes.items()}

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def stop(self) -> None:
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            process.wait(20)


def _fifo(priority: int) -> None:
    """10 is what systemd/appliance-guard.service gives: no thread of the guard waits for ordinary load."""
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def last(states: Iterator[GuardState], rig: Rig) -> GuardState:
    state = None
    with contextlib.suppress(wire.Closed):
        for state in states:  # noqa: B007 - the newest one is wanted
            pass
        if state is not None:
            return state
    raise SystemExit(f"the guard said nothing, or no more; its log:\n{rig.log('guard')}")


class Measured(NamedTuple):
    """State before and after, CPU share of each process between them; what the host did meanwhile."""

    before: GuardState
    after: GuardState
    shares: dict[str, float]
    realtime: bool
    stood_still: str


def measured(seconds: float) -> Measured:
    with tempfile.TemporaryDirectory() as name:
        rig = Rig(Path(name))
        try:
            rig.start()
            before = last(rig.states(WARM_UP_S), rig)
            rig.watch_host()
            began, began_s = rig.cpu_s(), time.monotonic()
            after = last(rig.states(seconds), rig)
            passed_s = time.monotonic() - began_s
            shares = {name: (end - began[name]) / passed_s for name, end in rig.cpu_s().items()}
            realtime = "no real-time priority" not in rig.log("guard")
            return Measured(before, after, shares, realtime, rig.host_stood_still())
        finally:
            rig.stop()


def row(clock: ClockHealth, lost: int) -> tuple[str, bool]:
    slack_ms = SLACK_MS[clock.sensor]
    good = lost == 0 and clock.late_p99_ms <= SLACK_SHARE * slack_ms and clock.late_max_ms < slack_ms
    late_ms = f"{clock.late_p50_ms:9.2f} {clock.late_p99_ms:9.2f} {clock.late_max_ms:9.2f} {slack_ms:9.1f}"
    text = f"  {clock.sensor:12} {clock.rate_hz:10.1f} {late_ms} {clock.jitter_ms:9.2f} {lost:6d}"
    return f"{text}  {'ok' if good else 'MISSED'}", good


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="tools/bench acquisition", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="to measure, after a warm-up")
    parser.add_argument(
        "--simulate", nargs=2, metavar=("NAME", "LINK"), help="only be the one on a pty, with its tty at LINK"
    )
    options = parser.parse_args(arguments)
    if options.simulate:
        return simulate(options.simulate[0], Path(options.simulate[1]))
    simulation = simulation_share(ALONE_S)
    before, after, shares, realtime, stood_still = measured(options.seconds)
    print(
        f"{options.seconds:g} s in real time on {os.cpu_count()} cores, "
        f"{'with' if realtime else 'WITHOUT'} real-time priority\n"
        f"  {'sensor':12} {'rate, Hz':>10} {'late p50':>9} {'late p99':>9} {'late max':>9} {'slack':>9} "
        f"{'jitter':>9} {'lost':>6}   (ms)"
    )
    lost_before = {clock.sensor: clock.lost for clock in before.clocks}
    good = len(after.clocks) == len(SLACK_MS)
    for clock in after.clocks:
        text, sensor_good = row(clock, clock.lost - lost_before[clock.sensor])
        good &= sensor_good
        print(text)
    for reading in after.temperatures:
        print(f"  {reading.sensor:12} {reading.degc} °C")
    for quantity in after.quantities[:1]:
        age_s = (after.at_mono_ns - quantity.at_mono_ns) * 1e-9
        print(f"  {quantity.sensor:12} {quantity.value} {quantity.unit}, {age_s:.2f} s old")
        good &= quantity.value is not None and age_s < OLDEST_S
    bad = [f"{state.channel}: {state.reason}" for state in after.channels if not state.ok]
    print(f"  channels NOT OK: {', '.join(bad) or 'none'}")
    p50, p99, worst = after.latency_us
    print(f"  block in memory -> verdict: p50 {p50 / 1e3:.2f}, p99 {p99 / 1e3:.2f}, max {worst / 1e3:.2f} ms")
    print(f"  this machine stood still, as a witness of higher priority saw: {stood_still}")
    for name, share in shares.items():
        print(f"  CPU of {name:10} {share:7.1%} of a core")
    good &= shares["guard"] <= CPU_BUDGET
    verdict = "ok" if shares["guard"] <= CPU_BUDGET else "MISSED"
    print(
        f"  guard's budget {CPU_BUDGET:.0%}: {verdict}; of its CPU the simulation of the chips takes "
        f"{simulation:.1%} (alone, {ALONE_S:g} s), which real chips do not"
    )
    return int(not good or bool(bad))
