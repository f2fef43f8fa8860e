"""Inside the PC whose power is cut: look for what was reported before, then accept alerts until the end.

Arguments: a file with the sequence number and message of every alert reported; `check` to stop after looking.
Events go the guard's own way, event log first, then store, and are reported when both are durable.
"""

import random
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import msgspec
from guest import mount

from appliance.daemon import Daemon
from appliance.guard import audit, chain
from appliance.guard.durable import Durable
from appliance.guard.journal import Journal, files
from appliance.records import Event, EventKind, Severity

DISK = Path("/run/disk")
STORE, LOG, LATCH = DISK / "events.db", DISK / "log", DISK / "latch.json"
MOST_AT_ONCE = 8
LONGEST_PAUSE_S = 0.05


def stored() -> set[tuple[int, str]]:
    if not STORE.exists():
        return set()
    with closing(sqlite3.connect(STORE)) as store:
        rows = store.execute("SELECT payload FROM outbox UNION ALL SELECT payload FROM journal").fetchall()
    events = [msgspec.json.decode(row[0], type=Event) for row in rows]
    return {(event.seq, event.message) for event in events}


def logged() -> set[str]:
    lines = (line for path in files(LOG) for line in chain.lines(path.read_bytes()))
    return {msgspec.json.decode(line.entry.event, type=Event).message for line in lines if line.entry}


def look(reported: Path) -> None:
    """Print what was found, how much of what was reported is missing, and whether the log is whole."""
    wanted = {(int(seq), message) for seq, message in map(str.split, reported.read_text().splitlines())}
    found, in_log = stored(), logged()
    lost = (wanted - found) | {pair for pair in wanted if pair[1] not in in_log}
    breaks = [one for one in audit.verify(LOG).breaks if one.what != "torn"] if LOG.exists() else []
    for one in [*sorted(lost), *breaks]:
        print(one)
    print(f"found {len(found)} alerts, lost {len(lost)}, log breaks {len(breaks)}", flush=True)


def accept() -> None:
    """Alerts in bursts, until the power is cut."""
    LOG.mkdir(exist_ok=True)

    def note(_kind: EventKind, type_: str, message: str, _severity: Severity) -> None:
        print(f"{type_}: {message}", flush=True)

    def tell(event: Event) -> None:
        print(f"accepted {event.seq} {event.message} .", flush=True)

    durable = Durable(STORE, Journal(LOG, "0" * 64), LATCH, note, tell)
    durable.start(Daemon("powercut"))
    given, start = 0, random.randrange(1 << 40)
    while True:
        for _ in range(random.randint(1, MOST_AT_ONCE)):
            given += 1
            now_ns = time.time_ns()
            message = f"{start:x}-{given}"
            durable.take(Event(EventKind.ALARM, "alarm.raised", "alarm", message, now_ns, now_ns, "ntp"))
        time.sleep(random.uniform(0.0, LONGEST_PAUSE_S))
        while durable.accepted < given - 100 * MOST_AT_ONCE:
            time.sleep(LONGEST_PAUSE_S)


if __name__ == "__main__":
    mount("ext4", str(DISK), "/dev/vda")
    look(Path(sys.argv[1]))
    if "check" not in sys.argv:
        accept()
