"""Commands from the plant through a real broker to the real uplink and guard processes."""

import json
import time
from pathlib import Path

import jsonschema
import pytest
from appliance_processes import Folder, end
from asking import PREFIX, asking
from running import eventually

from appliance.records import Level

ALL = '["ack", "evidence", "learn", "model", "ping", "rebirth", "replay", "reset", "shelve"]'
SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "schema" / "event.schema.json"
AFAR = 'trip_reset = "from afar, nobody can reach the machine"'


class Appliance(Folder):
    """Guard and uplink on one configuration."""

    def configure(self, port: int, commands: str = f"allow = {ALL}", **how: object) -> None:
        self.write(uplink="true", port=port, **how)
        with self.config.open("a") as file:
            file.write(f"settle_s = 0.2\n[uplink.commands]\n{commands}\n")

    def up(self) -> "Appliance":
        self.guard, self.uplink = self.start("guard"), self.start("uplink")
        return self

    def channel(self, name: str):
        return next(one for one in self.state().channels if one.channel == name)


def of_the_guard(plant, name: str, **arguments: object) -> dict[str, object]:
    """The guard's answer, once the uplink has found the guard."""
    found: list[dict[str, object]] = []

    def answered() -> bool:
        found.append(plant.ask(name, **arguments))
        away = "the guard is not there" in str(found[-1]["message"])
        time.sleep(0.5 if away else 0.0)  # only so many commands a second are taken
        return not away

    eventually(answered)
    return found[-1]


@pytest.fixture
def appliance(tmp_path):
    one = Appliance(tmp_path)
    yield one
    one.close()


@pytest.fixture
def broker(mosquitto):
    return mosquitto()


def test_an_alarm_is_acknowledged_and_shelved_and_the_journal_says_by_whom(appliance, broker):
    appliance.configure(broker.port, fault=(1.0, 2.0), danger=150.0)
    with asking(broker.port) as plant:
        appliance.up()
        plant.online()
        eventually(lambda: appliance.channel("de.peak").level is Level.ALERT, 15.0)
        assert not appliance.channel("de.peak").acknowledged
        eventually(lambda: "de.peak" in (plant.of("state") or [{"unacknowledged": ""}])[-1]["unacknowledged"])
        assert of_the_guard(plant, "ack", channel="de.peak", comment="seen")["ok"]
        assert appliance.channel("de.peak").acknowledged
        eventually(lambda: "de.peak" not in plant.of("state")[-1]["unacknowledged"])
        assert plant.ask("shelve", channel="de.peak", why="bearing ordered", duration_s=600)["ok"]
        assert appliance.channel("de.peak").shelved
        assert plant.ask("shelve", channel="de.peak", why="it came", duration_s=0)["ok"]
        assert not appliance.channel("de.peak").shelved
        unknown = plant.ask("ack", channel="de.nothing")
        assert (unknown["ok"], str(unknown["message"]).startswith("refused: ")) == (False, True)
        assert "no analysis is connected" in plant.ask("learn", act="again", why="x")["message"]
        eventually(
            lambda: len([one for one in plant.of("event/audit") if one.get("who") == "mqtt:anna"]) >= 3
        )
        assert plant.of("info")[-1]["commands"] == sorted(
            ["ack", "evidence", "learn", "model", "ping", "rebirth", "replay", "reset", "shelve"]
        )


def test_a_trip_is_reset_from_afar_only_with_both_keys_and_never_while_its_condition_stands(
    appliance, broker
):
    appliance.configure(broker.port, f"allow = {ALL}\n{AFAR}", fault=(1.0, 2.0), danger=30.0)
    with asking(broker.port) as plant:
        appliance.up()
        plant.online()
        eventually(lambda: appliance.state().tripped, 15.0)
        assert not of_the_guard(plant, "reset", why="let us see")["ok"]  # the condition stands
        end(appliance.guard)
        appliance.configure(broker.port)  # the machine is mended, one key is missing
        appliance.start("guard")
        eventually(lambda: appliance.state().reasons == ("tripped: latched until reset",), 15.0)
        answer = of_the_guard(plant, "reset", why="mended")
        assert (answer["ok"], answer["message"].startswith("refused: not over the network")) == (False, True)
        assert appliance.state().tripped
        assert not appliance.energised()
        end(appliance.started[-1])
        appliance.configure(broker.port, f"allow = {ALL}\n{AFAR}")
        appliance.start("guard")
        eventually(lambda: appliance.state().reasons == ("tripped: latched until reset",), 15.0)
        answer = of_the_guard(plant, "reset", why="mended")
        assert answer["ok"], answer["message"]
        eventually(appliance.energised)


def test_nothing_is_listened_to_by_default(appliance, broker):
    appliance.configure(broker.port, "")
    with asking(broker.port) as plant:
        appliance.up()
        plant.online()
        plant.publish("ping", {"id": "1", "who": "anna"})
        eventually(lambda: plant.of("info"))
        time.sleep(0.5)
        assert plant.answers("ping") == []
        assert plant.of("info")[-1]["commands"] == []


def test_events_come_again_and_the_guard_may_go_away_meanwhile(appliance, broker):
    appliance.configure(broker.port)
    with asking(broker.port) as plant:
        appliance.up()
        plant.online()
        eventually(lambda: [one for one in plant.of("event/audit") if one["type"] == "boot"], 40.0)
        boot = next(one for one in plant.of("event/audit") if one["type"] == "boot")
        jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text("utf-8"))).validate(boot)
        while not plant.ask("replay", from_seq=1, to_seq=boot["seq"])["ok"]:
            time.sleep(0.5)  # it has not settled yet, and only so many commands a second are taken
        eventually(lambda: [one["id"] for one in plant.of("event/audit")].count(boot["id"]) >= 2)
        assert [one for one in plant.of("event/audit") if one["id"] == boot["id"]][-1]["backfill"]
        eventually(lambda: [one["type"] for one in plant.of("event/audit")].count("plant.asked"))
        end(appliance.guard)
        answer = plant.ask("ack", channel="de.peak")
        assert (answer["ok"], "the guard is not there" in answer["message"]) == (False, True)
        assert plant.ask("ping")["ok"]
        before = len(plant.heard)
        assert plant.ask("rebirth")["ok"]
        eventually(
            lambda: plant.of("status", before) and plant.of("info", before) and plant.of("health", before)
        )
        assert plant.heard[before][0].startswith(PREFIX)
