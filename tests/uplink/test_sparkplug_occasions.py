"""Demands of Sparkplug 3.0.0 that need an occasion of their own: a primary host, MQTT 3.1.1, an option."""

import time

import pytest
from edge import STATE, Edge, Host, connects, kind, metrics, of, rebirth, sample
from packet_log import Disconnect
from real_broker import MOSQUITTO, Mosquitto
from sparkplug_statements import holds
from tahu_schema import read

if MOSQUITTO is None:
    pytest.skip("mosquitto is not installed (apt-get install mosquitto)", allow_module_level=True)

WITH_WILL = 4
NOW_MS = time.time_ns() // 1_000_000


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    one = Mosquitto(tmp_path_factory.mktemp("broker"), "allow_anonymous true")
    yield one
    one.kill()


@holds("operational-behavior-data-commands-rebirth-action-1")
def test_a_rebirth_request_stops_data_at_once(broker, tmp_path):
    edge, host = Edge(tmp_path, broker.port), Host(broker.port)
    edge.hear(sample("de", NOW_MS, vib_kurt=1.0), state=STATE)
    edge.until(lambda: "DBIRTH" in edge.kinds())  # less than a second ago: the next birth waits
    host.say("spBv1.0/works/NCMD/edge-1", rebirth())
    edge.turns(0.3)
    before = len(edge.said())
    edge.hear(sample("de", NOW_MS + 1, vib_kurt=2.0))
    edge.until(lambda: edge.kinds().count("DBIRTH") == 2)
    after = [message for message in edge.said()[before:] if kind(message) != "barrier"]
    assert [kind(message) for message in after[:2]] == ["NBIRTH", "DBIRTH"]
    assert metrics(after[1])["vib_kurt"] == 2.0
    host.close()
    edge.close()


@holds(
    "principles-persistence-clean-session-311", "payloads-ndeath-will-message-publisher-disconnect-mqtt311"
)
def test_mqtt_311(broker, tmp_path):
    edge = Edge(tmp_path, broker.port)
    edge.broker._version5 = False
    edge.until(lambda: "NBIRTH" in edge.kinds())
    edge.close()
    (connect,) = connects(edge)
    assert (connect.level, connect.clean, connect.will.qos, connect.will.retain) == (4, True, 1, False)
    assert kind(edge.log.packets[-2]) == "NDEATH"
    assert edge.log.packets[-1] == Disconnect(0)


@holds("payloads-metric-datatype-not-req")
def test_without_data_types_in_data(broker, tmp_path):
    edge = Edge(tmp_path, broker.port, datatype_in_data=False)
    edge.hear(sample("de", NOW_MS, vib_kurt=1.0), state=STATE)
    edge.until(lambda: "DBIRTH" in edge.kinds())
    edge.hear(sample("de", NOW_MS + 1, vib_kurt=2.0))
    edge.until(lambda: "DDATA" in edge.kinds())
    edge.close()
    told = [metric for message in of(edge, "DDATA") for metric in read(message.payload).metrics]
    assert not [metric for metric in told if metric.HasField("datatype")]


@holds(
    "message-flow-edge-node-birth-publish-phid-wait", "message-flow-edge-node-birth-publish-phid-wait-id",
    "message-flow-edge-node-birth-publish-phid-wait-online",
    "message-flow-edge-node-birth-publish-phid-wait-timestamp",
    "operational-behavior-edge-node-birth-sequence-wait",
    "message-flow-edge-node-birth-publish-phid-offline",
    "operational-behavior-edge-node-termination-host-offline",
    "operational-behavior-edge-node-termination-host-offline-reconnect",
    "operational-behavior-edge-node-termination-host-offline-timestamp",
    "operational-behavior-primary-application-state-with-multiple-servers-state-subs",
    "operational-behavior-primary-application-state-with-multiple-servers-single-server",
)  # fmt: skip
def test_a_primary_host(broker, tmp_path):
    edge, host = Edge(tmp_path, broker.port, primary_host="scada"), Host(broker.port)
    edge.until(lambda: len(edge.log.packets) == 2)
    assert edge.log.packets[1].filters == {"spBv1.0/works/NCMD/edge-1": 1, "spBv1.0/STATE/scada": 1}
    for online, timestamp, name in [(True, 50, "other"), (False, 100, "scada"), (True, 99, "scada")]:
        host.state(online, timestamp, name)
        edge.turns(0.15)
        assert not edge.said()
    host.say("spBv1.0/STATE/scada", b'{"online":true}', qos=1)
    host.say("spBv1.0/STATE/scada", b"\xff\x00", qos=1)
    edge.turns(0.15)
    assert not edge.said()
    host.state(True, 100)
    edge.until(lambda: edge.kinds() == ["NBIRTH"])
    host.state(False, 99)
    edge.turns(0.2)
    assert edge.kinds() == ["NBIRTH"]
    host.state(False, 100)
    edge.until(lambda: edge.kinds() == ["NBIRTH", "NDEATH"])
    edge.until(lambda: len(connects(edge)) == 2)
    assert [packet for packet in edge.log.packets if isinstance(packet, Disconnect)] == [
        Disconnect(WITH_WILL)
    ]
    host.state(True, 99)  # retained, and older
    edge.turns(0.2)
    assert edge.kinds() == ["NBIRTH", "NDEATH"]
    host.state(True, 200)
    edge.until(lambda: edge.kinds() == ["NBIRTH", "NDEATH", "NBIRTH"])
    assert [metrics(message)["bdSeq"] for message in edge.said()] == [0, 0, 1]
    host.say("spBv1.0/STATE/scada", b"", qos=1, retain=True)
    host.close()
    edge.close()
