"""docs/ALARMS.md draws what the alarm engine does, and the exploration draws nothing that is not so."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.guard.channel import Channel, Setpoints
from appliance.guard.rack import RackSpec, Value
from appliance.records import Level
from appliance.requests import Reset

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
from explore import AmbiguousNameError, Edge, Move, drawn, explore, listed  # noqa: E402 - a tool's own module

CALM = (Value("v", 1.0),)
SPEC = RackSpec((Channel("v", "mm/s", Setpoints(danger=20.0), danger_delay_ns=10**9),), ())
BAD = Move("at Danger", (Value("v", 25.0),))
STILL_BAD = Move("still at Danger", (Value("v", 25.0),), 1.0)
GOOD = Move("good", CALM)
STATES = ("normal", "normal, delay runs", "Danger", "latched", "latched, delay runs")
RESET = Move("reset", (Reset("anna", "repaired"),))


def alarms(root, *arguments):
    command = [sys.executable, root / "tools" / "alarms", *arguments]
    # A stale .pyc would hide an edit of the same second and length.
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)


def state(rack):
    memory = rack.engine.state.channels["v"]
    if memory.danger.stands:
        return "Danger"
    delay = "" if memory.danger.beyond_ns is None else ", delay runs"
    return f"{'latched' if memory.level is Level.DANGER else 'normal'}{delay}"


def test_the_page_is_what_the_engine_does():
    done = alarms(ROOT, "--check")
    assert done.returncode == 0, done.stderr


def test_a_changed_engine_is_noticed_and_drawn_anew(tmp_path):
    for folder in ("appliance", "hw", "docs"):
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "*.png")
        )
    (tmp_path / "tools").mkdir()
    for name in ("alarms", "explore.py", "own_python.py"):
        shutil.copy(ROOT / "tools" / name, tmp_path / "tools")
    voting = tmp_path / "appliance" / "guard" / "voting.py"
    voting.write_text(voting.read_text().replace("group.need - len(blind)", "group.need"))
    done = alarms(tmp_path, "--check")
    assert done.returncode == 1
    assert "run tools/alarms" in done.stderr
    assert alarms(tmp_path).returncode == 0
    assert alarms(tmp_path, "--check").returncode == 0
    page = (tmp_path / "docs" / "ALARMS.md").read_text()
    assert "| 2oo2 | 1 | no trip | 1 of 1 |" in page
    (tmp_path / "docs" / "ALARMS.md").write_text(page.replace("<!-- tools/alarms: votes -->\n", ""))
    assert "no place for votes" in alarms(tmp_path, "--check").stderr


def test_every_state_and_every_move_is_found():
    edges = explore(SPEC, CALM, (BAD, STILL_BAD, GOOD, RESET), state)
    assert {name for name, _ in edges} == set(STATES)
    assert len(edges) == 5 * 4
    assert edges["normal", STILL_BAD].to == "normal, delay runs"
    assert edges["normal, delay runs", STILL_BAD] == Edge("Danger", ("alarm.raised",), "")
    assert edges["normal, delay runs", GOOD] == Edge("normal", (), "")
    assert edges["Danger", GOOD].to == "latched"
    assert edges["latched", RESET] == Edge("normal", ("trip.reset", "alarm.cleared"), "")


def test_the_drawing_has_all_that_changes_and_nothing_else():
    edges = explore(SPEC, CALM, (BAD, STILL_BAD, GOOD), state)
    assert (
        drawn(edges)
        == """\
```mermaid
stateDiagram-v2
    state "normal" as s0
    state "normal, delay runs" as s1
    state "Danger" as s2
    state "latched" as s3
    state "latched, delay runs" as s4
    [*] --> s0
    s0 --> s1 : at Danger
    s1 --> s2 : still at Danger
    s1 --> s0 : good
    s2 --> s3 : good
    s3 --> s4 : at Danger
    s4 --> s2 : still at Danger
    s4 --> s3 : good
```
"""
    )
    assert listed(edges).splitlines()[2:4] == [
        "| normal | at Danger | normal, delay runs | – |",
        "| normal, delay runs | still at Danger | Danger | `alarm.raised` |",
    ]


def test_a_power_cut_is_a_move():
    cut = Move("power cut", restart=True)
    edges = explore(SPEC, CALM, (STILL_BAD, cut), lambda rack: f"{state(rack)}, {rack.protecting}")
    assert edges["normal, delay runs, True", cut].to == "normal, False"
    assert edges["Danger, True", cut].to == "latched, False"


def test_a_name_that_hides_a_difference_is_refused():
    with pytest.raises(
        AmbiguousNameError, match=r"'anything', 'still at Danger'.*give the two states two names"
    ):
        explore(SPEC, CALM, (BAD, STILL_BAD), lambda _: "anything")
