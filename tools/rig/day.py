"""Inside the rig, in virtual time: guard and uplink run for days without their broker, then it comes back.

Argument: days, a decimal number. With time-travel=inf-cpu the machine's clock jumps to whatever is due next:
every sleep, deadline, back-off and keep-alive is kept, and idleness costs nothing. A sensor sticks and comes
back every ten minutes: two events. Prints what was accepted and what a subscriber with a kept session
received.
"""

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

DAY_S = 86_400.0
STUCK_EVERY_S, STUCK_S = 600.0, 60.0
BEFORE_S = 120.0
"""How long the broker is there at first."""
PATIENCE_S = 3600.0
TOLD_EVERY_S = 7200.0
FOLDER = Path("/run/day")
PORT = 1883
SETTINGS = """state_dir = "state"
run_dir = "run"
temperature = []
[[vibration]]
name = "de"
driver = "sim"
rate_hz = 50
axes = 1
block_s = 1.0
troubles = [{troubles}]
[relay]
driver = "sim"
"""
BROKER = f"""listener {PORT} 127.0.0.1
allow_anonymous true
persistence true
persistence_location {FOLDER}/
max_queued_messages 0
user root
"""


class Subscriber:
    """The plant's end: a session that the broker keeps while we are away."""

    def __init__(self) -> None:
        self.seen: Counter[int] = Counter()
        self._client = Client(CallbackAPIVersion.VERSION2, "plant", protocol=MQTTv5)
        self._client.on_connect = lambda client, *_: client.subscribe("pdm/v1/+/+/+/+/event/#", qos=1)
        self._client.on_message = self._note

    def connect(self) -> None:
        session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        session.SessionExpiryInterval = 0xFFFFFFFF
        self._client.connect("127.0.0.1", PORT, clean_start=False, properties=session)
        self._client.loop_start()

    def leave(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _note(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self.seen[json.loads(message.payload)["seq"]] += 1


def run(days: float) -> bool:
    """Whether every accepted event was received."""
    away_s = days * DAY_S
    starts = range(int(BEFORE_S), int(BEFORE_S + away_s), int(STUCK_EVERY_S))
    troubles = (f'{{ kind = "stuck", start_s = {at}, end_s = {at + STUCK_S} }}' for at in starts)
    FOLDER.mkdir()
    config = FOLDER / "appliance.toml"
    config.write_text(SETTINGS.format(troubles=", ".join(troubles)))
    (FOLDER / "broker.conf").write_text(BROKER)
    plant, broker = Subscriber(), _broker()
    plant.connect()
    guard, uplink = (_appliance(name, config) for name in ("guard", "uplink"))
    time.sleep(BEFORE_S)
    _say(f"broker there for {BEFORE_S:.0f} s: {_accepted()} events accepted, {len(plant.seen)} received")
    plant.leave()
    _end(broker)
    end_s = time.monotonic() + away_s
    while (rest_s := end_s - time.monotonic()) > 0.0:
        time.sleep(min(rest_s, TOLD_EVERY_S))
        _say(f"{_waiting()} events wait")
    _say(f"broker away for {days:g} days: {_accepted()} events accepted, {_waiting()} wait on disk")
    broker = _broker()
    plant.connect()
    _end(guard)
    back_s = time.monotonic()
    while _waiting() and time.monotonic() - back_s < PATIENCE_S:
        time.sleep(1.0)
    _say(f"broker back for {time.monotonic() - back_s:.0f} s: {_waiting()} wait")
    _end(uplink)
    plant.leave()
    _end(broker)
    accepted, received = _accepted(), len(plant.seen)
    again = sum(plant.seen.values()) - received
    print(f"accepted {accepted}, delivered {received}, lost {accepted - received}, seen again {again}")
    return set(plant.seen) == set(range(1, accepted + 1))


def _broker() -> subprocess.Popen[bytes]:
    program = shutil.which("mosquitto")
    if program is None:
        sys.exit("mosquitto is not installed; run: apt-get install mosquitto")
    broker = subprocess.Popen([program, "-c", str(FOLDER / "broker.conf")], stderr=subprocess.DEVNULL)
    time.sleep(2.0)
    return broker


def _appliance(name: str, config: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "appliance", name, str(config)]
    with (FOLDER / f"{name}.log").open("wb") as log:
        return subprocess.Popen(command, stderr=log)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    process.wait()


def _accepted() -> int:
    """Events are numbered from 1 as they are accepted."""
    return _ask("SELECT max(seq) FROM (SELECT seq FROM outbox UNION ALL SELECT seq FROM journal)")


def _waiting() -> int:
    return _ask("SELECT count(*) FROM outbox")


def _ask(question: str) -> int:
    with closing(sqlite3.connect(FOLDER / "state/events.db")) as store:
        return int(store.execute(question).fetchone()[0] or 0)


def _say(words: str) -> None:
    print(f"day: {time.monotonic():.0f} s of virtual time: {words}", flush=True)


if __name__ == "__main__":
    sys.exit(0 if run(float(sys.argv[1])) else 1)
