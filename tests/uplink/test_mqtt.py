"""One connection against a broker that says what real ones say only on a bad day: the traps of paho."""

import socket
import statistics
import threading
import time

import pytest
from running import config, event, eventually, running, stored
from tiny_broker import OK_V3, OK_V5, REFUSED_V5_AS_V3, TinyBroker, connack

from appliance.config import Uplink
from appliance.records import EventKind
from appliance.store import Store
from appliance.uplink.backoff import Backoff
from appliance.uplink.mqtt import Connection
from appliance.uplink.outbox import Outbox
from appliance.uplink.packets import TooLarge, Will
from appliance.uplink.reasons import Lost

WILL = Will("pdm/v1/a/b/c/d/status", b'{"online":false}')


@pytest.fixture
def tiny():
    made = []

    def make(*arguments):
        made.append(TinyBroker(*arguments))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "events.db")


def connected(port: int, **more: int) -> Connection:
    connection = Connection(Uplink(host="127.0.0.1", port=port, **more), "d", WILL)
    eventually(lambda: turn(connection) or connection.ready)
    return connection


def turn(connection: Connection) -> None:
    time.sleep(0.005)
    connection.turn(readable=True, writable=True)


def turn_often(connection: Connection) -> None:
    for _ in range(1000):
        turn(connection)


def test_receive_maximum_narrows_the_window(tiny, tmp_path, store):
    broker = tiny(lambda _: connack(b"\x21\x00\x03"), lambda _: None)
    store.accept([event() for _ in range(30)])
    with running(config(tmp_path, broker.port, window=20)):
        eventually(lambda: len(broker.held) == 3)
        time.sleep(0.7)
        assert len(broker.published) == 3
        for n in range(2, 6):
            broker.answer_held()
            eventually(lambda n=n: len(broker.published) == 3 * n)
        broker.answer_held()
    assert broker.most_unanswered <= 3


def test_the_window_is_refilled_one_for_one_and_never_exceeded(tiny, tmp_path, store):
    broker = tiny(lambda _: OK_V5)
    store.accept([event() for _ in range(300)])
    with running(config(tmp_path, broker.port, window=7)):
        eventually(lambda: len(broker.published) >= 303)
    assert broker.most_unanswered <= 7


def test_without_a_guard_a_puback_is_no_reason_to_tell_of_one_s_health_again(tiny, tmp_path):
    broker = tiny(lambda _: OK_V5)
    with running(config(tmp_path, broker.port)):
        eventually(lambda: any(topic.endswith("/health") for topic, _ in broker.published))
        time.sleep(0.5)
    assert sum(topic.endswith("/health") for topic, _ in broker.published) == 1


def test_maximum_packet_size_is_honoured_and_the_row_kept(tiny, tmp_path, store):
    broker = tiny(lambda _: connack(b"\x27" + (900).to_bytes(4, "big")))
    large = store.accept([event(message="x" * 240)])[0]
    small = store.accept([event()])[0]
    with running(config(tmp_path, broker.port)):
        eventually(lambda: any("event" in topic for topic, _ in broker.published))
    outbox = Outbox(tmp_path / "events.db")
    assert outbox.row((1, large.id)) is not None
    assert outbox.row((1, small.id)) is not None
    sizes = [len(topic) + len(payload) for topic, payload in broker.published]
    assert max(sizes) < 900


def test_too_large_is_said_before_anything_is_sent(tiny):
    broker = tiny(lambda _: connack(b"\x27" + (200).to_bytes(4, "big")))
    connection = connected(broker.port)
    with pytest.raises(TooLarge, match="the broker takes 200"):
        connection.publish("t", b"{" + b"x" * 300, retain=False)
    connection.publish("t", b"{}", retain=False)
    eventually(lambda: turn(connection) or connection.answers)
    connection.disconnect()
    assert [topic for topic, _ in broker.published] == ["t"]


