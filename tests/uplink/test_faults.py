"""A bad day at the plant: each fault leaves the events on disk, says why on record, and ends by itself."""

import contextlib
import random
import select
import socket
import statistics
import threading
import time

import pytest
from msgspec.structs import replace
from running import Plant, config, event, eventually, running, stored
from tiny_broker import OK_V5, TinyBroker, connack

from appliance.store import Store
from appliance.uplink import plant_link
from appliance.uplink.backoff import Backoff
from appliance.uplink.broker import Broker
from appliance.uplink.reasons import Lost, Policy

DISCONNECT = b"\xe0\x02"
PORTAL = b"HTTP/1.1 302 Found\r\nLocation: http://portal.example/login\r\n\r\n"


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch):
    """A minute or two, as tests count it."""
    monkeypatch.setattr("appliance.uplink.backoff._LONG_S", 0.4)


@pytest.fixture
def _one_event(tmp_path):
    Store(tmp_path / "events.db").accept([event()])


def said(folder) -> str:
    """What `appliance status` would show; empty while connected."""
    link = plant_link.seen(folder)
    return "" if link is None or link.connected else link.words


REFUSALS = {
    "captive portal": (PORTAL, "begins with b'H', expected an MQTT broker; is it a captive portal"),
    "another protocol": (b"SSH-2.0-OpenSSH_9.2\r\n", "expected an MQTT broker"),
    "an alert of TLS": (b"\x15\x03\x03\x00\x02\x02\x46", "the broker's TLS port"),
    "no answer": (None, "gave no CONNACK within"),
    "not authorised": (b"\x20\x03\x00\x87\x00", r"Not authorized (0x87); look at the broker's access list"),
    "bad password": (b"\x20\x03\x00\x86\x00", "(0x86); look at uplink.username"),
    "client id": (b"\x20\x03\x00\x85\x00", "(0x85); the broker does not take machine.device"),
    "banned": (b"\x20\x03\x00\x8a\x00", "(0x8a); the broker has banned this device"),
    "quota": (b"\x20\x03\x00\x97\x00", "(0x97); the plant's quota"),
    "too many connections": (b"\x20\x03\x00\x9f\x00", "(0x9f); the broker takes no more"),
    "busy": (b"\x20\x03\x00\x89\x00", "Server busy (0x89)"),
    "3.1.1 refused too": (b"\x20\x02\x00\x01", "speaks neither MQTT 5 nor 3.1.1"),
    "session takeover": (OK_V5 + DISCONNECT + b"\x8e\x00", "(0x8e); another client uses the same id"),
    "quota in between": (OK_V5 + DISCONNECT + b"\x97\x00", "ended the connection: Quota exceeded (0x97)"),
    "shutting down": (OK_V5 + DISCONNECT + b"\x8b\x00", "Server shutting down (0x8b)"),
    "kept waiting": (OK_V5 + DISCONNECT + b"\x8d\x00", "Keep alive timeout (0x8d)"),
    "a reason unknown": (b"\x20\x03\x00\x7f\x00", "sent what is not MQTT"),
    "half a CONNACK": (b"\x20\x03\x00", "gave no CONNACK within"),
    "properties that are none": (b"\x20\x06\x00\x00\x03\xff\xff\xff", "sent what is not MQTT"),
    "a topic that is no text": (OK_V5 + b"\x30\x06\x00\x02\xff\xfe\x00x", "what is not MQTT"),
}


@pytest.mark.usefixtures("_one_event")
@pytest.mark.parametrize("fault", REFUSALS)
def test_a_refusal_is_on_record_and_ends_by_itself(tmp_path, monkeypatch, fault):
    monkeypatch.setattr("appliance.uplink.mqtt._CONNECT_S", 0.3)
    answer, words = REFUSALS[fault]
    well = threading.Event()
    broker = TinyBroker(lambda _: OK_V5 if well.is_set() else answer)
    with running(config(tmp_path, broker.port, settle_s=0.0, health_period_s=0.1)):
        eventually(lambda: words in said(tmp_path))
        assert stored(tmp_path) == 1
        well.set()
        eventually(lambda: stored(tmp_path) == 0)
        assert said(tmp_path) == ""
    broker.close()


@pytest.mark.usefixtures("_one_event")
def test_a_broker_gone_mad_costs_the_connection_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr("appliance.uplink.broker._STALL_S", 0.1)
    dice = random.Random(6)
    well = threading.Event()

    def mad(_: int) -> bytes:
        return OK_V5 if well.is_set() else OK_V5 + dice.randbytes(dice.randrange(1, 200))

    broker = TinyBroker(mad, lambda _: 0 if well.is_set() else None)
    way = config(tmp_path, broker.port, settle_s=0.0, health_period_s=0.1, backoff_s=0.01, backoff_max_s=0.02)
    with running(way):
        eventually(lambda: len(broker.levels) > 20, within_s=20)
        well.set()
        broker.drop()
        eventually(lambda: stored(tmp_path) == 0)
    broker.close()


def test_an_idle_connection_that_went_dead_is_noticed_by_the_broker_s_own_keepalive(tmp_path):
    """Half-open TCP: nothing comes any more, and no end either."""
    broker = TinyBroker(lambda _: connack(b"\x13\x00\x01"), pings=False)
    with running(config(tmp_path, broker.port, keepalive_s=3600, backoff_s=2, backoff_max_s=2)):
        eventually(lambda: "did not answer for 1 s" in said(tmp_path))
        eventually(lambda: len(broker.levels) >= 2)
    broker.close()


