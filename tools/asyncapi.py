"""The contract as an AsyncAPI 3.0 document, from the same types as docs/TOPICS.md; tools/topics writes it."""

import json
from collections.abc import Callable, Mapping

import msgspec

from appliance import __version__
from appliance.config import Site
from appliance.uplink.topics import Topic, prefix

TOKEN = "[a-z0-9-]{1,32}, from the table [machine] of the configuration"
PARAMETERS = {
    "site": f"Plant or works: {TOKEN}",
    "area": f"Hall, line or unit inside it: {TOKEN}",
    "asset": f"The machine: {TOKEN}",
    "device": f"The appliance on the machine: {TOKEN}",
    "name": "Name of a command",
}
Names = Callable[[type[msgspec.Struct]], str]


def document(
    topics: Mapping[str, Topic], commands: Mapping[str, type[msgspec.Struct]], schema_name: Names
) -> str:
    """The text of docs/asyncapi.json; schemas are named relative to it."""
    channels, operations, messages = {}, {}, {}
    for suffix, topic in topics.items():
        key = _key(suffix)
        messages[key] = _message(topic, schema_name)
        channels[key] = _channel(suffix, key, topic.when)
        operations[f"send-{key}"] = _operation(
            "send", key, _binding(retain=topic.retain, expiry_s=topic.expiry_s)
        )
    for name, kind in commands.items():
        key = f"cmd-{name}"
        about = " ".join((kind.__doc__ or "").split())
        messages[key] = {
            "contentType": "application/json",
            "summary": about,
            "payload": _schema(schema_name(kind)),
        }
        channels[key] = _channel(f"cmd/{name}", key, f"only where uplink.commands.allow names {name}")
        taken = _operation("receive", key, _binding(retain=False, expiry_s=None))
        operations[f"receive-{key}"] = taken | {"reply": {"channel": {"$ref": "#/channels/rsp"}}}
    whole = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Predictive-maintenance appliance",
            "version": __version__,
            "description": "What it says and takes over MQTT; prose and examples: TOPICS.md, PLANT.md.",
        },
        "defaultContentType": "application/json",
        "servers": {"plant": {"host": "localhost:1883", "protocol": "mqtt", "protocolVersion": "5.0"}},
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages},
    }
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def _key(suffix: str) -> str:
    return suffix.replace("/{name}", "").replace("/", "-")


def _schema(name: str) -> dict[str, str]:
    return {"$ref": f"schema/{name}.schema.json"}


def _message(topic: Topic, schema_name: Names) -> dict[str, object]:
    if topic.payload is None:
        return {"contentType": topic.content_type, "summary": "binary, see TOPICS.md"}
    about = " ".join((topic.payload.__doc__ or "").split())
    payload = _schema(schema_name(topic.payload))
    return {"contentType": topic.content_type, "summary": about, "payload": payload}


def _channel(suffix: str, key: str, when: str) -> dict[str, object]:
    address = f"{prefix(Site('{site}', '{area}', '{asset}', '{device}'))}/{suffix}"
    used = {name: {"description": words} for name, words in PARAMETERS.items() if f"{{{name}}}" in address}
    messages = {key: {"$ref": f"#/components/messages/{key}"}}
    return {"address": address, "description": when, "parameters": used, "messages": messages}


def _binding(*, retain: bool, expiry_s: int | None) -> dict[str, object]:
    expiry = {"messageExpiryInterval": expiry_s} if expiry_s else {}
    return {"mqtt": {"qos": 1, "retain": retain, **expiry, "bindingVersion": "0.2.0"}}


def _operation(action: str, key: str, bindings: dict[str, object]) -> dict[str, object]:
    messages = [{"$ref": f"#/channels/{key}/messages/{key}"}]
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{key}"},
        "messages": messages,
        "bindings": bindings,
    }
