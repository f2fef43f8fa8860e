"""Memory and cold start of the real processes, beside a real broker: 3 axes at 6400 Hz in real time."""

import json
import time
from collections.abc import Iterator

import pytest
from appliance_processes import Folder, end, eventually, rss_mb

from appliance.records import GuardState, Notice, Quality

BUDGET_MB = {"guard": 40, "analysis": 70, "uplink": 35}
BUDGET_S = {"first protected block": 1.5, "first score": 3.0}
MARGIN = 10
"""Of wall-clock figures: this machine may be busy. Of memory there is none."""
WATCHED_S = 10.0


class Figures:
    """What one run of the three processes showed."""

    def __init__(self, folder: Folder) -> None:
        began_s = time.monotonic()
        processes = {name: folder.start(name) for name in BUDGET_MB}
        link = folder.connect()
        self.first_score_s = 0.0
        self.state: GuardState | None = None
        self.notices = 0
        while time.monotonic() < began_s + WATCHED_S:
            message = link.receive()
            if message is None:
                time.sleep(0.01)
            elif isinstance(message, GuardState):
                self.state = message
                judged = any(score.quality is Quality.OK for score in message.scores)
                self.first_score_s = self.first_score_s or (judged and time.monotonic() - began_s)
            elif isinstance(message, Notice):
                self.notices += 1
        link.close()
        self.rss_mb = {name: rss_mb(process.pid) for name, process in processes.items()}
        self.exits = {name: process.poll() for name, process in processes.items()}
        edge = json.loads(folder.relay.read_text().splitlines()[0])
        self.first_protected_s = edge["mono_ns"] * 1e-9 - began_s


def learn(folder: Folder) -> None:
    """The machine's normal, twenty times faster than real time, so that there is a model to load."""
    folder.write(speed=20.0, learn_s=30.0)
    processes = [folder.start("guard"), folder.start("analysis")]
    eventually((folder.folder / "state" / "bundles" / "de" / "active").exists, 40, "a learnt model")
    for process in processes:
        end(process)
    folder.relay.unlink()


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory, broker_port: int) -> Iterator[Figures]:
    folder = Folder(tmp_path_factory.mktemp("rss"))
    learn(folder)
    folder.write(speed=1.0, uplink="true", port=broker_port)
    yield Figures(folder)
    folder.close()


@pytest.fixture(scope="module")
def broker_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    from real_broker import MOSQUITTO, Mosquitto  # noqa: PLC0415

    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed (apt-get install mosquitto)")
    broker = Mosquitto(tmp_path_factory.mktemp("broker"), "allow_anonymous true")
    yield broker.port
    broker.kill()


@pytest.mark.parametrize("name", BUDGET_MB)
def test_memory(figures: Figures, name: str) -> None:
    assert figures.exits[name] is None, "it is still at work"
    assert figures.rss_mb[name] <= BUDGET_MB[name]


def test_they_did_their_work_meanwhile(figures: Figures) -> None:
    assert figures.state is not None
    assert figures.state.relay_energised
    assert figures.state.clocks[0].blocks >= 50
    assert figures.state.scores[0].quality is Quality.OK
    assert figures.state.scores[0].model
    assert figures.state.clocks[0].rate_hz == pytest.approx(6400, rel=1e-3)


def test_cold_start(figures: Figures) -> None:
    assert 0 < figures.first_protected_s <= MARGIN * BUDGET_S["first protected block"]
    assert 0 < figures.first_score_s <= MARGIN * BUDGET_S["first score"]


def test_a_block_is_judged_in_time(figures: Figures) -> None:
    assert figures.state is not None
    p50_us, p99_us, _ = figures.state.latency_us
    assert 0 < p50_us <= MARGIN * 2000
    assert p50_us <= p99_us <= 10 * MARGIN * 2000  # the tail is made by what else runs on this machine
