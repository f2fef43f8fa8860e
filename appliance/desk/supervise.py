"""`appliance run`: the three processes in the foreground, as systemd would run them on the device."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from appliance.daemon import EPOCH_VARIABLE, PARENT_VARIABLE
from appliance.errors import EX_CONFIG
from appliance.guard.lock import GuardRunsError, only_guard

log = logging.getLogger(__name__)

PROCESSES = ("guard", "analysis", "uplink")
_STOP_S = 4.0
_RETRY_S = 0.3
_RETRY_MAX_S = 5.0
_STEADY_S = 10.0


@dataclass(slots=True)
class Child:
    """One supervised process: restarted when it dies, ever more slowly while it keeps dying."""

    name: str
    config: Path
    log: Path | None = None
    process: subprocess.Popen[bytes] | None = None
    retry_s: float = _RETRY_S
    started_s: float = 0.0
    due_s: float = 0.0
    restarts: int = -1

    def start(self) -> None:
        """Start it, so that it ends with us; its log goes to ours, or to the file `log`."""
        command = [sys.executable, "-m", "appliance", self.name, str(self.config)]
        out = self.log.open("ab") if self.log else None
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=os.environ | {PARENT_VARIABLE: str(os.getpid())},
        )
        if out:
            out.close()
        self.started_s = time.monotonic()
        self.restarts += 1

    @property
    def pid(self) -> int:
        """Its process id; 0 while it is down."""
        return self.process.pid if self.process else 0

    def poll(self) -> int | None:
        """Its exit status, if it has just ended; a restart is then due after the retry time."""
        if self.process is None or (status := self.process.poll()) is None:
            return None
        self.process = None
        now_s = time.monotonic()
        steady = now_s - self.started_s > _STEADY_S
        self.retry_s = _RETRY_S if steady else min(2 * self.retry_s, _RETRY_MAX_S)
        self.due_s = now_s + self.retry_s
        return status


class Supervisor:
    """Starts, restarts and stops the processes of one configuration."""

    def __init__(self, config: Path, log: Path | None = None) -> None:
        self.children = {name: Child(name, config, log) for name in PROCESSES}

    def start(self) -> None:
        """Start all of them, around one simulated machine."""
        os.environ.setdefault(EPOCH_VARIABLE, str(time.monotonic_ns()))
        for child in self.children.values():
            child.start()

    def turn(self) -> list[tuple[str, int]]:
        """Restart what died; returns who ended since the last turn, with its status."""
        ended = []
        for child in self.children.values():
            status = child.poll()
            if status is not None:
                ended.append((child.name, status))
            if child.process is None and time.monotonic() >= child.due_s:
                child.start()
        return ended

    def stop(self) -> None:
        """End all of them within 5 s."""
        alive = [child.process for child in self.children.values() if child.process]
        for process in alive:
            process.terminate()
        deadline_s = time.monotonic() + _STOP_S
        for process in alive:
            try:
                process.wait(max(0.05, deadline_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("process %d did not stop in %.0f s; killed", process.pid, _STOP_S)
                process.kill()
                process.wait()


def no_other(run_dir: Path) -> None:
    """Wait a moment for the end of an earlier guard. Raises GuardRunsError: it stays; ApplianceError."""
    deadline_s = time.monotonic() + _STOP_S
    while True:
        try:
            os.close(only_guard(run_dir))
        except GuardRunsError:
            if time.monotonic() >= deadline_s:
                raise
            time.sleep(0.1)
        else:
            return


def supervise(config: Path) -> int:
    """Run until a signal, a configuration fault, or the end of a recording. Returns the exit status."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    supervisor = Supervisor(config)
    supervisor.start()
    try:
        while not stop.wait(0.1):
            for name, status in supervisor.turn():
                if status == EX_CONFIG or (name, status) == ("guard", 0):
                    return status
                log.warning("%s ended with %d; restarting it", name, status)
    finally:
        supervisor.stop()
    return 0