class Valve:
    """A TCP proxy that can freeze: bytes are taken and go nowhere, and no end is ever said."""

    def __init__(self, port: int) -> None:
        self.open = threading.Event()
        self.open.set()
        self._target = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self.open.set()
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                ours, _ = self._server.accept()
                threading.Thread(target=self._carry, args=(ours,), daemon=True).start()

    def _carry(self, ours: socket.socket) -> None:
        with (
            contextlib.suppress(OSError),
            ours,
            socket.create_connection(("127.0.0.1", self._target)) as theirs,
        ):
            while True:
                for one in select.select([ours, theirs], [], [], 1)[0]:
                    data = one.recv(65536)
                    if not data:
                        return
                    if self.open.is_set():
                        (theirs if one is ours else ours).sendall(data)


def test_a_frozen_network_is_left_and_what_it_swallowed_comes_again(mosquitto, tmp_path, monkeypatch):
    monkeypatch.setattr("appliance.uplink.broker._STALL_S", 0.5)
    monkeypatch.setattr("appliance.uplink.mqtt._CONNECT_S", 0.5)
    broker = mosquitto()
    plant, valve, store = Plant(broker.port), Valve(broker.port), Store(tmp_path / "events.db")
    with running(config(tmp_path, valve.port, settle_s=0.2, health_period_s=0.2, spread_s=0)):
        eventually(lambda: plant.of("status"))
        valve.open.clear()
        accepted = [one.id for one in store.accept([event() for _ in range(5)])]
        eventually(lambda: "no PUBACK" in said(tmp_path) or "no CONNACK" in said(tmp_path))
        assert plant.events() == []
        valve.open.set()
        eventually(lambda: set(plant.events()) == set(accepted))
        eventually(lambda: stored(tmp_path) == 0)
        assert all(status["online"] for status in plant.of("status")), "the will waits ten seconds for us"
    valve.close()
    plant.close()


def test_two_appliances_of_one_name_are_told_and_tire_of_chasing_each_other(mosquitto, tmp_path):
    """Mosquitto 2.0 ends the older connection without a word; others say 0x8E, see above."""
    broker = mosquitto()
    plant = Plant(broker.port)
    ways = [tmp_path / "one", tmp_path / "two"]
    for folder in ways:
        folder.mkdir()
    one, two = (config(folder, broker.port, backoff_s=0.1, backoff_max_s=60.0) for folder in ways)
    with running(one), running(two):
        eventually(
            lambda: any("second appliance with this machine.device" in said(folder) for folder in ways)
        )
        time.sleep(2.0)
    assert len([status for status in plant.of("status") if status["online"]]) < 30
    plant.close()


def test_after_a_connection_that_proved_itself_the_first_wait_is_short_again(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("random.uniform", lambda _, most: most)
    monkeypatch.setattr("appliance.uplink.broker._PROVEN_S", 0.0)
    server = TinyBroker(lambda _: OK_V5)
    broker = Broker(config(tmp_path, server.port, backoff_s=1.0, backoff_max_s=60.0), 1)
    for _ in range(12):
        broker.lost(Lost("away"), -60.0)
    assert "next attempt in 60.0 s" in caplog.messages[-1]
    eventually(lambda: broker.turn(readable=True, writable=True, now_s=time.monotonic()))
    broker.lost(Lost("cut"), time.monotonic())
    assert "cut; next attempt in 1.0 s" in caplog.messages[-1]
    server.close()


@pytest.mark.usefixtures("_one_event")
def test_a_name_that_does_not_resolve(tmp_path):
    way = config(tmp_path, 1883)
    with running(replace(way, uplink=replace(way.uplink, host="no-such-broker.invalid"))):
        eventually(lambda: "'no-such-broker.invalid' cannot be resolved" in said(tmp_path), within_s=15)
    assert stored(tmp_path) == 1


@pytest.mark.usefixtures("_one_event")
def test_a_name_server_that_is_silent_holds_up_nobody(tmp_path, monkeypatch):
    answered = threading.Event()
    resolve = socket.getaddrinfo

    def silent(*arguments, **more):
        answered.wait(20)
        return resolve(*arguments, **more)

    monkeypatch.setattr("socket.getaddrinfo", silent)
    broker = TinyBroker(lambda _: OK_V5)
    with running(config(tmp_path, broker.port, settle_s=0.0, health_period_s=0.1)) as uplink:
        before = uplink.beats
        time.sleep(1.2)
        assert uplink.beats > before
        answered.set()
        eventually(lambda: stored(tmp_path) == 0)
    broker.close()


def test_a_name_server_that_stays_silent_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("appliance.uplink.mqtt._DIAL_S", 0.3)
    given_up = threading.Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: given_up.wait(20) and [])
    with running(config(tmp_path, 1883)):
        eventually(lambda: "does the name server answer?" in said(tmp_path))
    given_up.set()


def test_each_policy_waits_as_it_says(monkeypatch):
    monkeypatch.undo()
    long = [Backoff(1.0, 60.0).next_s(Policy.WAIT_LONG) for _ in range(400)]
    assert min(long) >= 60
    assert max(long) <= 120
    assert statistics.stdev(long) > 10
    unchanged = Backoff(1.0, 60.0)
    assert unchanged.next_s(Policy.NEEDS_CHANGE) <= 1.0
    for _ in range(12):
        unchanged.next_s(Policy.NEEDS_CHANGE)
    waits = [unchanged.next_s(Policy.NEEDS_CHANGE) for _ in range(400)]
    assert 400 < statistics.mean(waits) < 500
    assert max(waits) <= 900
    assert max(unchanged.next_s() for _ in range(400)) <= 60
