"""docs/asyncapi.json by AsyncAPI's own schema; what it names is there. Whether it drifted: test_topics.py."""

import json
from pathlib import Path

import jsonschema
import pytest
from npm_packages import node_modules

from appliance.uplink.command import COMMANDS
from appliance.uplink.topics import TOPICS

DOCS = Path(__file__).resolve().parents[2] / "docs"
WHOLE = json.loads((DOCS / "asyncapi.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def faults():
    modules = node_modules(Path(__file__).with_name("sparkplug_host"))
    schema = json.loads(
        (modules / "@asyncapi" / "specs" / "schemas" / "3.0.0.json").read_text(encoding="utf-8")
    )
    validator = jsonschema.Draft7Validator(schema)
    return lambda document: [fault.message for fault in validator.iter_errors(document)]


def test_it_is_asyncapi(faults):
    assert faults(WHOLE) == []


@pytest.mark.parametrize("key", ["asyncapi", "info"])
def test_what_is_missing_is_noticed(faults, key):
    assert faults({name: part for name, part in WHOLE.items() if name != key})


def test_every_topic_and_command_is_there_and_so_is_its_schema():
    addresses = {channel["address"].split("{device}/")[1] for channel in WHOLE["channels"].values()}
    assert addresses == {*TOPICS, *(f"cmd/{name}" for name in COMMANDS)}
    for message in WHOLE["components"]["messages"].values():
        if "payload" in message:
            assert (DOCS / message["payload"]["$ref"]).is_file()
    retained = {
        one["channel"]["$ref"].rpartition("/")[2]
        for one in WHOLE["operations"].values()
        if one["bindings"]["mqtt"]["retain"]
    }
    assert retained == {suffix for suffix, topic in TOPICS.items() if topic.retain}
