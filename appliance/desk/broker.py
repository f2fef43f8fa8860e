"""The plant's side of the demo: a broker that goes away and comes back, and a subscriber that counts."""

import getpass
import importlib.util
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path

import msgspec
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from appliance.errors import ApplianceError

_START_S = 10.0
_AMQTT = """listeners:
  default: {{type: tcp, bind: "127.0.0.1:{port}"}}
plugins:
  amqtt.plugins.authentication.AnonymousAuthPlugin: {{allow_anonymous: true}}
"""
_MOSQUITTO = """listener {port} 127.0.0.1
user {user}
allow_anonymous true
persistence true
persistence_location {folder}/
"""


class Broker:
    """Mosquitto if this machine has it, else amqtt from PyPI. `name` says which."""

    def __init__(self, folder: Path) -> None:
        """Raises ApplianceError where there is neither."""
        self.port = _free_port()
        self._log = folder / "broker.log"
        self._process: subprocess.Popen[bytes] | None = None
        mosquitto = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
        amqtt = Path(sys.executable).with_name("amqtt")
        config = folder / "broker.conf"
        if mosquitto:
            self.name = "Mosquitto"
            config.write_text(_MOSQUITTO.format(port=self.port, folder=folder, user=getpass.getuser()))
        elif importlib.util.find_spec("amqtt") and amqtt.exists():
            self.name = "amqtt, an embedded broker (no Mosquitto on this machine)"
            config = folder / "broker.yaml"
            config.write_text(_AMQTT.format(port=self.port))
        else:
            raise ApplianceError(
                "no MQTT broker found, expected mosquitto or the Python package amqtt; "
                "install one: apt install mosquitto, or pip install 'appliance[demo]'"
            )
        self._command = [mosquitto or str(amqtt), "-c", str(config)]

    def start(self) -> None:
        """Start it and wait until it listens. Raises ApplianceError."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline_s = time.monotonic() + _START_S
        while time.monotonic() < deadline_s:
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.2).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise ApplianceError(f"{self.name} does not listen on port {self.port}; see {self._log}")

    def stop(self) -> None:
        """The network is gone."""
        if self._process:
            self._process.terminate()
            try:
                self._process.wait(5.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None


class Subscriber:
    """A dashboard that counts what arrives and drops repeated ids."""

    def __init__(self, port: int) -> None:
        """A dashboard of everything of this appliance, with a session that the broker keeps."""
        self.events: deque[dict[str, object]] = deque()
        """Events not looked at yet, each id once."""
        self.ids: set[int] = set()
        self.repeated = 0
        self.telemetry = 0
        self._client = Client(CallbackAPIVersion.VERSION2, client_id="demo-dashboard", clean_session=False)
        self._subscribed = threading.Event()
        self._client.on_connect = lambda client, *_: client.subscribe("pdm/v1/#", qos=1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._message
        self._client.reconnect_delay_set(1, 1)
        self._port = port

    def start(self) -> None:
        """Connect, and wait until the broker has the subscription. Raises ApplianceError."""
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        if not self._subscribed.wait(_START_S):
            raise ApplianceError(f"the broker on port {self._port} takes no subscription; see its log")

    def stop(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()

    def _message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        if "/event/" not in message.topic:
            self.telemetry += message.topic.endswith(("/telemetry", "/history"))
            return
        event = msgspec.json.decode(message.payload, type=dict[str, object])
        id_ = int(str(event["id"]))
        self.repeated += id_ in self.ids
        if id_ not in self.ids:
            self.ids.add(id_)
            self.events.append(event)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
