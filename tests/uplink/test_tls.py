"""Mutual TLS and the access list against a real Mosquitto; what is said when a certificate does not do."""

import contextlib
import itertools
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from paho.mqtt.client import CallbackAPIVersion, Client, MQTTv5
from plant_ca import Authority
from running import config, event, eventually, running, stored

from appliance.config import Uplink
from appliance.errors import ConfigError
from appliance.plant_formats import Sparkplug
from appliance.plant_tls import Tls
from appliance.store import Store
from appliance.uplink import plant_link, tls
from appliance.uplink.credentials import Credentials
from appliance.uplink.mqtt import Connection
from appliance.uplink.packets import Will
from appliance.uplink.reasons import Lost, Policy

MOSQUITTO = Path(__file__).resolve().parents[2] / "docs" / "mosquitto"
NUMBER = itertools.count()
OURS = "pdm/v1/site/area/machine/appliance"
THEIRS = "pdm/v1/site/area/machine/other"


@pytest.fixture(scope="module")
def ca(tmp_path_factory) -> Authority:
    authority = Authority(tmp_path_factory.mktemp("ca"))
    for name in ("appliance", "other", "dash-1", "scada-1"):
        authority.issue(name)
    authority.issue("broker", server="IP:127.0.0.1")
    return authority


@pytest.fixture(scope="module")
def stranger(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"), "stranger")


def shipped(ca: Authority, server: str = "broker") -> str:
    """The settings of docs/mosquitto, with the paths of this test."""
    text = (MOSQUITTO / "appliance.conf").read_text()
    for name, path in {
        "ca.pem": ca.pem,
        "broker.pem": ca.folder / f"{server}.pem",
        "broker.key": ca.folder / f"{server}.key",
        "appliance.acl": MOSQUITTO / "appliance.acl",
    }.items():
        text = text.replace(f"/etc/mosquitto/plant/{name}", str(path))
    lines = [
        line for line in text.splitlines() if not line.startswith(("listener", "persistence", "max_queued_m"))
    ]
    return "\n".join(lines)


def secured(ca: Authority, by: Authority | None = None, name: str = "appliance") -> Tls:
    folder = (by or ca).folder
    return Tls(ca_file=ca.pem, cert_file=folder / f"{name}.pem", key_file=folder / f"{name}.key")


class Peer:
    """Somebody else with a certificate of the plant."""

    def __init__(self, ca: Authority, name: str, port: int, listen: str = "") -> None:
        self.answers: list[int] = []
        self.heard: list[str] = []
        self._client = Client(CallbackAPIVersion.VERSION2, f"{name}-{next(NUMBER)}", protocol=MQTTv5)
        self._client.tls_set(str(ca.pem), str(ca.folder / f"{name}.pem"), str(ca.folder / f"{name}.key"))
        self._client.on_publish = lambda _c, _d, _mid, reason, _p: self.answers.append(reason.value)
        self._client.on_message = lambda _c, _d, message: self.heard.append(message.topic)
        ready = threading.Event()
        self._client.on_connect = lambda client, *_: client.subscribe(listen or "nothing", qos=1)
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.reconnect_delay_set(0.02, 0.05)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert ready.wait(5)

    def may_publish(self, topic: str) -> bool:
        self._client.publish(topic, b"{}", qos=1)
        eventually(lambda: self.answers)
        return self.answers.pop() < 0x80

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@contextlib.contextmanager
def peer(*arguments: object, **more: object) -> Iterator[Peer]:
    one = Peer(*arguments, **more)
    try:
        yield one
    finally:
        one.close()


PUBLISHING = [
    ("appliance", f"{OURS}/status", True),
    ("appliance", f"{OURS}/event/trip", True),
    ("appliance", f"{OURS}/wave/chunk", True),
    ("appliance", f"{OURS}/rsp/ping", True),
    ("appliance", "spBv1.0/site/NBIRTH/appliance", True),
    ("appliance", "homeassistant/device/appliance/config", True),
    ("appliance", f"{THEIRS}/status", False),
    ("appliance", f"{THEIRS}/event/trip", False),
    ("appliance", f"{OURS}/cmd/ping", False),
    ("appliance", "spBv1.0/site/NBIRTH/other", False),
    ("dash-1", f"{OURS}/cmd/ping", False),
    ("dash-1", f"{OURS}/event/trip", False),
    ("scada-1", f"{OURS}/cmd/ping", True),
    ("scada-1", f"{OURS}/event/trip", False),
]
READING = [
    ("appliance", f"{OURS}/cmd/ping", True),
    ("appliance", f"{THEIRS}/cmd/ping", False),
    ("appliance", f"{THEIRS}/status", False),
    ("dash-1", f"{THEIRS}/status", True),
]


def test_the_shipped_access_list_decides_who_publishes_what(mosquitto, ca):
    broker = mosquitto(shipped(ca))
    for name, decisions in itertools.groupby(PUBLISHING, lambda row: row[0]):
        with peer(ca, name, broker.port) as one:
            for _, topic, allowed in decisions:
                assert one.may_publish(topic) is allowed, (name, topic)


def test_the_shipped_access_list_decides_who_reads_what(mosquitto, ca):
    broker = mosquitto(shipped(ca))
    for name, topic, allowed in READING:
        sender = "scada-1" if "/cmd/" in topic else topic.split("/")[5]
        with (
            peer(ca, name, broker.port, listen=topic) as reader,
            peer(ca, "dash-1", broker.port, listen=topic) as all_,
        ):
            with peer(ca, sender, broker.port) as one:
                assert one.may_publish(topic)
            eventually(lambda all_=all_: all_.heard)
            assert reader.heard == ([topic] if allowed else []), (name, topic)


def test_a_sparkplug_node_and_its_host_within_the_access_list(mosquitto, ca, tmp_path, caplog):
    broker = mosquitto(shipped(ca))
    options = Sparkplug(enabled=True, primary_host="scada-1")
    ours = config(tmp_path, broker.port, tls=secured(ca), sparkplug=options)
    with peer(ca, "scada-1", broker.port, listen="spBv1.0/+/+/#") as host:
        with running(ours):
            state = b'{"online":true,"timestamp":1}'
            host._client.publish("spBv1.0/STATE/scada-1", state, qos=1, retain=True)
            birth, death = (f"spBv1.0/site/{kind}/appliance" for kind in ("NBIRTH", "NDEATH"))
            eventually(lambda: birth in host.heard)
            asked = bytes.fromhex("08011218") + b"\x0a\x14Node Control/Rebirth" + b"\x70\x01"
            host._client.publish("spBv1.0/site/NCMD/appliance", asked)
            eventually(lambda: host.heard.count(birth) == 2)
        eventually(lambda: death in host.heard)
    assert "(0x87)" not in caplog.text  # nothing was denied


def test_events_go_out_over_tls_and_what_is_unread_in_it_is_read(mosquitto, ca, tmp_path):
    broker = mosquitto(shipped(ca))
    store = Store(tmp_path / "events.db")
    store.accept([event() for _ in range(300)])
    with (
        peer(ca, "dash-1", broker.port, listen=f"{OURS}/event/#") as dash,
        running(config(tmp_path, broker.port, tls=secured(ca), settle_s=0.2, drain_rate_hz=0, spread_s=0)),
    ):
        eventually(lambda: store.accept([event()]) and len(dash.heard) >= 301)
        link = plant_link.seen(tmp_path)
        assert (link.connected, link.words) == (True, f"127.0.0.1:{broker.port} with MQTT 5")


def refused(ours: Tls | None, port: int) -> Lost:
    """Why the broker cannot be had."""
    config = Uplink(host="127.0.0.1", port=port, tls=ours)
    link = Connection(config, "appliance", Will(f"{OURS}/status", b"{}"), shown=Credentials(config).read())
    try:
        eventually(lambda: link.turn(readable=True, writable=True) or link.ready)
    except Lost as fault:
        return fault
    finally:
        link.close()
    pytest.fail("the broker took us")


def test_a_certificate_that_does_not_do_is_named(mosquitto, ca, stranger):
    broker = mosquitto(shipped(ca))
    stranger.issue("appliance")
    expired = ca.issue("expired", days=-1)[0].stem
    for ours, words in (
        (Tls(ca_file=ca.pem), "the broker asks for a certificate"),
        (secured(ca, stranger), "does not know the authority behind our certificate"),
        (secured(ca, name=expired), "our certificate has expired"),
    ):
        fault = refused(ours, broker.port)
        assert words in str(fault)
        assert fault.policy is Policy.NEEDS_CHANGE


def test_a_broker_that_is_not_the_plant_s_is_not_spoken_to(mosquitto, ca, stranger):
    """TLS interception, a wrong name, a certificate that ended, no TLS at all; TLS where we speak none."""
    stranger.issue("broker", server="IP:127.0.0.1")
    intercepted = mosquitto(shipped(stranger))
    assert "not trusted: self-signed certificate in" in str(refused(secured(ca), intercepted.port))
    ca.issue("elsewhere", server="DNS:broker.elsewhere")
    assert "mismatch" in str(refused(secured(ca), mosquitto(shipped(ca, "elsewhere")).port))
    ended = ca.issue("ended", days=-1, server="IP:127.0.0.1")[0].stem
    late = mosquitto(shipped(ca, ended))
    fault = refused(secured(ca), late.port)
    assert "certificate has expired" in str(fault)
    assert fault.policy is Policy.BACK_OFF
    assert "cut in the TLS handshake; expected the broker's TLS port" in str(
        refused(secured(ca), mosquitto().port)
    )
    assert "closed the connection without a CONNACK" in str(refused(None, late.port))


def test_a_certificate_renewed_on_disk_is_taken_at_once(mosquitto, ca, stranger, tmp_path, monkeypatch):
    monkeypatch.setattr("appliance.uplink.backoff.Backoff.first_s", lambda _: 0.0)
    broker = mosquitto(shipped(ca))
    made = Tls(ca_file=ca.pem, cert_file=tmp_path / "c.pem", key_file=tmp_path / "c.key")
    stranger.issue("appliance")

    def install(authority: Authority) -> None:
        made.key_file.write_bytes((authority.folder / "appliance.key").read_bytes())
        made.key_file.chmod(0o600)
        made.cert_file.write_bytes((authority.folder / "appliance.pem").read_bytes())

    install(stranger)
    Store(tmp_path / "events.db").accept([event()])
    way = config(tmp_path, broker.port, tls=made, backoff_s=500, backoff_max_s=500, spread_s=0)
    with peer(ca, "dash-1", broker.port, listen=f"{OURS}/event/#") as dash, running(way):
        eventually(lambda: (link := plant_link.seen(tmp_path)) and "authority behind our" in link.words)
        assert stored(tmp_path) == 1
        install(ca)
        eventually(lambda: dash.heard)


def test_files_that_cannot_be_used_are_named_with_what_to_do(ca, stranger, tmp_path):
    stranger.issue("appliance")
    key = ca.folder / "appliance.key"
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    open_key = tmp_path / "open.key"
    open_key.write_bytes(key.read_bytes())
    open_key.chmod(0o644)
    good = ca.folder / "appliance.pem"
    for made, words in (
        (
            Tls(ca_file=tmp_path / "none"),
            r"uplink\.tls\.ca_file: .*none: No such file.*`appliance provision`",
        ),
        (Tls(ca_file=text), r"ca_file: .*text\.pem: no certificate in PEM; expected the authority"),
        (Tls(cert_file=good, key_file=stranger.folder / "appliance.key"), "not the key of the certificate"),
        (Tls(cert_file=text, key_file=key), "no usable pair"),
        (Tls(cert_file=good, key_file=open_key), "open to every user; expected mode 600"),
    ):
        with pytest.raises(ConfigError, match=words):
            tls.context(made)


def test_nothing_below_tls_1_2_and_never_an_unchecked_broker(ca):
    made = tls.context(secured(ca))
    assert made.minimum_version is ssl.TLSVersion.TLSv1_2
    assert (made.verify_mode, made.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_a_certificate_in_its_last_month_is_spoken_of(ca):
    young, _ = ca.issue("young", days=31)
    old, key = ca.issue("old", days=29)
    assert Credentials(Uplink(tls=Tls(cert_file=young, key_file=key))).expiry() == ""
    assert "our certificate ends on 20" in Credentials(Uplink(tls=Tls(cert_file=old, key_file=key))).expiry()
