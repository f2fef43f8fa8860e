"""The payloads: what the schemas of the contract say, and what the page says."""

import json
import math
import re
import runpy
import subprocess
import sys
from pathlib import Path

import jsonschema
import msgspec
import pytest

from appliance.config import Config, Site, Transmitter
from appliance.records import (
    Hypothesis,
    Level,
    Quality,
    QuantityReading,
    TemperatureReading,
    TripGroupState,
    Validity,
)
from appliance.uplink import payloads
from appliance.uplink.topics import TOPICS, prefix

ROOT = Path(__file__).resolve().parents[2]
TOOL = runpy.run_path(str(ROOT / "tools" / "topics"))
EXAMPLES = {TOOL["schema_name"](kind): example for kind, example in TOOL["examples"]().items()}
STATE, SCORE, EVENT = TOOL["STATE"], TOOL["SCORE"], TOOL["EVENT"]
TARGET = ROOT.parent / "shared" / "design" / "mqtt-schema"
ADDED = {
    "event": {
        "ts_err_ms", "value", "limit", "unit", "ucum", "who", "why", "zone",
        "fault1", "fault1_strength", "fault1_evidence",
        "fault2", "fault2_strength", "fault2_evidence", "fault3", "fault3_strength", "fault3_evidence",
    },
    "state": {
        "ts_err_ms", "machine", "reasons", "relay_fault", "bypassed", "bypass_who", "bypass_why",
        "bypass_until", "groups", "zone", "acknowledged", "unacknowledged", "shelved", "multiplying",
        "proof_test_due",
    },
    "info": {"zone_edges_mm_s"},
    "telemetry": {"ts_err_ms"},
    "health": {
        "log_seq", "log_sha256", "backlog_history", "over_write_budget",
        "written_mb_per_day", "written_kb_per_event", "disk_written_mb_per_day",
    },
}  # fmt: skip
"""Keys that the contract's first draft did not have; adding keys is a minor change."""


