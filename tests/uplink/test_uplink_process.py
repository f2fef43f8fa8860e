"""The uplink against real brokers and a guard's real socket."""

import contextlib
import os
import select
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import msgspec
import pytest
from real_broker import free_port
from running import Plant, config, event, eventually, running

from appliance import wire
from appliance.clock import BOOT, boottime_ns
from appliance.config import Config, Uplink
from appliance.errors import ConfigError
from appliance.records import (
    ChannelState,
    EventKind,
    GuardState,
    Hello,
    Level,
    MachineState,
    Notice,
    Quality,
    QuantityReading,
    Score,
    Spectrum,
    TemperatureReading,
    Validity,
)
from appliance.store import Store, damage_mark
from appliance.uplink import process
from appliance.uplink.anchors import Anchor
from appliance.uplink.outbox import Outbox

STATE = GuardState(
    at_mono_ns=10_000_000_000,
    at_utc_ns=1_772_446_281_002_000_000,
    time_quality="ntp",
    level=Level.NORMAL,
    tripped=False,
    relay_energised=True,
    machine=MachineState.RUNNING,
    channels=(ChannelState("de.rms", Level.NORMAL, True, 1.0, "m/s2", 15.0, 30.0, 0),),
    clocks=(),
    temperatures=(TemperatureReading("bearing", 1, 40.0),),
)


def score(n: int) -> Score:
    return Score(
        "de",
        n * 10**9,
        (n + 1) * 10**9,
        Quality.OK,
        MachineState.RUNNING,
        0.5,
        1.0,
        "m-1",
        (),
        {"vib_kurt": 3.0},
    )


@pytest.fixture
def plant(mosquitto):
    broker = mosquitto()
    plant = Plant(broker.port)
    plant.port = broker.port
    plant.broker = broker
    yield plant
    plant.close()


class Guard:
    """The other end of the socket, with the guard's own wire code."""

    def __init__(self, folder: Path) -> None:
        self.listener = wire.Listener(folder / "guard.sock")
        assert select.select([self.listener], [], [], 5)[0]
        self.link = self.listener.accept()
        assert select.select([self.link], [], [], 5)[0]
        assert self.link.receive() == Hello(role="uplink")

    def close(self) -> None:
        self.link.close()
        self.listener.close()


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
        assert paho == ["paho-mqtt-client-plant"]
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


def test_state_and_telemetry_follow_the_guard_and_survive_its_restart(plant, tmp_path):
    with running(config(tmp_path, plant.port, state_period_s=1000.0)):
        guard = Guard(tmp_path)
        guard.link.send(STATE)
        eventually(lambda: plant.of("state"))
        assert (plant.of("state")[0]["level_name"], plant.of("state")[0]["machine"]) == ("normal", "running")
        guard.link.send(score(8))
        guard.link.send(msgspec.structs.replace(STATE, scores=(score(8), score(9))))
        eventually(lambda: len(plant.of("telemetry")) == 2)
        first, second = plant.of("telemetry")
        assert (first["ts"], second["ts"]) == (1_772_446_280_002, 1_772_446_281_002)
        assert first["id"] < second["id"]
        assert (first["temp_c"], first["vib_kurt"], first["ratio"]) == (40.0, 3.0, 0.5)
        eventually(lambda: plant.of("info")[-1]["model"] == "m-1")
        assert "vib_kurt" in plant.of("info")[-1]["metrics"]
        assert len(plant.of("state")) == 1  # nothing changed
        guard.close()
        guard = Guard(tmp_path)
        guard.link.send(msgspec.structs.replace(STATE, level=Level.DANGER, tripped=True))
        eventually(lambda: plant.of("state")[-1]["tripped"])
        guard.close()


def test_each_sensors_spectrum_is_sent_once(plant, tmp_path):
    with running(config(tmp_path, plant.port)):
        guard = Guard(tmp_path)
        guard.link.send(STATE)
        for sensor in ("de", "nde"):
            guard.link.send(Spectrum(sensor, 9_000_000_000, 10.0, 5.0, (0.25, 1.5)))
        eventually(lambda: len(plant.of("spectrum")) == 2)
        first, second = plant.of("spectrum")
        assert (first["sensor"], second["sensor"]) == ("de", "nde")
        assert first["ts"] == 1_772_446_280_002
        assert (first["first_hz"], first["step_hz"], first["lines_mm_s"]) == (10.0, 5.0, [0.25, 1.5])
        assert not [topic for topic in plant.retained if topic.endswith("spectrum")]
        guard.close()


def pump(at_s: int, value: float | None) -> GuardState:
    validity = Validity.LOST if value is None else Validity.OK
    named = (("z-velocity-rms", "mm/s"), ("temperature", "degC"))
    readings = tuple(QuantityReading("pump", *of, at_s * 10**9, value, validity) for of in named)
    return msgspec.structs.replace(STATE, quantities=readings)


