"""The simulated relay and what an outside observer sees of it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hw.ports import PortError, Relay
from hw.sim.relay import SimRelay, observed_level

ROOT = Path(__file__).resolve().parents[3]


def test_only_changes_of_level_are_edges(tmp_path):
    path = tmp_path / "deep" / "edges.jsonl"
    relay = SimRelay(path)
    port: Relay = relay
    assert port.read() is False
    begin_ns = time.monotonic_ns()
    for level in (False, True, True, False, False, True):
        port.write(level)
        assert port.read() is level
    assert [level for _, level in relay.edges] == [True, False, True]
    assert begin_ns <= relay.edges[0][0] <= relay.edges[-1][0] <= time.monotonic_ns()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines == [{"mono_ns": ns, "energised": level, "pid": os.getpid()} for ns, level in relay.edges]


def test_without_a_file_edges_are_in_memory():
    relay = SimRelay()
    relay.write(True)
    assert relay.read()
    assert len(relay.edges) == 1


@pytest.mark.parametrize(("contact", "seen"), [("welded", True), ("open", False)])
def test_a_contact_that_does_not_follow_its_coil(contact, seen):
    relay = SimRelay(contact=contact)
    for level in (False, True, False):
        relay.write(level)
        assert relay.read() is seen
    assert [level for _, level in relay.edges] == [True, False], "the coil is another matter"


def test_a_restart_appends(tmp_path):
    path = tmp_path / "edges.jsonl"
    SimRelay(path).write(True)
    again = SimRelay(path)
    assert again.read() is False
    again.write(True)
    assert len(path.read_text().splitlines()) == 2


def test_observer_sees_the_last_edge_of_a_living_holder(tmp_path):
    path = tmp_path / "edges.jsonl"
    assert observed_level(path) is False
    relay = SimRelay(path)
    assert observed_level(path) is False
    relay.write(True)
    assert observed_level(path) is True
    relay.write(False)
    assert observed_level(path) is False


def test_a_killed_holder_drops_its_relay_even_before_it_is_reaped(tmp_path):
    path = tmp_path / "edges.jsonl"
    program = (
        "import sys, time; from pathlib import Path; from hw.sim.relay import SimRelay\n"
        "SimRelay(Path(sys.argv[1])).write(True); print('up', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as holder:
        assert holder.stdout.readline() == b"up\n"
        assert observed_level(path) is True
        os.kill(holder.pid, signal.SIGKILL)
        os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)
        assert observed_level(path) is False
    assert observed_level(path) is False


@pytest.mark.parametrize("line", ["no json", "[1]", '{"pid": 1}', '{"energised": true, "pid": "x"}'])
def test_a_file_that_holds_no_edges_is_named(tmp_path, line):
    path = tmp_path / "edges.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(PortError, match="not an edge"):
        observed_level(path)


def test_a_path_that_cannot_be_written(tmp_path):
    with pytest.raises(PortError, match="correct the path"):
        SimRelay(tmp_path)


def test_an_edge_that_cannot_be_recorded_does_not_happen():
    relay = SimRelay(Path("/dev/full"))
    with pytest.raises(PortError, match="free the disk"):
        relay.write(True)
    assert relay.read() is False
    assert relay.edges == []
