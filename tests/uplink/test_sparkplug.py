"""The edge node on bad days: what others send it, what the broker forbids, what the disk does."""

import random

import pytest
from edge import Edge, Host, kind, sample
from hypothesis import given, settings
from hypothesis import strategies as st
from tahu_schema import Payload, read

from appliance import disk
from appliance.uplink.primary_host import PrimaryHost
from appliance.uplink.sparkplug import next_bdseq

NCMD = "spBv1.0/works/NCMD/edge-1"


def rebirth() -> bytes:
    asked = Payload(timestamp=1)
    asked.metrics.add(name="Node Control/Rebirth", datatype=11, boolean_value=True)
    return asked.SerializeToString()


@pytest.fixture
def node(mosquitto, tmp_path):
    broker = mosquitto()
    edge, host = Edge(tmp_path, broker.port), Host(broker.port)
    edge.hear(sample("de", 1, vib_kurt=1.0))
    edge.until(lambda: "DBIRTH" in edge.kinds())
    yield edge, host
    host.close()
    edge.close()


def test_malformed_commands_neither_kill_nor_silence_it(node, caplog):
    edge, host = node
    chance = random.Random(1)
    asked = rebirth()
    for _ in range(300):
        cut = bytearray(asked[: chance.randrange(len(asked) + 1)])
        for _ in range(chance.randrange(4)):
            cut.insert(chance.randrange(len(cut) + 1), chance.randrange(256))
        host.say(NCMD, bytes(cut))
    for payload in (b"", b"\x00" * 1000, chance.randbytes(100_000), b'{"rebirth":true}'):
        host.say(NCMD, payload)
    edge.turns(0.5)
    assert 1 <= caplog.text.count("an NCMD") < 20
    births = edge.kinds().count("NBIRTH")
    edge.turns(1.1)
    edge.hear(sample("de", 2, vib_kurt=2.0))
    edge.until(lambda: edge.of("DDATA"))
    host.say(NCMD, asked)
    edge.until(lambda: edge.kinds().count("NBIRTH") > births)


def test_only_a_true_rebirth_is_obeyed(node):
    edge, host = node
    for name, value in (("Node Control/Rebirth", False), ("Node Control/Reboot", True), ("level", True)):
        asked = Payload(timestamp=1)
        asked.metrics.add(name=name, datatype=11, boolean_value=value)
        host.say(NCMD, asked.SerializeToString())
    host.say("spBv1.0/works/DCMD/edge-1/de", rebirth())
    host.say("spBv1.0/works/NCMD/edge-2", rebirth())
    edge.turns(1.3)
    assert edge.kinds().count("NBIRTH") == 1


def test_a_flood_of_rebirth_requests_is_answered_once_a_second(node):
    edge, host = node
    for _ in range(100):
        host.say(NCMD, rebirth())
        edge.turn()
    edge.turns(2.3)
    assert 2 <= edge.kinds().count("NBIRTH") <= 4


def test_a_metric_or_device_that_no_birth_told_makes_a_birth(node):
    edge, _ = node
    edge.hear(sample("de", 2, vib_kurt=2.0, vib_crest=5.0), sample("nde", 2, vib_kurt=0.0))
    edge.until(lambda: edge.kinds().count("DBIRTH") == 3)
    edge.until(lambda: not len(edge.backlog))
    assert "DDATA" in edge.kinds()  # what could not wait for the birth was told as the past


def test_a_broker_that_forbids_the_barrier_is_asked_again_a_minute_later(mosquitto, tmp_path, caplog):
    (tmp_path / "acl").write_text("topic readwrite spBv1.0/#\ntopic write pdm/v1/+/+/+/+/status\n")
    broker = mosquitto(f"allow_anonymous true\nacl_file {tmp_path}/acl")
    edge = Edge(tmp_path, broker.port)
    edge.hear(*[sample("de", n, vib_kurt=float(n)) for n in range(5)])
    edge.until(lambda: "barrier" in edge.kinds())
    edge.turns(1.0)
    assert edge.kinds().count("barrier") == 1
    assert "barrier refused with 0x87" in caplog.text
    assert len(edge.backlog) == 5
    edge.skew_s = 61.0
    edge.until(lambda: edge.kinds().count("barrier") == 2)
    edge.close()


def test_samples_that_come_together_as_the_connection_breaks_are_all_told_later(node):
    edge, _ = node
    edge.turns(0.1)
    edge.log.cut()
    for n in range(2, 40):
        edge.hear(*[sample("de", 10 * n + k, vib_kurt=float(10 * n + k)) for k in range(3)])
    edge.until(lambda: edge.kinds().count("NBIRTH") == 2)
    edge.until(lambda: not len(edge.backlog))
    told = [one for message in edge.of("DBIRTH", "DDATA") for one in read(message.payload).metrics]
    assert {one.timestamp for one in told} >= {10 * n + k for n in range(2, 40) for k in range(3)}


def test_nothing_is_attempted_while_the_other_connection_is_down(mosquitto, tmp_path):
    broker = mosquitto()
    edge = Edge(tmp_path, broker.port)
    broker.kill()
    edge.turns(0.5)
    assert not edge.log.packets
    broker.start()
    edge.until(lambda: "NBIRTH" in edge.kinds())
    assert [kind(message) for message in edge.said()][:1] == ["NBIRTH"]
    edge.close()


def test_a_disk_that_takes_nothing_ends_nothing(mosquitto, tmp_path, caplog):
    disk.draft_of(tmp_path / "sparkplug.bdseq").mkdir()  # where the counter's draft should be written
    edge = Edge(tmp_path, mosquitto().port)
    edge.turns(0.5)
    assert "bdSeq cannot be counted" in caplog.text
    disk.draft_of(tmp_path / "sparkplug.bdseq").rmdir()
    edge.until(lambda: "NBIRTH" in edge.kinds())
    edge.close()


@pytest.mark.parametrize(
    ("before", "after"), [(None, 0), ("0", 1), ("254", 255), ("255", 0), ("", 0), ("rubbish", 0)]
)
def test_bdseq_is_counted_on_disk(tmp_path, before, after):
    file = tmp_path / "sparkplug.bdseq"
    if before is not None:
        file.write_text(before)
    assert (next_bdseq(file), next_bdseq(file)) == (after, (after + 1) % 256)


@settings(max_examples=300)
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_rubbish_for_a_state_is_refused_with_words(payload):
    host = PrimaryHost("scada")
    assert "expected" in host.hear("spBv1.0/STATE/scada", payload)
    assert not host.online
