"""Where others keep what is not sent yet, beside our store: speed, bytes written, what survives kill -9.

Each puts events one by one in a process of its own, says how fast, and is killed with -9 at once. "kept" is
what a new process finds. Storages of thingsboard-gateway: `pip install --no-deps thingsboard-gateway` with
simplejson and pybase64, for its fork of paho-mqtt would replace the one in use here.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
ROWS = 3000


class Contestant(NamedTuple):
    """name: as printed. begin: makes `put`, of one event as JSON. count: prints what a new process finds."""

    name: str
    begin: str
    count: str


OURS = """
from appliance.store import Store
from tools.benchmarks.uplink import EVENT
store = Store(folder / "events.db")
put = lambda event: store.accept([EVENT])
"""
ACK_QUEUE = "from persistqueue import SQLiteAckQueue\nqueue = SQLiteAckQueue(str(folder), auto_commit=True)\n"
FILE_QUEUE = "from persistqueue import Queue\nqueue = Queue(str(folder), autosave=True)\n"
PUT = "put = queue.put"
SIZE = "print(queue.qsize())"
GATEWAY = """
import logging, threading
from thingsboard_gateway.storage.{kind}.{kind}_event_storage import {name}
storage = {name}({settings}, logging.getLogger("x"), threading.Event())
put = storage.put
"""
PAHO = """
from paho.mqtt.client import CallbackAPIVersion, Client
client = Client(CallbackAPIVersion.VERSION2, "bench")
put = lambda event: client.publish("event", event, qos=1)
"""
OURS_COUNT = "from appliance.uplink.outbox import Outbox\nprint(Outbox(folder / 'events.db').backlog())"
SQLITE_COUNT = """
import sqlite3
query = "SELECT count(*) FROM messages"
print(sum(sqlite3.connect(one).execute(query).fetchone()[0] for one in folder.glob("*.db")))
"""
LINE_COUNT = "print(sum(one.read_text().count(chr(10)) for one in folder.glob('data_*.txt')))"
NONE = "print(0)"
SQLITE = "{'data_file_path': str(folder) + '/'}"
FILES = "{'data_folder_path': str(folder) + '/', 'max_records_per_file': 10000}"


def gateway(kind: str, name: str, settings: str, count: str) -> Contestant:
    begin = GATEWAY.format(kind=kind, name=name, settings=settings)
    return Contestant(f"thingsboard-gateway {kind}", begin, count)


CONTESTANTS = (
    Contestant("ours (SQLite, FULL)", OURS, OURS_COUNT),
    Contestant("persist-queue SQLiteAckQueue", ACK_QUEUE + PUT, ACK_QUEUE + SIZE),
    Contestant("persist-queue Queue (file)", FILE_QUEUE + PUT, FILE_QUEUE + SIZE),
    gateway("sqlite", "SQLiteEventStorage", SQLITE, SQLITE_COUNT),
    gateway("file", "FileEventStorage", FILES, LINE_COUNT),
    gateway("memory", "MemoryEventStorage", "{}", NONE),
    Contestant("paho-mqtt's own queue", PAHO, NONE),
)
FOLDER = "import sys\nfrom pathlib import Path\nfolder = Path(sys.argv[1])\n"
RUN = """
import time
{begin}
from appliance.wear import written_bytes
event = "x" * 600
began_bytes, times = written_bytes(), []
for _ in range({rows}):
    began_s = time.perf_counter()
    put(event)
    times.append(time.perf_counter() - began_s)
times.sort()
written = (written_bytes() - began_bytes) / {rows}
print({rows} / sum(times), times[{rows} * 99 // 100] * 1e3, written, flush=True)
import os, signal
os.kill(os.getpid(), signal.SIGKILL)
"""


class Result(NamedTuple):
    """Puts per second, p99 of one (ms), bytes written by each, events that survived."""

    rate: float
    p99_ms: float
    written: float
    kept: int


def measure(one: Contestant) -> Result | None:
    """None: it is not installed. Raises SystemExit: it is, and does not work."""
    with tempfile.TemporaryDirectory(prefix="bench-store-") as folder:
        done = _python(FOLDER + RUN.format(begin=one.begin, rows=ROWS), folder)
        if not done.stdout:
            if one is not CONTESTANTS[0] and "ModuleNotFoundError" in done.stderr:
                return None
            raise SystemExit(f"{one.name}: no figures; its last words:\n{done.stderr[-2000:]}")
        rate, p99_ms, written = map(float, done.stdout.split())
        kept = _python(
            f"import sys\nfrom pathlib import Path\nfolder = Path(sys.argv[1])\n{one.count}", folder
        )
        return Result(rate, p99_ms, written, int(kept.stdout or 0))


def _python(code: str, folder: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, folder]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


def table() -> None:
    """Print it."""
    print(f"\n{'events one by one, then kill -9':32}{'puts/s':>10}{'p99 ms':>9}{'written':>11}{'kept':>13}")
    ours: Result | None = None
    for one in CONTESTANTS:
        found = measure(one)
        if found is None:
            print(f"{one.name:32}  not installed")
            continue
        ours = ours or found
        print(
            f"{one.name:32}{found.rate:10.0f}{found.p99_ms:9.2f}{found.written / 1e3:8.1f} kB"
            f"{found.kept:6d} of {ROWS}  {found.rate / ours.rate:6.2f} × our puts",
            flush=True,
        )


def main(_arguments: list[str]) -> int:
    """The table alone; tools/bench uplink prints it too."""
    table()
    return 0
