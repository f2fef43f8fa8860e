"""The appliance's processes, started as at a desk or by systemd, and looked at from outside."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from appliance import wire
from appliance.daemon import PARENT_VARIABLE
from appliance.records import GuardState, Hello
from hw.sim.relay import observed_level

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = """state_dir = "state"
run_dir = "run"
on_stop = "trip"
[simulation]
speed = {speed}
faults = [{faults}]
[[vibration]]
name = "de"
driver = "sim"
rate_hz = {rate_hz}
[[temperature]]
name = "bearing"
driver = "sim"
[relay]
driver = "sim"
edges = "relay.jsonl"
[limits]
peak_mps2 = {{ alert = 20.0, danger = {danger}, delay_s = 0.5 }}
[analysis]
learn_s = {learn_s}
[uplink]
enabled = {uplink}
port = {port}
backoff_s = 0.2
spread_s = 0
backoff_max_s = 0.5
"""
VIOLENT = '{{ kind = "outer_race", start_s = {start_s}, full_s = {full_s}, severity = 1.0 }}'


def eventually(condition: Callable[[], object], within_s: float = 10.0, what: str = "it") -> None:
    end_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end_s, f"{what} did not happen within {within_s:g} s"
        time.sleep(0.02)


class NotifySocket:
    """systemd's side of sd_notify. said: (monotonic s, message) of everything heard."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.said: list[tuple[float, str]] = []
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.bind(str(path))
        threading.Thread(target=self._listen, daemon=True).start()

    def count(self, message: str) -> int:
        return sum(said == message for _, said in self.said)

    def _listen(self) -> None:
        while True:
            message = self._sock.recv(1000).decode()
            self.said.append((time.monotonic(), message))


class Folder:
    """One configuration, and the processes that were started on it; all are ended by `close`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "appliance.toml"
        self.relay = folder / "relay.jsonl"
        self.started: list[subprocess.Popen[bytes]] = []
        self.write()

    def write(self, *, fault: tuple[float, float] | None = None, **how: object) -> None:
        """fault: machine time at which a violent fault begins, and is full."""
        values = {"speed": 20.0, "rate_hz": 6400.0, "danger": 60.0, "learn_s": 300.0}
        values |= {"uplink": "false", "port": 1883} | how
        faults = VIOLENT.format(start_s=fault[0], full_s=fault[1]) if fault else ""
        self.config.write_text(SETTINGS.format(faults=faults, **values))

    def start(self, command: str, **environment: str) -> subprocess.Popen[bytes]:
        """`appliance COMMAND CONFIG`; its log goes to COMMAND.log."""
        with (self.folder / f"{command}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "appliance", command, str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | {"PYTHONPATH": str(ROOT), PARENT_VARIABLE: str(os.getpid())} | environment,
            )
        self.started.append(process)
        return process

    def log(self, command: str) -> str:
        return (self.folder / f"{command}.log").read_text()

    def energised(self) -> bool:
        return observed_level(self.relay)

    def ask(self, *words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        """`appliance WORDS CONFIG`. typed: what it is told when it asks back."""
        command = [sys.executable, "-m", "appliance", *words, str(self.config)]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        return subprocess.run(
            command,
            input=typed,
            capture_output=True,
            text=True,
            timeout=30,
            env=environment,
            check=False,
        )

    def state(self) -> GuardState:
        """The guard's state, as it says it to a newcomer."""
        link = self.connect()
        try:
            return next(message for message in heard(link, 3.0) if isinstance(message, GuardState))
        finally:
            link.close()

    def connect(self) -> wire.Link:
        found: list[wire.Link] = []

        def try_it() -> bool:
            with contextlib.suppress(OSError):
                found.append(wire.connect(self.folder / "run" / "guard.sock", Hello("status")))
            return bool(found)

        eventually(try_it, what="a guard that listens")
        return found[0]

    def close(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.wait()


def heard(link: wire.Link, seconds: float) -> Iterator[wire.Message]:
    """Messages of the guard for so long."""
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        message = link.receive()
        if message is None:
            time.sleep(0.005)
        else:
            yield message


def end(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> tuple[int, float]:
    """Send a signal; exit status and how long it took, s."""
    began_s = time.monotonic()
    process.send_signal(number)
    status = process.wait(15)
    return status, time.monotonic() - began_s


def children(pid: int) -> dict[str, int]:
    """Live `appliance NAME` children of a process: name -> pid."""
    found = {}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
            if b"appliance" in words and is_alive(int(child)):
                found[words[words.index(b"appliance") + 1].decode()] = int(child)
    return found


def is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def rss_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024