@pytest.mark.parametrize("reason", [0x10, 0x80, 0x87, 0x97, 0x99])
def test_a_puback_that_is_no_success_never_deletes_a_row(tiny, tmp_path, store, reason):
    broker = tiny(lambda _: OK_V5, lambda topic: reason if topic.endswith("trip") else 0)
    trip = store.accept([event(EventKind.TRIP)])[0]
    alarms = store.accept([event() for _ in range(3)])
    outbox = Outbox(tmp_path / "events.db")
    with running(config(tmp_path, broker.port, settle_s=0.0, health_period_s=0.1)):
        eventually(lambda: stored(tmp_path) == 1)
        broker.drop()
        eventually(lambda: len(broker.levels) == 2)
        eventually(lambda: sum(topic.endswith("status") for topic, _ in broker.published) == 2)
    assert [row.key[1] for row in outbox.pending({}, 10)] == [trip.id]
    assert sum("event/trip" in topic for topic, _ in broker.published) == 1  # not again within a minute
    assert sum("event/alarm" in topic for topic, _ in broker.published) == len(alarms)


def test_what_had_no_puback_is_sent_again_on_the_next_connection(tiny, tmp_path, store):
    silent = threading.Event()
    broker = tiny(lambda _: OK_V5, lambda _: 0 if silent.is_set() else None)
    store.accept([event()])
    with running(config(tmp_path, broker.port, settle_s=0.0, health_period_s=0.1)):
        eventually(lambda: any("event" in topic for topic, _ in broker.published))
        silent.set()
        broker.drop()
        eventually(lambda: stored(tmp_path) == 0)
    assert sum("event" in topic for topic, _ in broker.published) == 2


def test_a_broker_that_never_acknowledges_is_left(tiny, tmp_path, store, monkeypatch):
    monkeypatch.setattr("appliance.uplink.broker._STALL_S", 0.3)
    broker = tiny(lambda _: OK_V5, lambda _: None)
    store.accept([event()])
    with running(config(tmp_path, broker.port)) as uplink:
        eventually(lambda: len(broker.levels) >= 3)
        assert uplink.fault is None


def test_3_1_1_follows_a_refusal_of_5_at_once(tiny, tmp_path, store):
    broker = tiny(lambda level: REFUSED_V5_AS_V3 if level == 5 else OK_V3)
    store.accept([event()])
    with running(config(tmp_path, broker.port, settle_s=0.0, health_period_s=0.1)):
        eventually(lambda: any("event" in topic for topic, _ in broker.published))
        assert broker.levels == [5, 4]
        broker.drop()
        eventually(lambda: broker.levels == [5, 4, 5, 4])


def test_another_refusal_is_no_reason_to_fall_back(tiny, tmp_path):
    refused = b"\x20\x03\x00\x87\x00"
    broker = tiny(lambda _: refused)
    with running(config(tmp_path, broker.port)):
        eventually(lambda: len(broker.levels) >= 4)
    assert set(broker.levels) == {5}


def test_silence_after_connect_is_given_up(tiny, monkeypatch):
    monkeypatch.setattr("appliance.uplink.mqtt._CONNECT_S", 0.3)
    broker = tiny(lambda _: None)
    connection = Connection(Uplink(host="127.0.0.1", port=broker.port), "d", WILL)
    with pytest.raises(Lost, match="no CONNACK"):
        turn_often(connection)
    connection.close()


def test_a_broker_that_is_not_there_is_lost_with_its_name():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        connection = Connection(Uplink(host="127.0.0.1", port=port), "d", WILL)
        with pytest.raises(Lost, match=f"127.0.0.1:{port} cannot be reached"):
            turn_often(connection)
        connection.close()


def test_nagle_is_off_and_no_thread_is_paho_s(tiny):
    broker = tiny(lambda _: OK_V5)
    before = threading.active_count()
    connection = connected(broker.port)
    with socket.socket(fileno=socket.dup(connection.fileno())) as sock:
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
    assert threading.active_count() == before
    connection.disconnect()


def test_a_lost_connection_is_an_exception_and_never_a_quiet_success(tiny):
    broker = tiny(lambda _: OK_V5)
    connection = connected(broker.port)
    broker.drop()
    with pytest.raises(Lost):
        turn_often(connection)
    with pytest.raises(Lost):
        connection.publish("t", b"{}", retain=False)
    connection.close()


def test_back_off_is_full_jitter_up_to_its_limit():
    backoff = Backoff(1.0, 60.0)
    waits = [Backoff(1.0, 60.0).next_s() for _ in range(400)]
    assert 0.4 < statistics.mean(waits) < 0.6
    assert min(waits) < 0.1
    for _ in range(10):
        backoff.next_s()
    late = [backoff.next_s() for _ in range(400)]
    assert 25 < statistics.mean(late) < 35
    assert 50 < max(late) <= 60
    backoff.reset()
    assert backoff.next_s() <= 1.0
