"""Runs the uplink in a thread of the test, and listens to the broker as a plant would."""

import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from paho.mqtt.client import CallbackAPIVersion, Client, MQTTv5, MQTTv311

from appliance.config import Config, Uplink
from appliance.records import Event, EventKind
from appliance.uplink import process


def event(kind: EventKind = EventKind.ALARM, message: str = "m") -> Event:
    return Event(kind, f"{kind.value}.raised", "alarm", message, 1, time.time_ns(), "ntp")


def config(folder: Path, port: int, **more: object) -> Config:
    way = {"backoff_s": 0.1, "backoff_max_s": 0.3, "settle_s": 0.5, "keepalive_s": 5, "spread_s": 0.0, **more}
    return Config(state_dir=folder, run_dir=folder, uplink=Uplink(host="127.0.0.1", port=port, **way))  # type: ignore[arg-type]


def stored(folder: Path) -> int:
    """Events in the outbox on disk, whoever took some out."""
    with contextlib.closing(sqlite3.connect(folder / "events.db")) as db:
        rows: int = db.execute("SELECT count(*) FROM outbox").fetchone()[0]
    return rows


class Running:
    """One uplink. beats: how often the loop turned. fault: what ended it."""

    def __init__(self, config: Config) -> None:
        self.beats = 0
        self.fault: BaseException | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(config,))
        self._thread.start()

    def stop(self) -> float:
        """Stop it; returns how long that took, s."""
        began_s = time.monotonic()
        self._stop.set()
        self._thread.join(timeout=10)
        assert not self._thread.is_alive()
        return time.monotonic() - began_s

    def _beat(self) -> None:
        self.beats += 1

    def _run(self, config: Config) -> None:
        try:
            process.run(config, self._stop, self._beat)
        except BaseException as fault:  # noqa: BLE001 - the test asks for it
            self.fault = fault


@contextlib.contextmanager
def running(config: Config) -> Iterator[Running]:
    one = Running(config)
    try:
        yield one
    finally:
        one.stop()
    assert one.fault is None


class Plant:
    """A subscriber to everything."""

    def __init__(self, port: int, *, version5: bool = True, topics: str = "pdm/#", **login: str) -> None:
        self.messages: list[tuple[str, dict[str, object], object]] = []
        self.retained: list[str] = []
        # No id of its own: the broker gives each a new one, and no two take over each other's session.
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5 if version5 else MQTTv311)
        if login:
            self._client.username_pw_set(**login)
        self._subscribed = ready = threading.Event()
        self._client.on_connect = lambda client, *_: client.subscribe(topics, qos=1)
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.on_message = self._note
        self._client.reconnect_delay_set(0.05, 0.2)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert ready.wait(5)

    def away(self) -> None:
        """The broker is killed: the next `back` waits for a new subscription."""
        self._subscribed.clear()

    def back(self) -> None:
        """Wait until it has subscribed again: events that nobody hears come later."""
        assert self._subscribed.wait(5)

    def round_trip(self) -> None:
        """Wait for an answer on the same connection: what was retained has come before it."""
        self._subscribed.clear()
        self._client.subscribe("round/trip")
        assert self._subscribed.wait(5)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def of(self, suffix: str) -> list[dict[str, object]]:
        """Payloads under a topic suffix, oldest first."""
        return [payload for topic, payload, _ in list(self.messages) if f"/appliance/{suffix}" in topic]

    def events(self) -> list[object]:
        return [payload["id"] for payload in self.of("event/")]

    def _note(self, _client: Client, _data: object, message: object) -> None:
        if message.retain:  # type: ignore[attr-defined]
            self.retained.append(message.topic)  # type: ignore[attr-defined]
        payload = json.loads(message.payload or "{}")  # type: ignore[attr-defined] # empty: it is withdrawn
        self.messages.append((message.topic, payload, message.properties))  # type: ignore[attr-defined]


def eventually(condition: Callable[[], object], within_s: float = 20.0) -> None:
    end_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end_s, "did not happen in time"
        time.sleep(0.02)
