"""Inside the rig, in virtual time: the appliance is without its broker for days; then the broker comes back.

Argument: days. Every day is a boot of the machine, with a clock that is wrong in another way. Store, uplink
and Mosquitto are real, sensing is left out (month_parts.py). There is a broker in the first minutes and in
the last. What a subscriber with a kept session sees of it is judged by month_proof.py.
"""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import month_proof
from guest import LIBC, POWER_OFF
from month_clock import Clock
from month_parts import DAY_S, PORT

from tools.torture.processes import Subscriber, broker, kill

PARTS = Path(__file__).with_name("month_parts.py")
FOLDER = Path("/run/rig/month")
"""Outlives the machine, which writes it to the host."""
REPORTS = FOLDER / "reports"
"""A line for each day that came to its end, and one for the end of the month."""
BEFORE_S = 120.0
PATIENCE_S = 4 * 3600.0
HEALTH_S = 70.0
"""Longer than the period of `health`."""


class Plant:
    """Mosquitto and a subscriber whose session it keeps."""

    def __init__(self, log: str) -> None:
        self._broker = broker(FOLDER, PORT)
        self._subscriber = Subscriber(PORT, FOLDER / log)

    def end(self) -> None:
        kill(self._broker)
        self._subscriber.stop()


class Day:
    """One boot of the machine."""

    def __init__(self, days: int, day: int) -> None:
        self._day = day
        self._clock = Clock(day)
        self._clock.keep(0.0, time.monotonic())
        self._plant = Plant("log-before") if day == 0 else None
        self._guard = _part("guard", days, day)
        self._uplink = _part("uplink", days)

    def pass_by(self) -> None:
        """Until the evening, without a broker but for the first minutes of the first day."""
        if self._plant:
            self._wait(BEFORE_S)
            self._plant.end()
        self._wait(DAY_S)
        self._report("")

    def welcome(self) -> None:
        """The broker comes back; wait until nothing waits any more, and for one more `health`."""
        self._plant = Plant("log-after")
        end_s = time.monotonic() + PATIENCE_S
        while any(_waiting()) and time.monotonic() < end_s:
            self._wait(time.monotonic() + 5.0)
        self._report("with the broker")
        self._wait(time.monotonic() + HEALTH_S)

    def end(self) -> None:
        """A planned stop."""
        kill(self._guard)
        time.sleep(2.0)
        self._uplink.send_signal(signal.SIGTERM)
        self._uplink.wait()
        if self._plant:
            self._plant.end()

    def _wait(self, until_s: float) -> None:
        self._clock.keep(time.monotonic(), until_s)
        for name, process in (("guard", self._guard), ("uplink", self._uplink)):
            if process.poll() is not None:
                sys.exit(f"{name} has ended:\n{(FOLDER / f'{name}.log').read_text()[-2000:]}")

    def _report(self, when: str) -> None:
        events, samples = _waiting()
        written_mb = [_written_bytes(one.pid) / 1e6 for one in (self._guard, self._uplink)]
        memory_mb = _memory_mb(self._uplink.pid)
        files_mb = sum(file.stat().st_size for file in (FOLDER / "state").iterdir()) / 1e6
        with REPORTS.open("a") as file:
            file.write(json.dumps({"written_mb": written_mb, "memory_mb": memory_mb}) + "\n")
        print(
            f"day {self._day + 1} {when or self._clock.course}: {events} events and {samples} samples wait; "
            f"written {written_mb[0]:.1f} MB by the guard, {written_mb[1]:.1f} MB by the uplink; files "
            f"{files_mb:.1f} MB; memory of the uplink {memory_mb:.1f} MB",
            flush=True,
        )


def _part(role: str, *numbers: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(PARTS), role, str(FOLDER), *map(str, numbers)]
    with (FOLDER / f"{role}.log").open("ab") as log:
        return subprocess.Popen(command, stderr=log)


def _waiting() -> tuple[int, int]:
    """Events and samples that are on disk."""
    return (
        _ask("events.db", "SELECT count(*) FROM outbox"),
        _ask("history.db", "SELECT coalesce(sum(samples), 0) FROM piece"),
    )


def _ask(file: str, question: str) -> int:
    with closing(sqlite3.connect(FOLDER / "state" / file)) as db:
        return int(db.execute(question).fetchone()[0])


def _written_bytes(pid: int) -> int:
    """Handed to the kernel; what reaches a disk is not counted on the host's file system."""
    return _figure(Path(f"/proc/{pid}/io"), "wchar:")


def _memory_mb(pid: int) -> float:
    """At its peak."""
    return _figure(Path(f"/proc/{pid}/status"), "VmHWM:") * 1024 / 1e6


def _figure(file: Path, name: str) -> int:
    return next(int(line.split()[1]) for line in file.read_text().splitlines() if line.startswith(name))


def main(days: int) -> int:
    day = int(os.environ["APPLIANCE_RIG"]) - 1
    (FOLDER / "state").mkdir(parents=True, exist_ok=True)
    REPORTS.touch()
    if len(REPORTS.read_text().splitlines()) != day:
        sys.exit(f"the machine went down before the evening of day {day}; its last words are above")
    today = Day(days, day)
    today.pass_by()
    if day == days - 1:
        today.welcome()
        today.end()
        return 0 if month_proof.proven(FOLDER) else 1
    today.end()
    os.sync()
    LIBC.reboot(POWER_OFF)  # a status would end the month
    raise AssertionError("the machine did not go off")


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
