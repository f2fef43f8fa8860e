"""The frame of every process: a worker that dies or stalls is never quiet."""

import gc
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from pathlib import Path

import pytest

from appliance import daemon as daemons
from appliance.daemon import PARENT_VARIABLE, Daemon, notify
from appliance.errors import StoreError


@pytest.fixture(autouse=True)
def _signals_as_before():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    hook = threading.excepthook
    yield
    threading.excepthook = hook
    for number, action in before.items():
        signal.signal(number, action)


@pytest.fixture
def systemd(tmp_path, monkeypatch):
    """The other end of NOTIFY_SOCKET: said() empties it."""
    path = str(tmp_path / "notify")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(path)
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    messages = []

    def listen():
        while (message := sock.recv(1000).decode()) != "enough":
            messages.append(message)

    thread = threading.Thread(target=listen)
    thread.start()

    def said():
        notify("enough")
        thread.join(5)
        return messages

    yield said
    if thread.is_alive():
        notify("enough")
        thread.join(5)
    sock.close()


def moving(worker):
    while not worker.stop.wait(0.01):
        worker.beat()


def run_for(one, seconds, **how):
    threading.Timer(seconds, one.stop.set).start()
    return one.run(**how)


def test_without_systemd_nobody_is_told(monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")


def test_a_notify_socket_that_is_gone_is_no_fault(monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    with caplog.at_level("WARNING"):
        notify("READY=1")
    assert "cannot notify" in caplog.text


def test_a_notify_socket_that_nobody_reads_holds_no_one(monkeypatch, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "n"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "n"))
        began_s = time.monotonic()
        for _ in range(2000):
            notify("WATCHDOG=1")
        assert time.monotonic() - began_s < 5


def test_an_abstract_notify_socket(monkeypatch):
    name = f"appliance-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("\0" + name)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
        notify("READY=1")
        assert sock.recv(100) == b"READY=1"


def test_ready_once_then_the_watchdog_then_stopping(systemd, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "80000")
    answers = iter([False, False] + [True] * 1000)
    one = Daemon("test")
    one.start("moving", moving)
    assert run_for(one, 0.5, ready=lambda: next(answers)) == 0
    said = systemd()
    assert said.count("READY=1") == 1
    assert said[:2] == ["WATCHDOG=1", "WATCHDOG=1"]
    assert said.count("WATCHDOG=1") >= 10  # four in every watchdog period
    assert said[-1] == "STOPPING=1"


def test_a_stalled_worker_starves_the_watchdog_and_is_named(systemd, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "80000")
    release = threading.Event()
    one = Daemon("test")
    one.start("moving", moving)
    one.start("hanging", lambda _: release.wait(5), stall_s=0.1)
    threading.Timer(0.6, release.set).start()
    assert run_for(one, 0.5) == 0
    said = systemd()
    stalled = said.index("STATUS=stalled: hanging")
    assert "WATCHDOG=1" in said[:stalled]
    assert "WATCHDOG=1" not in said[stalled:]


def test_a_worker_that_ends_in_peace_is_not_stalled(systemd, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "80000")
    one = Daemon("test")
    one.start("short", lambda _: None, stall_s=0.05)
    assert run_for(one, 0.3) == 0
    assert not any("stalled" in message for message in systemd())


def test_what_a_worker_held_is_let_go_once_it_has_ended():
    """A learner's thread holds all the windows it learns from; there is one for each time it learns."""
    one = Daemon("x")

    def begin() -> weakref.ref[object]:
        held = type("Held", (), {})()
        one.start("once", lambda _: held).join()
        return weakref.ref(held)

    first = begin()
    begin()
    gc.collect()
    assert first() is None


@pytest.mark.parametrize("fault", [ValueError("boom"), SystemExit(3), KeyboardInterrupt()])
def test_a_worker_that_raises_ends_the_process_with_a_status(fault, caplog):
    def body(_):
        raise fault

    one = Daemon("test")
    one.start("moving", moving)
    worker = one.start("broken", body)
    seen = []
    began_s = time.monotonic()
    assert one.run(stopping=lambda: seen.append(one.failed)) == 1
    assert time.monotonic() - began_s < 2
    assert worker.fault is fault
    assert seen == [True]
    assert "worker broken ended" in caplog.text


@pytest.mark.parametrize(
    ("fault", "traced"), [(StoreError("no room; free the disk"), False), (OSError(5), True)]
)
def test_a_fault_that_says_what_to_do_is_told_without_a_traceback(fault, traced, caplog):
    def body(_):
        raise fault

    one = Daemon("test")
    one.start("broken", body)
    assert one.run() == 1
    assert [bool(record.exc_info) for record in caplog.records] == [traced]
    assert f"worker broken ended: {fault}" in caplog.text


def test_stopping_comes_before_the_workers_are_waited_for(monkeypatch):
    """The relay must not stay energised while a thermometer takes its time."""
    monkeypatch.setattr(daemons, "_JOIN_S", 0.5)
    release = threading.Event()
    one = Daemon("test")
    workers = [one.start(f"slow-{k}", lambda _: release.wait(10)) for k in range(5)]
    alive = []
    one.stop.set()
    began_s = time.monotonic()
    assert one.run(stopping=lambda: alive.append((time.monotonic() - began_s, workers[0].is_alive()))) == 0
    took_s = time.monotonic() - began_s
    release.set()
    assert alive[0][0] < 0.1
    assert alive[0][1]
    assert 0.4 < took_s < 1.5  # for all of them together


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_status_0(number):
    one = Daemon("test")
    one.start("moving", moving)
    threading.Timer(0.1, os.kill, (os.getpid(), number)).start()
    assert one.run() == 0


ROOT = str(Path(daemons.__file__).parents[1])
CHILD = """
    import os, sys
    from appliance.daemon import Daemon
    daemon = Daemon("child")
    print(os.getpid(), daemon.stop.is_set(), flush=True)
    daemon.run()
    print("ended", flush=True)
"""


def test_a_child_ends_when_its_parent_is_killed(tmp_path):
    """The parent in the middle starts the child as `appliance run` does, and is killed."""
    child = tmp_path / "child.py"
    child.write_text(textwrap.dedent(CHILD))
    parent = tmp_path / "parent.py"
    variable = f"{{{PARENT_VARIABLE!r}: str(os.getpid())}}"
    start = f"subprocess.Popen([sys.executable, {str(child)!r}], env=os.environ | {variable})"
    parent.write_text(f"import os, subprocess, sys, time\n{start}\ntime.sleep(60)\n")
    environment = os.environ | {"PYTHONPATH": ROOT}
    with subprocess.Popen(
        [sys.executable, str(parent)], stdout=subprocess.PIPE, env=environment, text=True
    ) as process:
        pid, stopped = process.stdout.readline().split()
        assert stopped == "False"
        assert int(pid) != process.pid
        process.kill()
        assert process.stdout.readline() == "ended\n"


BUSY = """
import threading, time
import numpy
from appliance.__main__ import leave
from appliance.analysis import fft
samples = numpy.ones(1 << 20)
def work():
    while True:
        fft.rfft(samples)
threading.Thread(target=work, daemon=True).start()
time.sleep(1.0)
print("said")
leave(3)
"""


def test_a_thread_still_at_work_does_not_abort_the_end():
    """One that comes out of C++ into an interpreter that has ended would."""
    environment = os.environ | {"PYTHONPATH": ROOT}
    done = subprocess.run(
        [sys.executable, "-c", BUSY], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, "said\n", "")


def test_an_orphan_does_not_begin():
    program = "from appliance.daemon import Daemon; d = Daemon('x'); print(d.stop.is_set())"
    environment = os.environ | {"PYTHONPATH": ROOT, PARENT_VARIABLE: "1"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout == "True\n"
