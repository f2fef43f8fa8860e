"""The tormented: a broker, an uplink, an author of events, and the subscriber that sees what comes of it."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from paho.mqtt.client import CallbackAPIVersion, Client, MQTTMessage, MQTTv5
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

ROOT = Path(__file__).resolve().parents[2]
MOSQUITTO = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
SETTLE_S = 3.0

CLOCK = """
import sys, threading, time
from pathlib import Path
from appliance import clock
folder, wall, real_ns = Path(sys.argv[1]), Path(sys.argv[2]), time.time_ns
def jumped_ns():
    return int(wall.read_text() or 0)
time.time_ns = lambda: real_ns() + jumped_ns()
def kernel_clock():
    by_ns = jumped_ns()
    return clock.KernelClock(by_ns == 0, 5.0, real_ns() + by_ns - clock.boottime_ns())
clock.kernel_clock = kernel_clock
"""
"""A child's wall clock is off by as many ns as its file says, and the kernel then calls it unsynchronised."""
UPLINK = (
    CLOCK
    + """
from appliance.config import Config, Uplink
from appliance.storage import Storage
from appliance.uplink import process
host, port, settle_s = sys.argv[3], int(sys.argv[4]), float(sys.argv[5])
way = Uplink(host=host, port=port, keepalive_s=5, backoff_s=0.1, backoff_max_s=0.5, settle_s=settle_s,
             drain_rate_hz=0.0, spread_s=0.0, health_period_s=2.0, window=50)
where = Config(state_dir=folder, run_dir=folder, uplink=way, storage=Storage(reserve_mb=0.0))
process.run(where, threading.Event(), lambda: None)
"""
)
WRITER = (
    CLOCK
    + """
import random
from appliance.clock import BOOT, WallClock
from appliance.errors import StoreError
from appliance.records import Event, EventKind
from appliance.store import Store
walls, draw = WallClock(live=True), random.Random(int(sys.argv[3]))
store = Store(folder / "events.db")
def event(kind):
    at_ns = time.monotonic_ns()
    at = walls.stamp(at_ns)
    return Event(kind, f"{kind.value}.raised", "alarm", "torture", at_ns, at.utc_ns, at.quality, boot=BOOT,
                 at_boot_ns=at.boot_ns, time_error_ms=at.error_ms)
while True:
    from_ns = real_ns()
    events = [event(kind) for kind in draw.choices(list(EventKind), k=draw.choice((1, 1, 1, 3)))]
    to_ns = real_ns()
    while True:
        try:
            stored = store.accept(events)
            break
        except StoreError:
            time.sleep(0.05)
    for one in stored:
        print(one.id, one.seq, from_ns, to_ns, flush=True)
    time.sleep(draw.uniform(0, 0.05))
"""
)


class Accepted(NamedTuple):
    """An event that is durable; it happened between the two times, by a clock that was never touched."""

    seq: int
    from_ns: int
    to_ns: int


class Writer:
    """The author of events; notes what it was told is durable."""

    def __init__(self, state: Path, wall: Path) -> None:
        self.accepted: dict[int, Accepted] = {}
        self._arguments = (state, wall)
        self._count = 0
        self.start()

    def start(self) -> None:
        self._count += 1
        self.process = child([], WRITER, *self._arguments, self._count, stdout=subprocess.PIPE)
        self._reader = threading.Thread(target=self._note, args=(self.process.stdout,))
        self._reader.start()

    def kill(self) -> None:
        kill(self.process)
        self._reader.join()

    def _note(self, lines: Iterable[str]) -> None:
        for line in lines:
            if line.endswith("\n"):
                id_, *rest = map(int, line.split())
                self.accepted[id_] = Accepted(*rest)


class Subscriber:
    """A consumer with a persistent session; writes down what comes as `mosquitto_sub -v` does."""

    def __init__(self, port: int, log: Path) -> None:
        self.ids: set[int] = set()
        self._log = log.open("wb")
        self._client = Client(CallbackAPIVersion.VERSION2, "dash", protocol=MQTTv5)
        self._client.on_connect = lambda client, *_: client.subscribe("pdm/#", qos=1)
        self._client.on_message = self._note
        self._client.reconnect_delay_set(0.1, 0.5)
        session = Properties(PacketTypes.CONNECT)
        session.SessionExpiryInterval = 0xFFFFFFFF
        self._client.connect("127.0.0.1", port, clean_start=False, properties=session)
        self._client.loop_start()

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self._log.close()

    def flush(self) -> None:
        self._log.flush()

    def _note(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self._log.write(message.topic.encode() + b" " + message.payload + b"\n")
        if "/event/" in message.topic:
            self.ids.add(int(message.payload.partition(b'"id":')[2].partition(b",")[0]))


def child(
    wrap: Sequence[str], code: str, *arguments: object, stdout: int | None = None
) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [*wrap, sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, stdout=stdout, text=True)


def broker(folder: Path, port: int, host: str = "0.0.0.0", settings: str = "") -> subprocess.Popen[bytes]:
    """Mosquitto, listening; what it keeps is in `folder`."""
    file = folder / "mosquitto.conf"
    file.write_text(
        f"listener {port} {host}\nallow_anonymous true\npersistence true\npersistence_location {folder}/\n"
        f"autosave_interval 1\nmax_queued_messages 0\nset_tcp_nodelay true\nuser root\n{settings}"
    )
    process = subprocess.Popen([MOSQUITTO, "-c", str(file)], stderr=subprocess.DEVNULL)
    for _ in range(500):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.5):
            return process
        time.sleep(0.02)
    raise SystemExit("mosquitto did not start listening within 10 s")


def kill(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
