"""What comes from the broker: subscriptions, messages, and a flood of them."""

import time

import pytest
from paho.mqtt.client import CallbackAPIVersion, Client, MQTTv5
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from running import config, event, eventually, running, stored
from tiny_broker import OK_V5, TinyBroker

from appliance.store import Store
from appliance.uplink.broker import Broker
from appliance.uplink.packets import Received

PREFIX = "pdm/v1/site/area/machine/appliance"


@pytest.fixture
def sender(mosquitto):
    broker = mosquitto()
    client = Client(CallbackAPIVersion.VERSION2, "scada", protocol=MQTTv5)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    yield client
    client.disconnect()
    client.loop_stop()


def turning(broker: Broker):
    def turn():
        time.sleep(0.003)
        broker.turn(readable=True, writable=True, now_s=time.monotonic())

    return turn


def connected(folder, port: int) -> Broker:
    broker = Broker(config(folder, port), 1, filters=["cmd/+"])
    turn = turning(broker)
    eventually(lambda: turn() or broker.connected)
    return broker


def taken(broker: Broker, number: int) -> list[Received]:
    turn, found = turning(broker), []
    eventually(lambda: turn() or found.extend(broker.received()) or len(found) >= number)
    return found


def test_a_message_comes_with_all_that_mqtt_5_says_of_it(sender, tmp_path):
    kept = f"{PREFIX}/cmd/kept"
    sender.publish(kept, b"old", qos=1, retain=True).wait_for_publish(5)
    broker = connected(tmp_path, sender.port)
    said = Properties(PacketTypes.PUBLISH)
    said.ResponseTopic = "scada/answer"
    said.CorrelationData = b"\x00\xff"
    said.MessageExpiryInterval = 60
    sender.publish(f"{PREFIX}/cmd/ping", b'{"id":"1"}', qos=1, properties=said)
    sender.publish("pdm/v1/site/area/machine/other/cmd/ping", b"not ours", qos=1)
    sender.publish(f"{PREFIX}/cmd/late", b"", qos=0)
    first, second, third = taken(broker, 3)
    assert (first.topic, first.payload, first.retained, first.expiry_s) == (kept, b"old", True, None)
    ping = Received(
        f"{PREFIX}/cmd/ping", b'{"id":"1"}', False, 1, second.expiry_s, "scada/answer", b"\x00\xff"
    )
    assert second == ping
    assert 58 <= second.expiry_s <= 60
    assert third == Received(f"{PREFIX}/cmd/late", b"", False, 0, None, "", None)
    broker.stop()


def test_the_answer_goes_where_it_is_wanted(sender, tmp_path):
    answers = []
    sender.on_message = lambda _c, _d, message: answers.append(message)
    sender.subscribe("scada/answer", qos=1)
    broker = connected(tmp_path, sender.port)
    broker.answer("scada/+", b"nowhere", correlation=None, expiry_s=9)
    broker.answer("scada/answer", b"{}", correlation=b"7", expiry_s=9)
    turn = turning(broker)
    eventually(lambda: turn() or answers)
    assert (answers[0].payload, answers[0].properties.CorrelationData) == (b"{}", b"7")
    assert answers[0].properties.MessageExpiryInterval == 9
    broker.stop()


def flooding(times: int, to: str) -> TinyBroker:
    """Answers each PUBLISH `to` something with so many commands, and then with its PUBACK."""
    where = f"{PREFIX}/cmd/x".encode()
    packet = b"\x30" + bytes([len(where) + 4]) + len(where).to_bytes(2, "big") + where + b"\x00!"
    broker = TinyBroker(lambda _: OK_V5, lambda topic: broker.say(packet * times * (to in topic)) or 0)
    return broker


def test_a_flood_does_not_hold_up_the_drain(tmp_path):
    broker = flooding(300, "/event/")
    store = Store(tmp_path / "events.db")
    store.accept([event() for _ in range(40)])
    with running(config(tmp_path, broker.port, settle_s=0.0, health_period_s=0.1)):
        eventually(lambda: stored(tmp_path) == 0)
    broker.close()


def test_of_a_flood_the_first_200_are_kept(tmp_path, caplog):
    broker = flooding(1000, "/status")
    ours = connected(tmp_path, broker.port)
    turn = turning(ours)
    eventually(lambda: turn() or ours._connection.overflow == 800)
    assert len(ours.received()) == 200
    assert "800 messages came too fast" in caplog.text
    assert ours.received() == []
    ours.stop()
    broker.close()


def test_a_subscription_that_is_refused_is_said(tmp_path, caplog):
    broker = TinyBroker(lambda _: OK_V5, suback=0x87)
    ours = connected(tmp_path, broker.port)
    turn = turning(ours)
    eventually(lambda: turn() or "may not listen" in caplog.text)
    assert f"{PREFIX}/cmd/+ (0x87)" in caplog.text
    ours.stop()
    broker.close()