def test_each_answer_of_a_transmitter_is_told_once(plant, tmp_path):
    with running(config(tmp_path, plant.port)):
        guard = Guard(tmp_path)
        for state in (
            pump(0, None),
            pump(8, 2.0),
            pump(8, 2.0),
            pump(9, 3.0),
            pump(10, None),
            pump(10, None),
        ):
            guard.link.send(state)
            time.sleep(0.1)
        eventually(lambda: len(plant.of("telemetry")) == 3)
        eventually(lambda: "tx_temperature_c" in plant.of("info")[-1]["metrics"])
        told = [(one["sensor"], one["tx_z_velocity_rms_mm_s"], one["ok"]) for one in plant.of("telemetry")]
        assert told == [("pump", 2.0, True), ("pump", 3.0, True), ("pump", None, False)]
        guard.close()


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
        assert sorted(delays)[2] < 0.2  # the poll alone would take 0.25 s on average
        guard.close()


def test_the_plant_is_told_the_head_of_the_event_log_as_soon_as_the_guard_is_heard(plant, tmp_path):
    with running(config(tmp_path, plant.port)):
        eventually(lambda: plant.of("health"))
        assert (plant.of("health")[-1]["log_seq"], plant.of("health")[-1]["log_sha256"]) == (None, None)
        guard = Guard(tmp_path)
        guard.link.send(msgspec.structs.replace(STATE, log_seq=7, log_sha256="a" * 64))
        eventually(lambda: plant.of("health")[-1]["log_seq"] == 7)
        assert plant.of("health")[-1]["log_sha256"] == "a" * 64
        guard.close()


def test_state_is_told_again_to_a_broker_that_forgot_everything(plant, tmp_path):
    with running(config(tmp_path, plant.port)):
        guard = Guard(tmp_path)
        guard.link.send(STATE)
        eventually(lambda: plant.of("state"))
        plant.broker.kill()
        time.sleep(0.3)
        for n in range(70):
            guard.link.send(score(n))
        time.sleep(0.3)
        plant.broker.start()
        eventually(lambda: len(plant.of("state")) == 2 and len(plant.of("status")) >= 2)
        eventually(lambda: plant.of("health")[-1]["reconnects"] == 1)
        eventually(lambda: len(plant.of("history")) == 70)
        assert plant.of("health")[-1]["evicted_telemetry"] == 0
        guard.close()


def test_a_store_that_was_set_aside_is_followed(plant, tmp_path):
    store = Store(tmp_path / "events.db")
    with running(config(tmp_path, plant.port)):
        eventually(lambda: plant.of("status"))
        damage_mark(tmp_path / "events.db").touch()
        accepted = [store.accept([event()])[0].id for _ in range(3)]
        assert store.set_aside
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


def test_telemetry_of_an_outage_and_of_a_restart_follows_as_history(plant, tmp_path):
    plant.broker.kill()
    plant.away()
    store = Store(tmp_path / "events.db")
    late = [one.id for one in store.accept([event() for _ in range(20)])]
    with running(config(tmp_path, plant.port)):
        guard = Guard(tmp_path)
        guard.link.send(msgspec.structs.replace(STATE, time_quality="none", at_boot_ns=boottime_ns()))
        for n in range(150):
            guard.link.send(score(n))
        time.sleep(0.8)
        guard.close()
    plant.broker.start()
    plant.back()
    anchor = Anchor(BOOT, 0, 1_700_000_000 * 10**9, 5.0)
    (tmp_path / "anchors.json").write_bytes(msgspec.json.encode([anchor]))
    with running(config(tmp_path, plant.port, health_period_s=0.3)):
        eventually(lambda: len({one["id"] for one in plant.of("history")}) == 150, within_s=15)
        eventually(lambda: plant.of("health")[-1]["backlog_history"] == 0)
    assert plant.events()[: len(late)] == late
    told = plant.of("history")
    assert plant.of("telemetry") == []
    assert {(one["backfill"], one["tsq"]) for one in told} == {(True, "est")}
    assert all(one["ts"] > 1_700_000_000_000 for one in told)
    assert {one["ts_device"] for one in told} == {
        (STATE.at_utc_ns + (n - 9) * 10**9) // 1_000_000 for n in range(150)
    }
    assert plant.of("health")[-1]["evicted_telemetry"] == 0


def test_an_idle_uplink_sleeps(plant, tmp_path):
    with running(config(tmp_path, plant.port, keepalive_s=60)) as uplink:
        guard = Guard(tmp_path)
        eventually(lambda: plant.of("health") and plant.of("info"))
        time.sleep(1.0)
        before = uplink.beats
        time.sleep(3.0)
        assert uplink.beats - before <= 3
        guard.close()
