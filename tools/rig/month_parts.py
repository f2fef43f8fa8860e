"""Inside the rig: the two processes of a month without the broker; see month.py.

`month_parts.py guard FOLDER DAYS DAY` stands for the guard: accepts events into the real store and speaks the
guard's protocol on its socket, a state with a score every half minute; there is no sensing. Into `told` goes
what it said and the true time, by a clock that nobody can set.
`month_parts.py uplink FOLDER DAYS` is the uplink's own loop, without the frame that feeds the watchdog twice
a second.
"""

import os
import random
import select
import signal
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from appliance import log, wire
from appliance.clock import BOOT, WallClock
from appliance.config import Config, Uplink
from appliance.records import Event, EventKind, GuardState, Level, MachineState, Notice, Quality, Score
from appliance.storage import Storage
from appliance.store import Store
from appliance.uplink import process
from appliance.wear import written_bytes

PORT = 1883
DAY_S, DOWN_S = 86_400.0, 60.0
"""A day, and how long the machine is off after it."""
PERIOD_S = 30.0
STEPS = int(DAY_S / PERIOD_S)
ALERT_STEPS = 432
"""200 alerts in thirty days."""
TRIP_OF = 5
"""One in so many of them is a trip."""
BEGIN_NS = 1_772_323_200_000_000_000
METRICS = tuple(f"de_band{band}_rms_mps2" for band in range(16))
HISTORY_MB_A_DAY = 0.125
"""Too little on purpose."""


def config(folder: Path, days: int) -> Config:
    """As an appliance comes, but for the history's bound; and fewer attempts to connect, more `health`."""
    return Config(
        state_dir=folder / "state",
        run_dir=Path("/run/month"),
        storage=Storage(history_mb=max(1.0, HISTORY_MB_A_DAY * days)),
        uplink=Uplink(host="127.0.0.1", port=PORT, backoff_max_s=300.0, health_period_s=60.0),
    )


def true_ns(day: int) -> int:
    """The true time, of a day that began with the machine's boot, UTC."""
    began_ns = BEGIN_NS + day * round((DAY_S + DOWN_S) * 1e9)
    return began_ns + time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class Guard:
    """One day of it."""

    def __init__(self, folder: Path, days: int, day: int) -> None:
        where = config(folder, days)
        self._day = day
        self._draw = random.Random(day)
        self._clock = WallClock(live=True)
        self._store = Store(where.store_path, where.storage.events_bytes)
        self._accepted = 0
        self._listener = wire.Listener(where.socket_path)
        self._told = (folder / "told").open("a", buffering=1)

    def run(self) -> None:
        """Until it is killed. Raises wire.Closed: the uplink has gone."""
        self._accept(EventKind.AUDIT, "boot", f"day {self._day + 1}")
        select.select([self._listener], [], [])
        link = self._listener.accept()
        due_s = time.monotonic()
        for n in range(self._day * STEPS + 1, sys.maxsize):
            due_s += PERIOD_S
            time.sleep(max(0.0, due_s - time.monotonic()))
            link.send(self._state(n))
            alerts, rest = divmod(n, ALERT_STEPS)
            if rest == ALERT_STEPS // 2:
                tripped = alerts % TRIP_OF == TRIP_OF - 1
                kind, type_ = (EventKind.TRIP, "trip.fired") if tripped else (EventKind.ALARM, "alarm.raised")
                link.send(Notice(self._accept(kind, type_, f"alert {alerts + 1}")))

    def _accept(self, kind: EventKind, type_: str, message: str) -> Event:
        now_ns = time.monotonic_ns()
        at = self._clock.stamp(now_ns)
        event = Event(
            kind=kind,
            type=type_,
            severity="info" if kind is EventKind.AUDIT else "alarm",
            message=message,
            at_mono_ns=now_ns,
            at_utc_ns=at.utc_ns,
            time_quality=at.quality,
            time_error_ms=at.error_ms,
            boot=BOOT,
            at_boot_ns=at.boot_ns,
        )
        (stored,) = self._store.accept([event])
        self._accepted += 1
        self._told.write(f"event {stored.id} {true_ns(self._day)}\n")
        return stored

    def _state(self, n: int) -> GuardState:
        """The score's value is its number."""
        now_ns = time.monotonic_ns()
        at = self._clock.stamp(now_ns)
        metrics = {name: self._draw.lognormvariate(0.0, 0.3) for name in METRICS}
        score = Score("de", now_ns - 10**9, now_ns, Quality.OK, MachineState.RUNNING, n, 1.0, metrics=metrics)
        self._told.write(f"sample {n} {true_ns(self._day)}\n")
        return GuardState(
            at_mono_ns=now_ns,
            at_utc_ns=at.utc_ns,
            time_quality=at.quality,
            time_error_ms=at.error_ms,
            level=Level.NORMAL,
            tripped=False,
            relay_energised=True,
            machine=MachineState.RUNNING,
            channels=(),
            clocks=(),
            scores=(score,),
            events_accepted=self._accepted,
            pid=os.getpid(),
            at_boot_ns=at.boot_ns,
            written_bytes=written_bytes(),
        )


def uplink(folder: Path, days: int) -> None:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    log.start("uplink")
    process.run(config(folder, days), stop, lambda: None)


if __name__ == "__main__":
    role, folder, *numbers = sys.argv[1:]
    if role == "guard":
        Guard(Path(folder), *map(int, numbers)).run()
    else:
        uplink(Path(folder), int(numbers[0]))
