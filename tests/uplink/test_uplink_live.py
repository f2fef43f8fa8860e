"""What the uplink tells of the guard's present, live and as history, against a real broker and socket."""

import time

import msgspec
from guard_end import STATE, Guard, score
from running import config, event, eventually, running

from appliance.clock import BOOT, boottime_ns
from appliance.records import (
    GuardState,
    Level,
    QuantityReading,
    Spectrum,
    Validity,
)
from appliance.store import Store
from appliance.uplink.anchors import Anchor


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
