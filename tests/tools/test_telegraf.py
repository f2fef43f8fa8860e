"""Telegraf's and Grafana's files against the contract's own examples.

Telegraf and Grafana themselves are not run: what the two plugins do to a flat object is done here again, by
their documentation and source (plugins/inputs/mqtt_consumer, plugins/parsers/json of Telegraf 1.29 and on).
"""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
TELEGRAF = tomllib.loads((ROOT / "tools" / "dashboards" / "telegraf.conf").read_text())
GRAFANA = json.loads((ROOT / "tools" / "dashboards" / "grafana.json").read_text())
PREFIX = "pdm/v1/plant-1/pressing/press-07/edge-0001"
SUFFIXES = {"telemetry": "telemetry", "event": "event/alarm", "state": "state", "health": "health"}
PLUGIN_KEYS = {
    "servers", "topics", "topic_tag", "topic_parsing", "qos", "client_id", "persistent_session", "tls_ca",
    "tls_cert", "tls_key", "data_format", "tag_keys", "json_string_fields", "json_time_key",
    "json_time_format", "name_override", "fieldexclude",
}  # fmt: skip
Point = dict[str, set[str]]


def payloads() -> dict[str, dict[str, Any]]:
    """Suffix of a topic and its example in docs/TOPICS.md."""
    page = (ROOT / "docs" / "TOPICS.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"\n## (\w+)\n[^`]*.*?```json\n(.*?)```", page, re.DOTALL))
    return {suffix: json.loads(shown[name]) for name, suffix in SUFFIXES.items()}


def matches(pattern: str, topic: str) -> bool:
    return re.fullmatch(pattern.replace("+", "[^/]+").replace("/#", "(/.*)?"), topic) is not None


def written(topic: str, said: dict[str, Any]) -> dict[str, Point]:
    """By measurement: the tags and the fields that a message becomes."""
    found: dict[str, Point] = {}
    for plugin in TELEGRAF["inputs"]["mqtt_consumer"]:
        if not any(matches(one, topic) for one in plugin["topics"]):
            continue
        [parsing] = plugin["topic_parsing"]
        names, levels = parsing["tags"].split("/"), topic.split("/")
        assert len(names) == len(parsing["topic"].split("/")), "Telegraf refuses different lengths"
        assert matches(parsing["topic"], topic)
        assert isinstance(said[plugin["json_time_key"]], int)
        assert plugin["json_time_format"] == "unix_ms"
        tags = {name for name, _ in zip(names, levels, strict=True) if name != "_"}
        taken, named = plugin.get("tag_keys", []), plugin.get("json_string_fields", [])
        assert {*taken, *named} <= {*said, "who", "why", "zone"}, (
            "named, but nowhere in the contract's example"
        )
        numbers = {key for key, value in said.items() if type(value) in (int, float)}
        fields = {*numbers, *(key for key in named if key in said)} - {plugin["json_time_key"], *taken}
        point = {"tags": tags | set(taken), "fields": fields - set(plugin["fieldexclude"])}
        assert plugin["name_override"] not in found, "one message, two points"
        found[plugin["name_override"]] = point
    return found


@pytest.fixture(scope="module")
def points() -> dict[str, Point]:
    found: dict[str, Point] = {}
    for suffix, said in payloads().items():
        found |= written(f"{PREFIX}/{suffix}", said)
    return found


def test_only_keys_that_telegraf_knows() -> None:
    for plugin in TELEGRAF["inputs"]["mqtt_consumer"]:
        assert set(plugin) <= PLUGIN_KEYS
        assert (plugin["qos"], plugin["persistent_session"]) == (1, True)
    clients = [plugin["client_id"] for plugin in TELEGRAF["inputs"]["mqtt_consumer"]]
    assert len(set(clients)) == len(clients), "a second client of the same name would push the first out"


def test_every_number_word_and_level_of_the_topic_arrives(points: dict[str, Point]) -> None:
    assert set(points) == set(SUFFIXES)
    for name, point in points.items():
        assert point["tags"] >= {"site", "area", "asset", "device"}, name
    assert points["telemetry"]["fields"] >= {"score", "ratio", "vib_vel_mm_s", "temp_c", "ok", "zone"}
    assert points["event"]["fields"] >= {"id", "seq", "message", "value"}
    assert points["state"]["fields"] >= {"level", "tripped", "unacknowledged"}


def test_late_telemetry_is_the_same_point() -> None:
    said = payloads()["telemetry"]
    late = said | {"backfill": True}
    assert written(f"{PREFIX}/history", late) == written(f"{PREFIX}/telemetry", said)


def queries() -> list[str]:
    shown = [target["query"] for panel in GRAFANA["panels"] for target in panel["targets"]]
    return shown + [one["query"] for one in GRAFANA["annotations"]["list"]]


@pytest.mark.parametrize("query", queries())
def test_grafana_asks_for_what_telegraf_writes(points: dict[str, Point], query: str) -> None:
    [measurement] = re.findall(r'FROM "(\w+)"', query)
    point = points[measurement]
    # An event names a person only where one acted.
    known = {
        measurement,
        *point["tags"],
        *point["fields"],
        *({"who", "why"} if measurement == "event" else ()),
    }
    assert set(re.findall(r'"(\w+)"', query)) <= known
    assert set(re.findall(r'(?:last|max|mean)\("(\w+)"\)', query)) <= point["fields"]


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    panels = GRAFANA["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for at in (panel["gridPos"] for panel in panels)
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
