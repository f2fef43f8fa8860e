"""Events from the store to real brokers, and the ways of the process: birth, will, end, refusals, faults."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from guard_end import Guard
from real_broker import free_port
from running import Plant, config, event, eventually, running

from appliance.config import Config, Uplink
from appliance.errors import ConfigError
from appliance.records import (
    EventKind,
    Notice,
)
from appliance.store import Store, damage_mark
from appliance.uplink import process
from appliance.uplink.outbox import Outbox


def test_events_arrive_once_in_order_of_class_and_leave_the_outbox(plant, tmp_path):
    store = Store(tmp_path / "events.db")
    kinds = [EventKind.AUDIT, EventKind.ALARM, EventKind.TRIP, EventKind.ALARM, EventKind.HEALTH]
    audit, alarm1, trip, alarm2, health = (e.id for e in store.accept([event(kind) for kind in kinds]))
    with running(config(tmp_path, plant.port)) as uplink:
        eventually(lambda: len(plant.events()) == 5)
        assert plant.events() == [trip, alarm1, alarm2, audit, health]
        assert [one["backfill"] for one in plant.of("event/")] == [True] * 5
        live = store.accept([event()])[0]
        eventually(lambda: plant.events()[-1] == live.id)
        assert plant.of("event/alarm")[-1]["backfill"] is False
        outbox = Outbox(tmp_path / "events.db")
        eventually(
            lambda: store.accept([event()]) and outbox.row((0, trip)) is None
        )  # PUBACKs are signs of life
        assert uplink.beats > 3
        paho = [t.name for t in threading.enumerate() if "paho" in t.name]
        assert paho == ["paho-mqtt-client-"], "the plant's own; ours has no thread of its own"
    assert len(plant.events()) == len(set(plant.events()))


def test_an_event_damaged_in_the_store_is_counted_and_kept_and_holds_up_no_other(plant, tmp_path):
    store = Store(tmp_path / "events.db")
    accepted = store.accept([event(), event(), event()])
    with contextlib.closing(sqlite3.connect(tmp_path / "events.db")) as db, db:
        for one, payload in zip(accepted, (b'{"kind":"al\xff', b'{"kind":7}'), strict=False):
            db.execute("UPDATE outbox SET payload = ? WHERE id = ?", (payload, one.id))
    with running(config(tmp_path, plant.port, health_period_s=0.2)):
        eventually(lambda: plant.events() == [accepted[2].id])
        eventually(lambda: plant.of("health") and plant.of("health")[-1]["refused"] == 2)
        outbox = Outbox(tmp_path / "events.db")
        assert [row.key[1] for row in outbox.pending({}, 9)][:2] == [one.id for one in accepted[:2]]
        outbox.close()


def test_birth_will_and_farewell(plant, tmp_path):
    with running(config(tmp_path, plant.port)):
        eventually(lambda: plant.of("status"))
        birth = plant.of("status")[0]
        assert (birth["online"], birth["reason"]) == (True, "connected")
        eventually(lambda: plant.of("health") and plant.of("info"))
    eventually(lambda: len(plant.of("status")) == 2)
    assert plant.of("status")[1] == {"v": 1, "online": False, "start": birth["start"], "reason": "stopped"}
    late = Plant(plant.port, topics="pdm/v1/site/area/machine/appliance/+")
    eventually(lambda: len(late.retained) == 3)
    assert {topic.rpartition("/")[2] for topic in late.retained} == {"status", "info", "health"}
    late.close()


def test_the_will_speaks_when_the_process_is_killed(plant, tmp_path):
    code = textwrap.dedent(f"""
        import threading
        from running import config
        from pathlib import Path
        from appliance.uplink import broker, process
        broker._WILL_DELAY_S = 0
        process.run(config(Path({str(tmp_path)!r}), {plant.port}), threading.Event(), lambda: None)
    """)
    root = Path(__file__).resolve().parents[2]
    env = {**os.environ, "PYTHONPATH": f"{root}:{Path(__file__).parent}"}
    with subprocess.Popen([sys.executable, "-c", code], env=env) as child:
        eventually(lambda: plant.of("status"))
        child.send_signal(signal.SIGKILL)
    eventually(lambda: len(plant.of("status")) == 2)
    start = plant.of("status")[0]["start"]
    assert plant.of("status")[1] == {"v": 1, "online": False, "start": start, "reason": "lost"}
    assert plant.messages[-1][2].ContentType == "application/json"


def test_a_notice_wakes_the_drain(plant, tmp_path):
    store = Store(tmp_path / "events.db")
    with running(config(tmp_path, plant.port)):
        guard = Guard(tmp_path)
        eventually(lambda: plant.of("health"))
        delays = []
        for n in range(6):
            time.sleep(0.03)
            began_s = time.monotonic()
            accepted = store.accept([event()])[0]
            guard.link.send(Notice(accepted))
            eventually(lambda n=n: len(plant.events()) == n + 1)
            delays.append(time.monotonic() - began_s)
        assert sorted(delays)[2] < 0.2  # the poll alone would take two seconds on average
        guard.close()


def test_a_store_that_was_set_aside_is_followed(plant, tmp_path):
    store = Store(tmp_path / "events.db")
    with running(config(tmp_path, plant.port)):
        eventually(lambda: plant.of("status"))
        damage_mark(tmp_path / "events.db").touch()
        accepted = [store.accept([event()])[0].id for _ in range(3)]
        assert store.set_aside
        eventually(lambda: plant.events() == accepted)


def test_a_store_that_was_deleted_is_followed_once_the_guard_has_put_it_back(plant, tmp_path):
    store = Store(tmp_path / "events.db")
    with running(config(tmp_path, plant.port, settle_s=60)):
        eventually(lambda: plant.of("status"))
        for file in tmp_path.glob("events.db*"):
            file.unlink()
        eventually((tmp_path / "events.db").exists)
        accepted = [store.accept([event()])[0].id for _ in range(3)]
        eventually(lambda: plant.events() == accepted)


def test_an_access_list_that_denies_a_topic_parks_the_row_and_lets_others_through(mosquitto, tmp_path):
    acl = tmp_path / "acl"
    acl.write_text(
        "user dev\ntopic write pdm/v1/+/+/+/+/+\ntopic write pdm/v1/+/+/+/+/event/alarm\n"
        "user dash\ntopic read pdm/#\n"
    )
    passwords = tmp_path / "passwords"
    passwords.write_text("dev:pw-dev\ndash:pw-dash\n")
    subprocess.run(["mosquitto_passwd", "-U", str(passwords)], check=True, capture_output=True)
    broker = mosquitto(f"allow_anonymous false\npassword_file {passwords}\nacl_file {acl}")
    plant = Plant(broker.port, username="dash", password="pw-dash")
    secret = tmp_path / "secret"
    secret.write_text("pw-dev\n")
    store = Store(tmp_path / "events.db")
    trip, alarm = (e.id for e in store.accept([event(EventKind.TRIP), event()]))
    with running(config(tmp_path, broker.port, username="dev", password_file=secret, health_period_s=0.2)):
        eventually(lambda: alarm in plant.events())
        eventually(lambda: plant.of("health")[-1]["refused"] >= 1)
        time.sleep(0.5)
    assert plant.events() == [alarm]
    assert trip in [row.key[1] for row in Outbox(tmp_path / "events.db").pending({}, 10)]
    plant.close()


def test_a_size_limit_that_the_broker_does_not_tell_parks_what_is_above_and_lets_others_through(
    mosquitto, tmp_path, caplog
):
    broker = mosquitto("allow_anonymous true\nmax_queued_messages 1000\nmessage_size_limit 400")
    plant = Plant(broker.port)
    store = Store(tmp_path / "events.db")
    large, small = (e.id for e in store.accept([event(EventKind.TRIP, "l" * 240), event()]))
    with running(config(tmp_path, broker.port, health_period_s=0.2)):
        eventually(lambda: small in plant.events())
        eventually(lambda: "a message was refused with 0x95; a packet of ours is too large" in caplog.text)
        eventually(lambda: f"event {large} refused with 0x95; a packet of ours is too large" in caplog.text)
    assert "what is not MQTT" not in caplog.text
    assert large in [row.key[1] for row in Outbox(tmp_path / "events.db").pending({}, 10)]
    plant.close()


def test_a_password_file_that_cannot_be_read_is_a_fault_of_the_configuration(tmp_path):
    way = Uplink(username="dev", password_file=tmp_path / "missing")
    config = Config(state_dir=tmp_path, run_dir=tmp_path, uplink=way)
    with pytest.raises(ConfigError, match=r"uplink\.password_file: .*missing"):
        process.run(config, threading.Event(), lambda: None)


def test_a_disabled_uplink_beats_and_stops(tmp_path):
    way = Config(state_dir=tmp_path, run_dir=tmp_path, uplink=Uplink(enabled=False))
    with running(way) as uplink:
        eventually(lambda: uplink.beats >= 1)
    assert not (tmp_path / "events.db").exists()


AMQTT = """
import asyncio, sys
from amqtt.broker import Broker
async def main():
    plain = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
    listener = {"type": "tcp", "bind": f"127.0.0.1:{sys.argv[1]}"}
    await Broker({"listeners": {"default": listener}, "plugins": plain}).start()
    print("ready", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


def test_the_embedded_broker_that_speaks_only_3_1_1(tmp_path):
    pytest.importorskip("amqtt", reason="amqtt is not installed (pip install 'appliance[demo]')")
    port = free_port()
    command = [sys.executable, "-c", AMQTT, str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as broker:
        try:
            assert broker.stdout.readline() == b"ready\n"
            plant = Plant(port, version5=False)
            store = Store(tmp_path / "events.db")
            accepted = [e.id for e in store.accept([event() for _ in range(50)])]
            with running(config(tmp_path, port)):
                eventually(lambda: len(plant.events()) == 50, within_s=15)
                assert plant.events() == accepted
                assert plant.of("status")[0]["online"] is True
            eventually(lambda: plant.of("status")[-1]["reason"] == "stopped")
            plant.close()
        finally:
            broker.kill()


def test_rss_and_imports_of_the_process():
    code = textwrap.dedent("""
        import sys
        from appliance.uplink import process
        from appliance.uplink.host import rss_mb
        print(rss_mb())
        print([name for name in sys.modules if name.split(".")[0] in ("numpy", "scipy", "hw")])
    """)
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    rss, heavy = done.stdout.splitlines()
    assert float(rss) < 35.0
    assert heavy == "[]"