def wire(payload):
    return json.loads(msgspec.json.encode(payload))


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_fit_our_own_schemas(name):
    schema = json.loads((ROOT / "docs" / "schema" / f"{name}.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(wire(EXAMPLES[name]))
    broken = {**wire(EXAMPLES[name]), "v": 2}
    assert list(jsonschema.Draft202012Validator(schema).iter_errors(broken))


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_fit_the_schemas_of_the_design(name):
    file = TARGET / f"{name}.schema.json"
    if not file.exists():
        pytest.skip("the design's schemas (../shared/design/mqtt-schema) are not on this machine")
    known = {key: value for key, value in wire(EXAMPLES[name]).items() if key not in ADDED.get(name, ())}
    jsonschema.Draft202012Validator(json.loads(file.read_text(encoding="utf-8"))).validate(known)


def test_the_page_and_schemas_are_what_the_types_say():
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "topics"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_no_topic_has_both_a_payload_and_children_and_all_are_short_enough():
    names = [f"{prefix(Site())}/{suffix}" for suffix in TOPICS]
    assert names[0] == "pdm/v1/site/area/machine/appliance/status"
    assert not [(a, b) for a in names for b in names if b.startswith(f"{a}/")]
    assert max(name.count("/") for name in names) <= 7


def test_payloads_are_flat_and_floats_have_a_decimal_point():
    for name in ("status", "state", "telemetry", "event", "health"):
        text = msgspec.json.encode(EXAMPLES[name]).decode()
        assert not [value for value in json.loads(text).values() if isinstance(value, (dict, list))], name
        assert all(re.fullmatch("[a-z][a-z0-9_]*", key) for key in json.loads(text))
    score = msgspec.structs.replace(SCORE, value=2, threshold=1, metrics={"vib_kurt": 3})
    text = msgspec.json.encode(payloads.telemetry(score, STATE, 1)).decode()
    assert '"score":2.0,"threshold":1.0,"ratio":2.0,' in text
    assert '"vib_kurt":3.0,"temp_c":70.0' in text


def test_not_a_number_becomes_null_and_not_ok():
    score = msgspec.structs.replace(SCORE, metrics={"vib_kurt": math.nan, "vib_rms_mps2": math.inf})
    sample = wire(payloads.telemetry(score, STATE, 1))
    assert (sample["vib_kurt"], sample["vib_rms_g"], sample["ok"]) == (None, None, False)
    refused = msgspec.structs.replace(SCORE, quality=Quality.NOT_OK, value=None)
    sample = wire(payloads.telemetry(refused, STATE, 1))
    assert (sample["score"], sample["ratio"], sample["ok"]) == (None, None, False)


def test_display_units_and_times():
    sample = wire(payloads.telemetry(SCORE, STATE, 1))
    assert sample["vib_rms_g"] == pytest.approx(0.412)
    assert sample["vib_vel_mm_s"] == 1.9
    assert sample["ts"] == 1_772_446_281_002 - 100


@pytest.mark.parametrize(
    ("level", "began_s", "since_s"),
    [
        (Level.ALERT, [(Level.NORMAL, 8), (Level.ALERT, 6), (Level.ALERT, 7)], 6),
        (Level.NORMAL, [(Level.NORMAL, 0), (Level.NORMAL, 7), (Level.NORMAL, 6)], 7),
        (Level.NORMAL, [(Level.NORMAL, 0)], None),
    ],
)
def test_normal_is_since_the_last_channel_came_back_an_alarm_since_the_first(level, began_s, since_s):
    channels = tuple(
        msgspec.structs.replace(STATE.channels[0], level=one, since_mono_ns=at_s * 1_000_000_000)
        for one, at_s in began_s
    )
    state = msgspec.structs.replace(STATE, level=level, channels=channels)
    told = wire(payloads.state_payload(state, 0, 0)).get("since")
    assert told == (since_s and 1_772_446_281_002 - 9100 + since_s * 1000)


def test_temperature_is_the_hottest_that_may_be_trusted():
    readings = (
        TemperatureReading("bearing-a", 1, 50.0),
        TemperatureReading("b", 1, 61.0),
        TemperatureReading("c", 1, 900.0, Validity.RANGE),
    )
    sample = wire(payloads.telemetry(SCORE, msgspec.structs.replace(STATE, temperatures=readings), 1))
    assert (sample["temp_c"], sample["temp_bearing_a_c"], sample["temp_c_c"]) == (61.0, 50.0, None)


QUANTITIES = (
    QuantityReading("pump", "z-peak", "m/s2", 9_000_000_000, 2 * 9.80665),
    QuantityReading("pump", "temperature", "degC", 9_000_000_000, 48.0),
    QuantityReading("pump", "level", "l/s", 9_000_000_000, 5.0),
    QuantityReading("pump", "ratio-c", "1", 9_000_000_000, 3.0),
)


def test_an_answer_of_a_transmitter_is_a_sample():
    sample = wire(payloads.transmitted(QUANTITIES, STATE, 7))
    assert {key: value for key, value in sample.items() if key.startswith("tx_")} == {
        "tx_z_peak_g": 2.0,
        "tx_temperature_c": 48.0,
        "tx_level": 5.0,
        "tx_ratio_c": 3.0,
    }
    assert (sample["id"], sample["sensor"], sample["ok"], sample["score"]) == (7, "pump", True, None)
    assert sample["ts"] == 1_772_446_281_002 - 100
    assert sample["level"] == 2


def test_a_lost_transmitter_is_null_and_not_ok():
    lost = [msgspec.structs.replace(one, value=None, validity=Validity.LOST) for one in QUANTITIES]
    sample = wire(payloads.transmitted(lost, STATE, 7))
    assert (sample["tx_z_peak_g"], sample["tx_level"], sample["ok"]) == (None, None, False)


def test_info_tells_the_unit_of_every_quantity():
    config = Config(
        transmitter=(Transmitter(name="pump", port="sim", map=Path("own.toml"), period_s=0.5),),
    )
    state = msgspec.structs.replace(STATE, quantities=QUANTITIES)
    about = wire(payloads.info(config, state, payloads.transmitted(QUANTITIES, state, 1), "0.1.0", 5))
    units = {key: metric.get("unit") for key, metric in about["metrics"].items() if key.startswith("tx_")}
    assert units == {"tx_z_peak_g": "g", "tx_temperature_c": "°C", "tx_level": "l/s", "tx_ratio_c": None}
    assert [(c["name"], c["kind"], c["unit"], c["fs_hz"]) for c in about["channels"][2:]] == [
        ("pump.z-peak", "acceleration", "g", 2.0),
        ("pump.temperature", "temperature", "°C", 2.0),
        ("pump.level", "other", "l/s", 2.0),
        ("pump.ratio-c", "other", "1", 2.0),
    ]


@pytest.mark.parametrize(
    ("level", "tripped", "quality", "shown"),
    [
        (Level.NORMAL, False, Quality.OK, (0, "normal", False)),
        (Level.NORMAL, False, Quality.LEARNING, (1, "learning", False)),
        (Level.ALERT, False, Quality.LEARNING, (2, "warning", False)),
        (Level.DANGER, False, Quality.OK, (3, "alarm", True)),
        (Level.NORMAL, True, Quality.OK, (4, "tripped", True)),
    ],
)
def test_the_level_shown_is_the_worst_that_holds(level, tripped, quality, shown):
    score = msgspec.structs.replace(SCORE, quality=quality)
    state = msgspec.structs.replace(STATE, level=level, tripped=tripped, scores=(score,))
    payload = payloads.state_payload(state, 3, 4)
    assert (payload.level, payload.level_name, payload.alarm) == shown


def test_the_state_says_how_the_machine_is_protected():
    group = TripGroupState("pair", 1, ("a.peak", "b.peak", "c.peak"), ("a.peak",), ("b.peak",), tripped=True)
    alone = TripGroupState("d.peak", 1, ("d.peak",))
    shelved = msgspec.structs.replace(STATE.channels[0], shelved=True, zone="C")
    how = {"groups": (group, alone), "reasons": ("tripped", "proof test"), "channels": (shelved,)}
    state = msgspec.structs.replace(STATE, **how, bypass=None, multiplying=True, proof_test_due=True)
    shown = wire(payloads.state_payload(state, 0, 0))
    assert shown["groups"] == "pair: 1 of 3 in Danger, 1 would trip, 1 without a vote, TRIPPED"
    assert shown["reasons"] == "tripped; proof test"
    assert [shown[key] for key in ("zone", "acknowledged", "shelved", "bypassed")] == ["C", True, 1, False]
    assert [shown[key] for key in ("multiplying", "proof_test_due")] == [True, True]
    assert not [key for key in shown if key.startswith("bypass_")]


def test_a_bypass_is_shown_with_who_why_and_until_when():
    shown = wire(payloads.state_payload(STATE, 0, 0))
    assert (shown["bypassed"], shown["bypass_who"], shown["bypass_why"]) == (True, "anna", "probe changed")
    assert shown["bypass_until"] == 1_772_446_281_002 + 1_799_950
    assert shown["acknowledged"] is False


def test_a_sample_carries_the_zone_of_its_own_sensor():
    other = msgspec.structs.replace(STATE.channels[0], channel="deck.velocity", zone="D")
    state = msgspec.structs.replace(STATE, channels=(*STATE.channels, other))
    sample = wire(payloads.telemetry(SCORE, state, 1))
    assert (sample["zone"], sample["bypassed"], sample["multiplying"]) == ("B", True, False)


def test_an_event_carries_who_why_and_zone_where_there_are_any():
    about = {"who": "anna", "why": "greased", "zone": "C"}
    assert wire(payloads.event_payload(msgspec.structs.replace(EVENT, **about), backfill=False)).items() >= (
        about.items()
    )
    assert not wire(payloads.event_payload(EVENT, backfill=False)).keys() & about.keys()


def test_an_event_carries_up_to_three_hypotheses_flat():
    told = tuple(
        Hypothesis(fault, 0.5, f"signs of {fault}") for fault in ("gear", "looseness", "imbalance", "x")
    )
    payload = wire(payloads.event_payload(msgspec.structs.replace(EVENT, hypotheses=told), backfill=False))
    assert [payload[f"fault{n}"] for n in (1, 2, 3)] == ["gear", "looseness", "imbalance"]
    assert (payload["fault3_strength"], payload["fault3_evidence"]) == (0.5, "signs of imbalance")
    bare = wire(payloads.event_payload(msgspec.structs.replace(EVENT, hypotheses=()), backfill=False))
    assert not [key for key in bare if key.startswith("fault")]


def test_a_long_message_is_cut_and_the_rest_of_an_event_is_there():
    payload = payloads.event_payload(msgspec.structs.replace(EVENT, message="ä" * 500), backfill=True)
    assert len(payload.message) == 240
    assert (payload.id, payload.seq, payload.backfill, payload.wave) == (EVENT.id, 412, True, EVENT.evidence)


def test_cloud_events_attributes():
    attributes = dict(payloads.cloud_event(EVENT, "pdm/v1/a/b/c/d", EVENT.at_utc_ns // 10**6))
    assert attributes == {
        "specversion": "1.0",
        "id": str(EVENT.id),
        "source": "pdm/v1/a/b/c/d",
        "type": "alarm.raised",
        "time": "2026-03-02T10:11:21.002Z",
    }


def test_info_before_anything_is_known():
    about = wire(payloads.info(Config(), None, (), "0.1.0", 5))
    assert about["model"] == ""
    assert about["metrics"] == {}
    assert [channel["kind"] for channel in about["channels"]] == ["acceleration", "temperature"]


def test_channels_that_nobody_has_acknowledged_and_edges_of_the_zones():
    assert EXAMPLES["state"].unacknowledged == "de.score"
    seen = tuple(msgspec.structs.replace(one, acknowledged=True) for one in STATE.channels)
    assert payloads.state_payload(msgspec.structs.replace(STATE, channels=seen), 0, 0).unacknowledged == ""
    assert EXAMPLES["info"].zone_edges_mm_s == (1.4, 2.8, 4.5)
    assert payloads.info(Config(), None, (), "0", 1).zone_edges_mm_s == ()
