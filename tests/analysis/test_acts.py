"""What analysis tells the guard beside its scores: kept until the guard has taken it, in its order."""

import select
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance import wire
from appliance.analysis.process import Analysis
from appliance.analysis.recorder import Recorder
from appliance.config import Config
from appliance.daemon import Daemon
from appliance.records import ModelAct

WORDS = "w" * 100_000
"""A hundred of them are more than a link holds: 4 MiB."""


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    kept = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT), threading.excepthook
    one = Daemon("test")
    yield one
    one.stop.set()
    signal.signal(signal.SIGTERM, kept[0])
    signal.signal(signal.SIGINT, kept[1])
    threading.excepthook = kept[2]


def test_a_guard_that_does_not_read_for_a_while_loses_no_act(tmp_path: Path, daemon: Daemon) -> None:
    config = Config(state_dir=tmp_path, run_dir=tmp_path)
    analysis = Analysis(config, daemon, Recorder(config, b""))
    for number in range(100):
        analysis.tell(ModelAct("de", f"test.{number}", WORDS))
    listener = wire.Listener(config.socket_path)
    worker = daemon.start("serve", analysis.serve)
    select.select([listener], [], [], 5.0)
    link = listener.accept()
    time.sleep(0.5)
    heard: list[str] = []
    deadline_s = time.monotonic() + 10.0
    while len(heard) < 100 and time.monotonic() < deadline_s:
        message = link.receive()
        if isinstance(message, ModelAct):
            heard.append(message.event)
        elif message is None:
            time.sleep(0.01)
    daemon.stop.set()
    worker.join()
    link.close()
    listener.close()
    assert heard == [f"test.{number}" for number in range(100)]
