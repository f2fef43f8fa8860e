"""`appliance run`: three processes, each able to fail alone."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from appliance_processes import ROOT, Folder, children, end, eventually, is_alive

from appliance.desk.supervise import PROCESSES, Child

ALL = set(PROCESSES)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    one = Folder(tmp_path)
    yield one
    left = {}
    for process in one.started:
        left |= children(process.pid) if process.poll() is None else {}
    one.close()
    for pid in left.values():
        if is_alive(pid):
            os.kill(pid, signal.SIGKILL)


def up(folder: Folder) -> subprocess.Popen[bytes]:
    run = folder.start("run")
    eventually(lambda: set(children(run.pid)) == ALL, 15, "three processes")
    eventually(folder.energised, 15, "a closed relay")
    # A process that is killed before it has listened to signals is no test of them.
    eventually(lambda: heard_of_analysis(folder), 15, "a score")
    return run


def heard_of_analysis(folder: Folder) -> bool:
    return bool(folder.state().scores)


def test_each_process_killed_is_restarted_and_the_others_go_on(folder):
    run = up(folder)
    for victim in PROCESSES:
        before = children(run.pid)
        os.kill(before[victim], signal.SIGKILL)
        eventually(lambda: not is_alive(before[victim]), 2)  # noqa: B023
        eventually(lambda: children(run.pid).get(victim, before[victim]) != before[victim], 8, victim)  # noqa: B023
        after = children(run.pid)
        assert {name: pid for name, pid in after.items() if name != victim} == {
            name: pid for name, pid in before.items() if name != victim
        }
        eventually(folder.energised, 15, "a closed relay")
    eventually(lambda: heard_of_analysis(folder), 15, "a score from the restarted")
    assert folder.log("run").count("restarting") == 3
    pids = children(run.pid).values()
    status, took_s = end(run)
    assert status == 0
    assert took_s < 5
    assert not any(is_alive(pid) for pid in pids)
    assert not folder.energised()


def test_killed_itself_it_takes_its_children_along(folder):
    run = up(folder)
    pids = children(run.pid)
    run.kill()
    run.wait()
    eventually(lambda: not any(is_alive(pid) for pid in pids.values()), 5, "the end of the children")
    assert not folder.energised()


def test_hard_limits_trip_while_analysis_and_uplink_are_dead(folder):
    folder.write(fault=(90.0, 91.0))
    run = up(folder)
    before = children(run.pid)
    for name in ("analysis", "uplink"):
        os.kill(before[name], signal.SIGSTOP)  # hung, which is worse than gone
    eventually(lambda: not folder.energised(), 20, "the trip")
    assert children(run.pid)["guard"] == before["guard"]
    assert folder.state().tripped
    for name in ("analysis", "uplink"):
        os.kill(before[name], signal.SIGKILL)
    eventually(lambda: len(set(children(run.pid).values()) - set(before.values())) == 2, 8, "two new ones")
    assert not folder.energised()
    _, took_s = end(run)
    assert took_s < 5


def test_a_hung_process_does_not_hold_up_the_end(folder):
    run = up(folder)
    hung = children(run.pid)["uplink"]
    os.kill(hung, signal.SIGSTOP)
    status, took_s = end(run)
    assert (status, took_s < 5) == (0, True)
    assert not is_alive(hung)


def test_a_second_one_says_that_another_runs_and_starts_nothing(folder):
    run = up(folder)
    pids = children(run.pid)
    second = folder.start("run")
    assert second.wait(15) == 1
    assert folder.log("run").count("another guard runs here, expected one; stop it or set run_dir") == 1
    assert "restarting" not in folder.log("run")
    assert children(run.pid) == pids


def test_a_fault_of_the_configuration_ends_with_78_and_starts_nothing(folder):
    folder.config.write_text(folder.config.read_text() + "\n[limits2]\n")
    run = folder.start("run")
    assert run.wait(15) == 78
    assert "limits2" in folder.log("run")
    assert {path.name for path in folder.folder.iterdir()} == {"appliance.toml", "run.log"}


def test_the_end_of_a_recording_ends_it(folder):
    samples = "x,y,z\n" + "0.1,0.2,1.0\n0.2,0.1,0.9\n" * 200
    (folder.folder / "short.csv").write_text(samples)
    sensor = 'driver = "recording"\npath = "short.csv"\nrate_hz = 400.0\nspeed = 0.0'
    settings = folder.config.read_text().replace('driver = "sim"\nrate_hz = 6400.0', sensor)
    assert "short.csv" in settings
    folder.config.write_text(settings)
    assert folder.start("run").wait(20) == 0
    assert "played to its end" in folder.log("run")


def test_a_child_that_keeps_dying_is_restarted_ever_more_slowly(tmp_path, monkeypatch):
    """Its configuration does not exist, so it ends at once."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    child = Child("guard", tmp_path / "missing.toml", tmp_path / "log")
    waits = []
    for _ in range(7):
        child.start()
        assert child.pid
        child.process.wait(15)
        assert child.poll() == 78
        assert child.pid == 0
        waits.append(child.retry_s)
        assert child.due_s == pytest.approx(time.monotonic() + child.retry_s, abs=0.5)
    assert waits == [0.6, 1.2, 2.4, 4.8, 5.0, 5.0, 5.0]
    assert child.restarts == 6
    assert child.poll() is None
    child.start()
    child.started_s -= 60  # it has run for a minute
    child.process.wait(15)
    child.poll()
    assert child.retry_s == 0.3
