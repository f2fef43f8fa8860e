"""Home Assistant finds the appliance: by its rules, with its templates, on a real broker."""

import json
import runpy
from pathlib import Path

import msgspec
import pytest
from asking import guard
from edge import GUARD
from homeassistant_rules import entities, render
from running import Plant, config, eventually, running

from appliance.plant_formats import HomeAssistant
from appliance.uplink.homeassistant import discovery
from appliance.uplink.topics import Health, Info, State, Telemetry

ROOT = Path(__file__).resolve().parents[2]
TOOL = runpy.run_path(str(ROOT / "tools" / "topics"))
SAID = {kind: json.loads(msgspec.json.encode(one)) for kind, one in TOOL["examples"]().items()}
FOUND = entities(discovery(TOOL["SITE"], TOOL["examples"]()[Info]))
TOPIC = "homeassistant/device/appliance/config"


def shown(key: str, payload: dict[str, object]) -> str:
    return render(FOUND[key]["value_template"], payload)


def test_rules_and_reach():
    assert {one["state_topic"].rpartition("/")[2] for one in FOUND.values()} == {
        "state",
        "telemetry",
        "health",
    }
    assert FOUND["de-temp_c"]["device_class"] == "temperature"
    assert FOUND["de-vib_vel_mm_s"].items() >= {
        "unit_of_measurement": "mm/s", "device_class": "speed", "enabled_by_default": True,
    }.items()  # fmt: skip
    assert FOUND["de-vib_kurt"]["enabled_by_default"] is False
    assert "gearbox-tx_z_velocity_rms_mm_s" in FOUND
    assert "gearbox-vib_kurt" not in FOUND
    assert "bearing-temp_c" not in FOUND


def test_templates_show_what_is_said():
    state, sample, health = SAID[State], SAID[Telemetry], SAID[Health]
    assert [shown(key, state) for key in ("level", "machine", "zone", "score")] == [
        "warning", "running", "B", "0.9312",
    ]  # fmt: skip
    flags = ("tripped", "alarm", "fault", "unacknowledged", "bypassed")
    assert [shown(key, state) for key in flags] == ["OFF", "OFF", "OFF", "ON", "ON"]
    assert shown("tripped", state | {"tripped": True}) == "ON"
    assert shown("fault", state | {"ok": False}) == "ON"
    assert shown("de-vib_vel_mm_s", sample) == "1.9"
    assert shown("disk", health) == "21000.0"
    assert shown("score", state | {"score": None}) == "None"  # what Home Assistant takes for unknown


def test_a_sample_of_another_sensor_changes_nothing():
    other = SAID[Telemetry] | {"sensor": "nde"}
    without = {key: value for key, value in SAID[Telemetry].items() if key != "temp_c"}
    assert [shown("de-vib_vel_mm_s", other), shown("de-temp_c", without)] == ["", ""]


def test_options_hold_every_value_of_the_contract():
    schema = json.loads((ROOT / "docs" / "schema" / "state.schema.json").read_text(encoding="utf-8"))
    assert set(FOUND["level"]["options"]) == set(schema["properties"]["level_name"]["enum"])
    assert set(FOUND["machine"]["options"]) == set(schema["properties"]["machine"]["enum"])


def options(folder, port, *, enabled, prefix="homeassistant"):
    return config(folder, port, homeassistant=HomeAssistant(enabled=enabled, prefix=prefix))


@pytest.fixture
def port(mosquitto):
    return mosquitto().port


def retained(port, topic=TOPIC):
    """What a newcomer finds."""
    plant = Plant(port, topics="+/device/+/config")
    plant.round_trip()
    found = [message for at, message, _ in plant.messages if at == topic and message]
    plant.close()
    return found


def told(port):
    """The entities that a newcomer finds; none where nothing is retained."""
    return next(map(entities, retained(port)), ())


def test_it_is_told_follows_changes_and_is_withdrawn(tmp_path, port):
    with guard(tmp_path) as one, running(options(tmp_path, port, enabled=True)):
        eventually(lambda: one.link)
        one.link.send(GUARD)
        eventually(lambda: "de-score" in told(port))
    for prefix in ("elsewhere", "homeassistant"):
        topic = f"{prefix}/device/appliance/config"
        with running(options(tmp_path, port, enabled=True, prefix=prefix)):
            eventually(lambda topic=topic: retained(port, topic))
    assert not retained(port, "elsewhere/device/appliance/config")
    for _ in range(2):
        with running(options(tmp_path, port, enabled=False)):
            eventually(lambda: not retained(port))
            eventually(lambda: not (tmp_path / "homeassistant.topic").exists())


@pytest.mark.parametrize("rubbish", [b"\xff\xfe", b"\0" * 40, b"homeassistant/#"])
def test_a_damaged_note_of_what_was_told_holds_up_nothing(tmp_path, port, rubbish):
    (tmp_path / "homeassistant.topic").write_bytes(rubbish)
    with running(options(tmp_path, port, enabled=True)):
        eventually(lambda: retained(port))
    assert (tmp_path / "homeassistant.topic").read_text("utf-8") == TOPIC


def test_nothing_is_said_where_it_was_never_switched_on(tmp_path, port):
    plant = Plant(port, topics="#")
    with running(options(tmp_path, port, enabled=False)):
        eventually(lambda: plant.of("info"))
    assert not [topic for topic, _, _ in plant.messages if topic.startswith("homeassistant")]
    plant.close()


def test_availability_follows_the_status():
    template = discovery(TOOL["SITE"], TOOL["examples"]()[Info])["avty_tpl"]
    assert [render(template, {"online": one}) for one in (True, False)] == ["online", "offline"]


def test_a_broker_that_forbids_it_is_not_asked_again_at_once(tmp_path, mosquitto, caplog):
    (tmp_path / "acl").write_text("topic readwrite pdm/#\n")
    broker = mosquitto(f"allow_anonymous true\nacl_file {tmp_path}/acl")
    plant = Plant(broker.port)
    with running(options(tmp_path, broker.port, enabled=True)):
        eventually(lambda: "Home Assistant: refused with 0x87" in caplog.text)
        eventually(lambda: plant.of("health"))
    assert caplog.text.count("Home Assistant: refused") == 1
    plant.close()
