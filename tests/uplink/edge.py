"""An edge node with its real connections, turned by the test, and what it said on the wire."""

import select
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from packet_log import Connect, PacketLog, Publish
from paho.mqtt.client import CallbackAPIVersion, Client, MQTTv5
from tahu_schema import Payload, read

from appliance.config import Config, Site, Transmitter, Uplink
from appliance.plant_formats import Sparkplug as Options
from appliance.records import GuardState, Level, MachineState, Quality, Score
from appliance.uplink import payloads
from appliance.uplink.anchors import Anchors
from appliance.uplink.broker import Broker
from appliance.uplink.history import History
from appliance.uplink.reasons import Lost
from appliance.uplink.sparkplug import Sparkplug
from appliance.uplink.sparkplug_backlog import Backlog
from appliance.uplink.topics import Info, Metric, State

SITE = Site("works", "hall", "pump", "edge-1")
GUARD = GuardState(
    at_mono_ns=1_000_000_000,
    at_utc_ns=1_772_446_281_002_000_000,
    time_quality="ntp",
    level=Level.NORMAL,
    tripped=False,
    relay_energised=True,
    machine=MachineState.RUNNING,
    channels=(),
    clocks=(),
    scores=(Score("de", 0, 1_000_000_000, Quality.OK, MachineState.RUNNING, 0.5, 1.0, "m-1"),),
)
STATE = payloads.state_payload(GUARD, 0, 0)
INFO = Info(
    ts=1_772_446_281_002, device="edge-1", fw="0.1.0", model="m-1", channels=(),
    metrics={"vib_vel_mm_s": Metric("float", "mm/s", "mm/s")},
)  # fmt: skip


def sample(sensor: str, ts: int, **values: object) -> dict[str, object]:
    """A payload of `telemetry`."""
    return {
        "v": 1,
        "id": ts,
        "ts": ts,
        "tsq": "ntp",
        "backfill": False,
        "ok": True,
        "sensor": sensor,
        **values,
    }


class Edge:
    """log: what the node's connection sent. backlog: its own. skew_s: added to the clock of the node."""

    def __init__(
        self, folder: Path, port: int, *, transmitters: Sequence[str] = (), **options: object
    ) -> None:
        self.log = PacketLog(port)
        self.skew_s = 0.0
        self._start = 0
        self._options = options
        self._transmitter = tuple(
            Transmitter(name=name, port="sim", map=Path("own.toml")) for name in transmitters
        )
        self._folder, self._port = folder, port
        self._open()

    def _open(self) -> None:
        self._start += 1
        anchors = Anchors(self._folder / "anchors.json")
        self.broker = Broker(self._config(self._port), self._start, anchors)
        self.backlog = Backlog(History(self._folder / "sparkplug.db", 1_000_000), anchors, self._start)
        self.node = Sparkplug(self._config(self.log.port), self.broker, self.backlog)

    def _config(self, port: int) -> Config:
        options = Options(enabled=True, **self._options)  # type: ignore[arg-type]
        way = Uplink(
            host="127.0.0.1", port=port, backoff_s=0.05, backoff_max_s=0.1, spread_s=0.0, sparkplug=options
        )
        return Config(
            machine=SITE,
            state_dir=self._folder,
            run_dir=self._folder,
            transmitter=self._transmitter,
            uplink=way,
        )

    def turn(self) -> None:
        parts = [part for part in (self.broker, self.node) if part.fileno() >= 0]
        writes = [part.fileno() for part in parts if part.wants_write]
        wait_s = self.node.patience_s(0.02)
        readable, writable, _ = select.select([part.fileno() for part in parts], writes, [], wait_s)
        now_s = time.monotonic()
        fd = self.broker.fileno()
        try:
            self.broker.turn(readable=fd in readable, writable=fd in writable, now_s=now_s)
            self.broker.answers()
        except Lost as fault:
            self.broker.lost(fault, now_s)
        fd = self.node.fileno()
        self.node.turn(readable=fd in readable, writable=fd in writable, now_s=now_s + self.skew_s)

    def until(self, condition: Callable[[], object], within_s: float = 8.0) -> None:
        end_s = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < end_s, f"did not happen; the node said {self.kinds()}"
            self.turn()

    def turns(self, seconds: float) -> None:
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            self.turn()

    def hear(self, *samples: dict[str, object], state: State | None = None) -> None:
        self.node.hear(samples, state, INFO, time.monotonic() + self.skew_s)

    def restart(self) -> None:
        """As if the process had ended and been started again."""
        self.node.stop()
        self.broker.stop()
        self._open()

    def close(self) -> None:
        self.node.stop()
        self.broker.stop()
        self.log.close()

    def said(self) -> list[Publish]:
        """Every PUBLISH so far."""
        return [packet for packet in list(self.log.packets) if isinstance(packet, Publish)]

    def kinds(self) -> list[str]:
        """NBIRTH, DDATA …; the barrier's topic by its end."""
        return [kind(message) for message in self.said()]

    def of(self, *wanted: str) -> list[Publish]:
        return [message for message in self.said() if kind(message) in wanted]


def kind(message: Publish) -> str:
    words = message.topic.split("/")
    return words[2] if words[0] == "spBv1.0" else words[-1]


def metrics(message: Publish) -> dict[str, object]:
    """Values of a birth by name."""
    return {one.name: value(one) for one in read(message.payload).metrics}


def value(metric: object) -> object:
    which = metric.WhichOneof("value")  # type: ignore[attr-defined]
    return getattr(metric, which) if which else None


class Host:
    """Somebody who publishes commands and STATE."""

    def __init__(self, port: int) -> None:
        ready = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, "host", protocol=MQTTv5)
        self._client.on_connect = lambda *_: ready.set()
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert ready.wait(5)

    def say(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos=qos, retain=retain).wait_for_publish(5)

    def state(self, online: bool, timestamp: int, host: str = "scada") -> None:
        body = msgspec.json.encode({"online": online, "timestamp": timestamp})
        self.say(f"spBv1.0/STATE/{host}", body, qos=1, retain=True)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def rebirth() -> bytes:
    asked = Payload(timestamp=1)
    asked.metrics.add(name="Node Control/Rebirth", datatype=11, boolean_value=True)
    return asked.SerializeToString()


def of(edge, *kinds):
    found = edge.of(*kinds)
    assert found
    return found


def connects(edge):
    return [packet for packet in edge.log.packets if isinstance(packet, Connect)]
