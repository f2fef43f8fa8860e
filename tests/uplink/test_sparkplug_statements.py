"""What Sparkplug 3.0.0 demands of an edge node, held against one life of ours at a real broker."""

import ast
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from edge import INFO, STATE, Edge, Host, connects, kind, metrics, of, rebirth, sample, value
from google.protobuf.message import DecodeError
from packet_log import Connect, Disconnect, Publish, Subscribe
from real_broker import MOSQUITTO, Mosquitto
from sparkplug_statements import STATEMENTS, TOTAL, UNUSED, holds
from tahu_schema import read

from appliance.uplink.sparkplug_codec import DataType

if MOSQUITTO is None:
    pytest.skip("mosquitto is not installed (apt-get install mosquitto)", allow_module_level=True)

NODE_KINDS = ("NBIRTH", "NDATA", "NDEATH")
DEVICE_KINDS = ("DBIRTH", "DDATA", "DDEATH")
WITH_WILL = 4
NOW_MS = time.time_ns() // 1_000_000


def lived(edge: Edge, host: Host) -> None:
    """A life with everything in it: two devices, data, a rebirth, a silent device, a cut, a clean end."""
    edge.hear(sample("de", NOW_MS, vib_vel_mm_s=1.0), sample("nde", NOW_MS, vib_kurt=None), state=STATE)
    edge.until(lambda: "barrier" in edge.kinds())
    for n in range(1, 600):
        edge.hear(sample("de", NOW_MS + n, vib_vel_mm_s=float(n // 2)))
    edge.hear(state=msgspec.structs.replace(STATE, level=2))
    edge.hear(state=STATE)
    edge.until(lambda: edge.kinds().count("NDATA") == 2)
    edge.turns(1.0)
    host.say("spBv1.0/works/NCMD/edge-1", rebirth())
    edge.until(lambda: edge.kinds().count("NBIRTH") == 2)
    edge.skew_s = 11.0
    edge.hear(sample("de", NOW_MS + 1000, vib_vel_mm_s=-1.0))
    edge.until(lambda: "DDEATH" in edge.kinds())
    edge.hear(sample("nde", NOW_MS + 1001, vib_kurt=3.0))
    edge.until(lambda: edge.kinds().count("DBIRTH") == 6)
    edge.log.cut()
    edge.until(lambda: edge.kinds().count("DBIRTH") == 8)
    edge.hear(sample("de", NOW_MS + 1002, vib_vel_mm_s=2.0))
    edge.turns(0.1)
    edge.close()


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    one = Mosquitto(tmp_path_factory.mktemp("broker"), "allow_anonymous true")
    yield one
    one.kill()


@pytest.fixture(scope="module")
def life(broker, tmp_path_factory):
    edge, host = Edge(tmp_path_factory.mktemp("life"), broker.port), Host(broker.port)
    lived(edge, host)
    host.close()
    return edge


def sessions(edge):
    """What was published in each connection, without the barrier."""
    found = []
    for packet in edge.log.packets:
        if isinstance(packet, Connect):
            found.append([])
        elif isinstance(packet, Publish) and kind(packet) != "barrier":
            found[-1].append(packet)
    return found


@holds(
    "intro-group-id-string", "intro-group-id-chars", "intro-edge-node-id-string", "intro-edge-node-id-chars",
    "intro-device-id-string", "intro-device-id-chars", "topic-structure", "topic-structure-namespace-a",
    "topic-structure-namespace-valid-group-id", "topic-structure-namespace-valid-edge-node-id",
    "topic-structure-namespace-valid-device-id", "topic-structure-namespace-unique-device-id",
    "topic-structure-namespace-device-id-associated-message-types",
    "topic-structure-namespace-device-id-non-associated-message-types", "case-sensitivity-sparkplug-ids",
    "topics-nbirth-topic", "topics-ndata-topic", "topics-ndeath-topic", "topics-dbirth-topic",
    "topics-ddata-topic", "topics-ddeath-topic",
    "message-flow-edge-node-birth-publish-nbirth-topic", "message-flow-device-birth-publish-dbirth-topic",
    "message-flow-device-birth-publish-dbirth-match-edge-node-topic",
)  # fmt: skip
def test_topics(life):
    told = [message.topic for message in life.said() if kind(message) != "barrier"]
    node = {f"spBv1.0/works/{one}/edge-1" for one in NODE_KINDS}
    device = {f"spBv1.0/works/{one}/edge-1/{name}" for one in DEVICE_KINDS for name in ("de", "nde")}
    assert set(told) == (node | device) - {"spBv1.0/works/DDEATH/edge-1/de"}


@holds(
    "topics-nbirth-mqtt", "topics-ndata-mqtt", "topics-dbirth-mqtt", "topics-ddata-mqtt",
    "topics-ddeath-mqtt",
    "payloads-nbirth-qos", "payloads-nbirth-retain", "payloads-dbirth-qos", "payloads-dbirth-retain",
    "payloads-ndata-qos", "payloads-ndata-retain", "payloads-ddata-qos", "payloads-ddata-retain",
    "message-flow-edge-node-birth-publish-nbirth-qos", "message-flow-edge-node-birth-publish-nbirth-retained",
    "message-flow-device-birth-publish-dbirth-qos", "message-flow-device-birth-publish-dbirth-retained",
)  # fmt: skip
def test_quality_of_service(life):
    told = of(life, "NBIRTH", "NDATA", *DEVICE_KINDS)
    assert {(message.qos, message.retain) for message in told} == {(0, False)}


@holds(
    "principles-persistence-clean-session-50", "message-flow-edge-node-birth-publish-will-message",
    "message-flow-edge-node-birth-publish-will-message-topic",
    "message-flow-edge-node-birth-publish-will-message-payload",
    "message-flow-edge-node-birth-publish-will-message-qos",
    "message-flow-edge-node-birth-publish-will-message-will-retained", "payloads-ndeath-will-message",
    "payloads-ndeath-will-message-qos", "payloads-ndeath-will-message-retain", "payloads-ndeath-seq",
    "topics-ndeath-seq", "topics-ndeath-payload",
)  # fmt: skip
def test_connect_and_will(life):
    assert len(connects(life)) == 2
    for connect in connects(life):
        assert (connect.level, connect.clean, connect.session_s) == (5, True, 0)
        will = connect.will
        assert (will.topic, will.qos, will.retain) == ("spBv1.0/works/NDEATH/edge-1", 1, False)
        death = read(will.payload)
        assert [metric.name for metric in death.metrics] == ["bdSeq"]
        assert not death.HasField("seq")


@holds(
    "message-flow-edge-node-birth-publish-will-message-payload-bdSeq", "payloads-ndeath-bdseq",
    "topics-nbirth-bdseq-included", "topics-nbirth-bdseq-matching", "topics-nbirth-bdseq-increment",
    "message-flow-edge-node-birth-publish-nbirth-payload-bdSeq", "payloads-nbirth-bdseq",
    "payloads-nbirth-bdseq-repeat", "operational-behavior-data-commands-rebirth-action-3",
)  # fmt: skip
def test_bdseq(life, broker, tmp_path):
    for n, (connect, told) in enumerate(zip(connects(life), sessions(life), strict=True)):
        births = [read(message.payload) for message in told if kind(message) == "NBIRTH"]
        for payload in [read(connect.will.payload), *births]:
            (bdseq,) = [metric for metric in payload.metrics if metric.name == "bdSeq"]
            assert (bdseq.long_value, bdseq.datatype) == (n, DataType.INT64)
    (tmp_path / "sparkplug.bdseq").write_text("255")
    edge = Edge(tmp_path, broker.port)
    edge.until(lambda: "NBIRTH" in edge.kinds())
    assert metrics(edge.of("NBIRTH")[0])["bdSeq"] == 0
    edge.restart()
    edge.until(lambda: edge.kinds().count("NBIRTH") == 2)
    assert metrics(edge.of("NBIRTH")[1])["bdSeq"] == 1
    edge.close()


@holds("message-flow-edge-node-ncmd-subscribe", "message-flow-edge-node-birth-publish-connect")
def test_commands_are_subscribed_before_the_birth(life):
    kinds = [type(packet) for packet in life.log.packets]
    assert kinds[:3] == [Connect, Subscribe, Publish]
    assert life.log.packets[1].filters == {"spBv1.0/works/NCMD/edge-1": 1}


@holds(
    "principles-birth-certificates-order", "message-flow-device-birth-publish-nbirth-wait",
    "payloads-dbirth-order", "payloads-ndata-order", "payloads-ddata-order",
    "operational-behavior-data-commands-rebirth-action-2",
)  # fmt: skip
def test_order_of_births(life):
    births = 0
    for told in sessions(life):
        kinds = [kind(message) for message in told]
        assert kinds[0] == "NBIRTH"
        for at in [n for n, one in enumerate(kinds) if one == "NBIRTH"]:
            births += 1
            following = [message.topic for message in told[at + 1 : at + 3] if kind(message) == "DBIRTH"]
            assert sorted(following) == [f"spBv1.0/works/DBIRTH/edge-1/{one}" for one in ("de", "nde")]
        assert kinds.count("DBIRTH") == 2 * kinds.count("NBIRTH")
    assert births == 4


@holds(
    "topics-nbirth-seq-num", "topics-ndata-seq-num", "topics-dbirth-seq", "topics-ddata-seq-num",
    "topics-ddeath-seq-num", "message-flow-edge-node-birth-publish-nbirth-payload-seq",
    "message-flow-device-birth-publish-dbirth-payload-seq", "payloads-nbirth-seq", "payloads-dbirth-seq",
    "payloads-dbirth-seq-inc", "payloads-ndata-seq", "payloads-ndata-seq-inc", "payloads-ddata-seq",
    "payloads-ddata-seq-inc", "payloads-ddeath-seq", "payloads-ddeath-seq-inc", "payloads-ddeath-seq-number",
    "payloads-sequence-num-always-included", "payloads-sequence-num-req-nbirth",
    "payloads-sequence-num-incrementing",
)  # fmt: skip
def test_sequence_numbers(life):
    wrapped = False
    for told in sessions(life):
        expected = 0
        for message in told:
            if kind(message) == "NDEATH":
                continue
            expected = 0 if kind(message) == "NBIRTH" else expected
            payload = read(message.payload)
            assert payload.HasField("seq")
            assert payload.seq == expected % 256
            wrapped |= expected > 255
            expected += 1
    assert wrapped


@holds(
    "topics-nbirth-timestamp", "topics-ndata-timestamp", "topics-dbirth-timestamp", "topics-ddata-timestamp",
    "payloads-nbirth-timestamp", "payloads-dbirth-timestamp", "payloads-ndata-timestamp",
    "payloads-ddata-timestamp", "payloads-ddeath-timestamp", "payloads-timestamp-in-UTC",
    "payloads-metric-timestamp-in-UTC", "payloads-name-birth-data-requirement",
    "message-flow-edge-node-birth-publish-nbirth-payload", "message-flow-device-birth-publish-dbirth-payload",
)  # fmt: skip
def test_times(life):
    latest_ms = time.time_ns() // 1_000_000 + 60_000
    for message in of(life, "NBIRTH", "NDATA", *DEVICE_KINDS):
        payload = read(message.payload)
        assert NOW_MS <= payload.timestamp < latest_ms
        for metric in payload.metrics:
            assert metric.timestamp == STATE.ts or NOW_MS <= metric.timestamp < latest_ms


@holds(
    "topics-nbirth-rebirth-metric", "payloads-nbirth-rebirth-req",
    "operational-behavior-data-commands-rebirth-name",
    "operational-behavior-data-commands-rebirth-name-aliases",
    "operational-behavior-data-commands-rebirth-datatype", "operational-behavior-data-commands-rebirth-value",
)  # fmt: skip
def test_rebirth_metric(life):
    for birth in of(life, "NBIRTH"):
        (one,) = [metric for metric in read(birth.payload).metrics if metric.name == "Node Control/Rebirth"]
        assert (one.datatype, one.boolean_value, one.HasField("alias")) == (DataType.BOOLEAN, False, False)


@holds(
    "topics-nbirth-metric-reqs", "topics-nbirth-metrics", "topics-dbirth-metric-reqs",
    "topics-dbirth-metrics",
    "operational-behavior-data-publish-nbirth", "operational-behavior-data-publish-nbirth-values",
    "operational-behavior-data-publish-dbirth", "operational-behavior-data-publish-dbirth-values",
    "payloads-name-requirement", "payloads-alias-birth-requirement", "payloads-alias-data-cmd-requirement",
    "payloads-metric-datatype-req", "payloads-metric-datatype-value-type", "payloads-metric-datatype-value",
    "payloads-alias-uniqueness", "case-sensitivity-metric-names",
)  # fmt: skip
def test_what_is_told_was_born(life):
    born: dict[int, int] = {}
    nulls = 0
    for message in of(life, "NBIRTH", "DBIRTH", "NDATA", "DDATA"):
        told = read(message.payload).metrics
        if kind(message) == "NBIRTH":
            born = {}
        if kind(message) in ("NBIRTH", "DBIRTH"):
            assert len({metric.name.lower() for metric in told}) == len(told)
            aliased = [metric for metric in told if metric.name != "Node Control/Rebirth"]
            assert all(metric.HasField("alias") and metric.alias not in born for metric in aliased)
            born |= {metric.alias: metric.datatype for metric in aliased}
            assert {metric.datatype for metric in told} <= set(DataType)
        for metric in told:
            assert metric.is_null != bool(metric.WhichOneof("value"))
            nulls += metric.is_null
            if kind(message) in ("NDATA", "DDATA"):
                assert not metric.HasField("name")
                assert metric.datatype == born[metric.alias]
    assert nulls


@holds(
    "payloads-propertyset-keys-array-size", "payloads-propertyset-values-array-size",
    "payloads-metric-propertyvalue-type-type", "payloads-metric-propertyvalue-type-value",
    "payloads-metric-propertyvalue-type-req",
)  # fmt: skip
def test_units_are_properties(life):
    told = [metric for birth in of(life, "DBIRTH") for metric in read(birth.payload).metrics]
    units = {metric.name: metric.properties for metric in told if metric.HasField("properties")}
    assert units.keys() == INFO.metrics.keys()
    for properties in units.values():
        assert list(properties.keys) == ["engUnit"]
        assert [(one.type, one.string_value) for one in properties.values] == [(DataType.STRING, "mm/s")]


@holds(
    "principles-rbe-recommended", "topics-ndata-payload", "topics-ddata-payload",
    "operational-behavior-data-publish-nbirth-change", "operational-behavior-data-publish-dbirth-change",
    "operational-behavior-data-publish-nbirth-order", "operational-behavior-data-publish-dbirth-order",
)  # fmt: skip
def test_changes_are_told_once_and_in_order(life):
    names: dict[int, str] = {}
    told: list[tuple[str, int, object]] = []
    for message in sessions(life)[0]:
        for metric in read(message.payload).metrics:
            if kind(message) in ("NBIRTH", "DBIRTH"):
                names[metric.alias] = metric.name
            elif not metric.is_historical:
                told.append((names[metric.alias], metric.timestamp, value(metric)))
    assert [one for one in told if one[0] == "level"] == [("level", STATE.ts, 2), ("level", STATE.ts, 0)]
    velocity = [one[1:] for one in told if one[0] == "vib_vel_mm_s"]
    assert velocity[:-1] == [(NOW_MS + 1, 0.0), *((NOW_MS + n, n / 2) for n in range(2, 600, 2))]
    assert velocity[-1] == (NOW_MS + 1000, -1.0)
    assert {one[0] for one in told} - {"Buffer/Samples", "Buffer/Evicted"} == {"level", "vib_vel_mm_s"}


@holds("operational-behavior-device-ddeath")
def test_a_silent_device_dies_and_is_born_again(life):
    told = [message.topic.removeprefix("spBv1.0/works/") for message in sessions(life)[0]]
    at = told.index("DDEATH/edge-1/nde")
    assert told[at + 1 : at + 2] == ["NBIRTH/edge-1"]
    assert "DBIRTH/edge-1/nde" in told[at + 1 : at + 4]


@holds(
    "payloads-ndeath-will-message-publisher", "payloads-ndeath-will-message-publisher-disconnect-mqtt50",
    "operational-behavior-edge-node-intentional-disconnect-ndeath",
    "operational-behavior-edge-node-intentional-disconnect-packet",
)  # fmt: skip
def test_a_clean_end(life):
    death, goodbye = life.log.packets[-2:]
    assert (kind(death), death.qos, death.retain) == ("NDEATH", 1, False)
    assert [metric.long_value for metric in read(death.payload).metrics] == [1]
    assert goodbye == Disconnect(WITH_WILL)


def test_the_content_type_is_told_of_the_deaths_too(life):
    published = [one for one in life.log.packets if isinstance(one, Publish)]
    wills = [one.will for one in life.log.packets if isinstance(one, Connect)]
    said = {(one.topic.split("/")[0], one.content_type) for one in [*published, *wills]}
    assert said == {("spBv1.0", "application/x-protobuf"), ("pdm", "application/json")}


def test_every_statement_is_held_by_a_test_or_has_a_reason_why_not():
    held = [
        one.value
        for file in Path(__file__).parent.glob("test_sparkplug_*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef)
        for mark in node.decorator_list
        if isinstance(mark, ast.Call) and getattr(mark.func, "id", "") == "holds"
        for one in mark.args
    ]
    assert sorted(held) == sorted(STATEMENTS)
    unused = [one for ids in UNUSED.values() for one in ids]
    assert not STATEMENTS.keys() & set(unused)
    assert len(STATEMENTS) + len(unused) == TOTAL - 73


def test_the_page_is_what_the_tests_say():
    tool = Path(__file__).resolve().parents[2] / "tools" / "sparkplug"
    done = subprocess.run([sys.executable, tool, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_oracle_refuses_what_is_no_payload():
    with pytest.raises(DecodeError):
        read(b"\xff\xff\xff")
