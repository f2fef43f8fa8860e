"""The plant's side of commands: publishes them, and waits for the answers."""

import contextlib
import json
import select
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from paho.mqtt.client import CallbackAPIVersion, Client, MQTTv5, MQTTv311
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from running import eventually

from appliance import wire
from appliance.records import Hello
from appliance.requests import Reply

PREFIX = "pdm/v1/site/area/machine/appliance"


class Asking:
    """heard: (topic, payload, properties, retained) of everything, oldest first."""

    def __init__(self, port: int, *, version5: bool = True) -> None:
        self.version5 = version5
        self.heard: list[tuple[str, bytes, object, bool]] = []
        self._count = 0
        self.client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5 if version5 else MQTTv311)
        ready = threading.Event()
        self.client.on_subscribe = lambda *_: ready.set()
        self.client.on_message = self._note
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        self.client.subscribe([("pdm/#", 1), ("answers/#", 1)])
        assert ready.wait(5)

    def publish(
        self,
        name: str,
        payload: object,
        *,
        expiry_s: int | None = 30,
        retain: bool = False,
        response_topic: str = "",
        correlation: bytes = b"",
    ) -> None:
        properties = None
        if self.version5:
            properties = Properties(PacketTypes.PUBLISH)
            if expiry_s is not None:
                properties.MessageExpiryInterval = expiry_s
            if response_topic:
                properties.ResponseTopic = response_topic
                properties.CorrelationData = correlation
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.client.publish(f"{PREFIX}/cmd/{name}", data, qos=1, retain=retain, properties=properties)

    def ask(self, name: str, /, within_s: float = 10.0, **arguments: object) -> dict[str, object]:
        """Publish a command with an id of its own; its answer."""
        self._count += 1
        id_ = arguments.pop("id", None) or f"t{id(self):x}-{self._count}"
        before = len(self.heard)
        self.publish(name, {"id": id_, "who": "anna", **arguments})
        found = []
        eventually(
            lambda: found.extend(one for one in self.answers(name, before) if one["id"] == id_) or found,
            within_s,
        )
        return found[0]

    def answers(self, name: str, since: int = 0) -> list[dict[str, object]]:
        return [
            json.loads(payload)
            for topic, payload, *_ in self.heard[since:]
            if topic == f"{PREFIX}/rsp/{name}"
        ]

    def of(self, suffix: str, since: int = 0) -> list[dict[str, object]]:
        return [
            json.loads(payload) for topic, payload, *_ in self.heard[since:] if topic == f"{PREFIX}/{suffix}"
        ]

    def chunks(self, since: int = 0) -> list[bytes]:
        return [payload for topic, payload, *_ in self.heard[since:] if topic == f"{PREFIX}/wave/chunk"]

    def online(self) -> None:
        """Wait until the appliance says that it is there."""
        eventually(lambda: any(one["online"] for one in self.of("status")[-1:]), 10.0)
        time.sleep(0.1)  # its subscription follows its birth

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def _note(self, _client: Client, _data: object, message: object) -> None:
        self.heard.append((message.topic, message.payload, message.properties, message.retain))  # type: ignore[attr-defined]


class Guard:
    """The guard's end of the socket; answers as it is told. asked: requests, oldest first."""

    def __init__(self, folder: Path, reply: Reply | None = Reply(ok=True, message="done")) -> None:  # noqa: B008
        self.asked: list[object] = []
        self.reply = reply
        self.link: wire.Link | None = None
        self._listener = wire.Listener(folder / "guard.sock")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(5)

    def _serve(self) -> None:
        while not self._stop.is_set():
            sources = [one for one in (self._listener, self.link) if one]
            for one in select.select(sources, [], [], 0.02)[0]:
                if one is self._listener:
                    self.link = self._listener.accept()
                    continue
                try:
                    message = self.link.receive()
                except wire.Closed:
                    self.link = None
                    continue
                if message is not None and not isinstance(message, Hello):
                    self.asked.append(message)
                    if self.reply:
                        self.link.send(self.reply)
        if self.link:
            self.link.close()
        self._listener.close()


@contextlib.contextmanager
def guard(folder: Path, reply: Reply | None = Reply(ok=True, message="done")) -> Iterator[Guard]:  # noqa: B008
    one = Guard(folder, reply)
    try:
        yield one
    finally:
        one.close()


@contextlib.contextmanager
def asking(port: int, *, version5: bool = True) -> Iterator[Asking]:
    one = Asking(port, version5=version5)
    try:
        yield one
    finally:
        one.close()
