"""Somebody else's host sees what we say: npm's `mqtt` and `sparkplug-payload` against a real broker."""

import json
import os
import subprocess
import threading
import time
from pathlib import Path

import msgspec
import pytest
from asking import guard
from edge import GUARD, STATE, Edge, sample
from npm_packages import node_modules
from running import Plant, config, eventually, running

from appliance.plant_formats import Sparkplug
from appliance.records import MachineState, Quality, Score

PARTS = Path(__file__).with_name("sparkplug_host")


class IndependentHost:
    """seen: every line that the script printed."""

    def __init__(self, modules: Path, port: int, group: str) -> None:
        self.seen: list[dict[str, object]] = []
        self._process = subprocess.Popen(
            ["node", str(PARTS / "host.js"), str(port), group, "scada"],
            env=os.environ | {"NODE_PATH": str(modules)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._listen, daemon=True).start()
        end_s = time.monotonic() + 20
        while not self.seen:
            assert time.monotonic() < end_s, "the host did not connect"
            time.sleep(0.02)

    def say(self, words: str) -> None:
        self._process.stdin.write(words + "\n")
        self._process.stdin.flush()

    def of(self, *kinds: str) -> list[dict[str, object]]:
        return [one for one in list(self.seen) if one["kind"] in kinds]

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _listen(self) -> None:
        for line in self._process.stdout:
            self.seen.append(json.loads(line))


@pytest.fixture(scope="module")
def modules():
    return node_modules(PARTS)


@pytest.fixture
def plant(modules, mosquitto):
    broker = mosquitto()
    host = IndependentHost(modules, broker.port, "+")
    host.port, host.broker = broker.port, broker
    subscriber = Plant(broker.port)
    host.json = subscriber.of
    yield host
    subscriber.close()
    host.close()


def values(message, **only):
    chosen = [one for one in message["metrics"] if only.items() <= one.items()]
    return {one["name"]: one["value"] for one in chosen}


def test_births_data_rebirth_and_death(plant, tmp_path):
    edge = Edge(tmp_path, plant.port)
    edge.hear(sample("de", 1_000, vib_vel_mm_s=1.5, score=None, zone="A"), state=STATE)
    edge.until(lambda: plant.of("DBIRTH"))
    (birth,), (device,) = plant.of("NBIRTH"), plant.of("DBIRTH")
    assert values(birth).items() >= {
        "bdSeq": 0, "Node Control/Rebirth": False, "level": 0, "level_name": "normal", "score": 0.5,
        "since": None, "Properties/Firmware": "0.1.0",
    }.items()  # fmt: skip
    assert {one["type"] for one in birth["metrics"]} == {"Int64", "Boolean", "String", "Double", "DateTime"}
    assert (device["node"], device["device"]) == ("edge-1", "de")
    assert values(device) == {"tsq": "ntp", "ok": True, "vib_vel_mm_s": 1.5, "score": None, "zone": "A"}
    assert [one["unit"] for one in device["metrics"] if one["name"] == "vib_vel_mm_s"] == ["mm/s"]

    edge.hear(sample("de", 2_000, vib_vel_mm_s=1.75, score=0.25, zone="A"))
    edge.hear(state=msgspec.structs.replace(STATE, level=-3, level_name="alarm"))
    edge.until(lambda: plant.of("NDATA") and len(plant.of("DDATA")) > 1)
    live = [one for one in plant.of("DDATA") if values(one, historical=False)]
    assert [values(one) for one in live] == [{"vib_vel_mm_s": 1.75, "score": 0.25}]
    assert values(plant.of("NDATA")[0]).items() >= {"level": -3, "level_name": "alarm"}.items()

    plant.say("rebirth edge-1")
    edge.until(lambda: len(plant.of("DBIRTH")) == 2)
    assert values(plant.of("DBIRTH")[1]).items() >= {"vib_vel_mm_s": 1.75, "score": 0.25}.items()
    edge.close()
    edge.until(lambda: len(plant.of("NDEATH")) == 2)  # the message, and the will by reason 0x04
    assert [values(one) for one in plant.of("NDEATH")] == [{"bdSeq": 0}] * 2
    assert not plant.of("gap", "undecodable", "fault")


def test_what_was_measured_while_the_host_was_away_is_told_as_history(plant, tmp_path):
    edge = Edge(tmp_path, plant.port, primary_host="scada")
    edge.until(lambda: edge.node.fileno() >= 0)
    for n in range(45):
        edge.hear(sample("de", 1_000 + n, vib_kurt=n / 2))
    edge.turns(0.3)
    assert not plant.of("NBIRTH", "DBIRTH", "DDATA")
    plant.say("online")
    edge.until(lambda: not len(edge.backlog))
    edge.hear(sample("de", 5_000, vib_kurt=99.0))
    edge.until(lambda: any(values(one, historical=False) for one in plant.of("DDATA")))
    told = [one for message in plant.of("DDATA") for one in message["metrics"] if one["name"] == "vib_kurt"]
    past = [(one["timestamp"], one["value"]) for one in told if one["historical"]]
    assert past == [(1_000 + n, n / 2) for n in range(45)]
    assert [(one["timestamp"], one["value"]) for one in told if not one["historical"]] == [(5_000, 99.0)]
    most = [sum(one["name"] == "vib_kurt" for one in message["metrics"]) for message in plant.of("DDATA")]
    assert most[:3] == [20, 20, 5]

    plant.say("offline")
    edge.until(lambda: plant.of("NDEATH"))
    edge.hear(sample("de", 6_000, vib_kurt=1.0))
    plant.say("online")
    edge.until(lambda: len(plant.of("NBIRTH")) == 2)
    assert [values(one)["bdSeq"] for one in plant.of("NBIRTH")] == [0, 1]
    assert not plant.of("gap", "undecodable", "fault")
    edge.close()


def test_a_broker_that_was_killed_costs_no_sample(plant, tmp_path):
    edge = Edge(tmp_path, plant.port, primary_host="scada")
    plant.say("online")
    edge.until(lambda: plant.of("NBIRTH"))
    sent = 0
    for _ in range(3):
        for n in range(60):
            sent += 1
            edge.hear(sample("de", sent, vib_kurt=float(sent)))
            edge.turn()
            if n == 50:
                plant.broker.kill()
        births = len(plant.of("NBIRTH"))
        plant.broker.start()
        edge.until(lambda births=births: len(plant.of("NBIRTH")) > births, within_s=15)

    def heard() -> set[int]:
        told = [one for message in plant.of("DBIRTH", "DDATA") for one in message["metrics"]]
        return {one["timestamp"] for one in told if one["name"] == "vib_kurt" and one["value"] is not None}

    edge.until(lambda: heard() == set(range(1, sent + 1)), within_s=15)
    assert not plant.of("gap", "undecodable")
    edge.close()


def test_the_whole_uplink_with_a_restart_while_the_host_is_away(plant, tmp_path):
    def score(n: int) -> Score:
        at_ns = n * 10**9
        return Score("de", at_ns - 1, at_ns, Quality.OK, MachineState.RUNNING, 0.5, 1.0, "m-1", (), {"n": n})

    def told(*, historical: bool) -> list[int]:
        every = [one for message in plant.of("DDATA") for one in message["metrics"]]
        return [one["value"] for one in every if one["name"] == "n" and one["historical"] is historical]

    def heard() -> set[int]:  # what had no PUBACK before the restart comes again, with its id
        return {one["id"] for one in plant.json("telemetry") + plant.json("history")}

    options = config(
        tmp_path, plant.port, sparkplug=Sparkplug(enabled=True, primary_host="scada"), spread_s=0.0
    )
    quiet = msgspec.structs.replace(GUARD, scores=())
    with guard(tmp_path) as one:
        for n in (1, 2):  # two runs, no host
            with running(options):
                eventually(lambda: one.link)
                one.link.send(quiet)
                one.link.send(score(n))
                eventually(lambda n=n: len(heard()) == n, 40.0)
            eventually(lambda: one.link is None)
        with running(options):
            eventually(lambda: one.link)
            one.link.send(quiet)
            plant.say("online")
            eventually(lambda: told(historical=True) == [1, 2])
            one.link.send(score(3))
            eventually(lambda: told(historical=False) == [3])
            plant.say("rebirth appliance")
            eventually(lambda: len(plant.of("DBIRTH")) > 1)
            assert values(plant.of("DBIRTH")[-1])["n"] == 3
    eventually(lambda: [values(message)["bdSeq"] for message in plant.of("NDEATH")] == [0, 1, 2, 2])
    assert not plant.of("gap", "undecodable", "fault")
