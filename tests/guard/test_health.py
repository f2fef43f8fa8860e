"""The health line: an edge only after every thread has moved."""

from pathlib import Path

from appliance.guard.health import PERIOD_S, Health
from hw.sim.relay import SimRelay


def test_one_thread_that_stands_still_stops_the_wave(monkeypatch):
    line = SimRelay()
    now_ns = [0]
    health = Health(line, ["de", "nde"])
    monkeypatch.setattr(health._toggle, "_now_ns", lambda: now_ns[0])
    health._toggle._due_ns = 0

    def turn(*names: str) -> int:
        now_ns[0] += round(PERIOD_S * 1e9)
        for name in names:
            health.moved(name)
        return len(line.edges)

    assert [turn("de", "nde") for _ in range(3)] == [1, 2, 3]
    assert [turn("de", "de", "de") for _ in range(5)] == [3] * 5
    assert turn("nde") == 4
    assert turn("nde") == 4


def test_a_line_that_cannot_be_written_is_told_once_and_harms_nobody(caplog):
    health = Health(SimRelay(Path("/dev/full")), ["de"])
    for _ in range(5):
        health.moved("de")
    assert len(caplog.records) == 1
    assert "health line stands still" in caplog.text


def test_without_a_line_nothing_happens():
    Health(None, ["de"]).moved("de")
