"""The demo as a user runs it: to its end, with processes killed, without Mosquitto, stopped half-way."""

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import simulated
from PIL import Image

from appliance.cli import main

LONGEST_S = 170.0
NO_MOSQUITTO = """import shutil, sys
which = shutil.which
shutil.which = lambda name, *how, **more: None if name == "mosquitto" else which(name, *how, **more)
from appliance.cli import main
sys.exit(main(sys.argv[1:]))
"""
BROKER = bool(shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin"))
needs_mosquitto = pytest.mark.skipif(not BROKER, reason="mosquitto is not installed (apt install mosquitto)")


class Demo:
    """One run of `appliance demo` in a folder of its own."""

    def __init__(self, folder: Path, *, mosquitto: bool = True) -> None:
        self.folder = folder
        self.picture = folder / "pictures" / "demo.png"
        code = ["-m", "appliance"] if mosquitto else ["-c", NO_MOSQUITTO]
        arguments = ["demo", "--folder", str(folder / "run"), "--picture", str(self.picture)]
        self.started_s = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-u", *code, *arguments],
            env=simulated.ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
        )
        self.out = ""

    def read_until(self, words: str) -> None:
        """Follow its output up to the line with these words."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.out += line
            if words in line:
                return
        pytest.fail(f"no {words!r} in:\n{self.out}")

    def end(self) -> int:
        """Its exit status; also reads the rest of its output."""
        left_s = LONGEST_S - (time.monotonic() - self.started_s)
        self.out += self.process.communicate(timeout=max(1.0, left_s))[0]
        return self.process.returncode

    def pids(self) -> dict[str, int]:
        """The processes it started, from the first line of the timeline."""
        line = next(line for line in self.out.splitlines() if " guard " in line and " uplink " in line)
        return {name: int(pid) for name, pid in re.findall(r"(guard|analysis|uplink) (\d+)", line)}

    def still_running(self) -> list[str]:
        """Command lines that name this demo's folder; its processes and the broker all do."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        return [line for line in found if str(self.folder) in line]

    def all_ended(self) -> bool:
        deadline_s = time.monotonic() + 6.0
        while self.still_running() and time.monotonic() < deadline_s:
            time.sleep(0.1)
        return not self.still_running()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10.0)
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Demo]]:
    """All long runs at once: each mostly waits."""
    started = {}
    if BROKER:
        started["plain"] = Demo(tmp_path_factory.mktemp("plain"))
        started["killed"] = Demo(tmp_path_factory.mktemp("killed"))
    if importlib.util.find_spec("amqtt"):
        started["amqtt"] = Demo(tmp_path_factory.mktemp("amqtt"), mosquitto=False)
    yield started
    for demo in started.values():
        demo.close()


def passed(demo: Demo) -> None:
    """The summary is there, every check of it held, and nothing is left running."""
    assert demo.end() == 0, demo.out
    assert time.monotonic() - demo.started_s < LONGEST_S
    _, _, summary = demo.out.partition("\nSummary\n")
    for words in ("trip latency", "block -> verdict", "window -> score", "duplicates            0", "broker"):
        assert words in summary
    for check in (
        "relay dropped",
        "machine learnt and scored",
        "Alert before the trip",
        "delivered = produced",
    ):
        assert re.search(rf"ok +{re.escape(check)}", summary), summary
    assert "FAIL" not in summary
    match = re.search(r"events +(\d+) produced, (\d+) delivered", summary)
    assert match
    assert match[1] == match[2]
    assert int(match[1]) >= 6
    latency = re.search(r"trip latency +([\d.]+) ms", summary)
    assert latency
    assert 0 < float(latency[1]) < 50
    assert "Traceback" not in demo.out
    assert "Traceback" not in (demo.folder / "run" / "processes.log").read_text()
    assert demo.all_ended(), demo.still_running()
    with Image.open(demo.picture) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert min(pixels.shape[:2]) > 600
    assert pixels.std() > 10
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 100


def tripped_by_hard_limit(demo: Demo) -> bool:
    return bool(re.search(r"GUARD .*Danger on de\.(peak|rms): .*relay dropped", demo.out))


@pytest.mark.slow
@needs_mosquitto
def test_with_processes_killed(demos: dict[str, Demo]) -> None:
    """kill −9 of analysis stops no trip, kill −9 of uplink loses no event."""
    demo = demos["killed"]
    demo.read_until("begins to grow")
    os.kill(demo.pids()["analysis"], signal.SIGKILL)
    demo.read_until("relay dropped")
    os.kill(demo.pids()["uplink"], signal.SIGKILL)
    passed(demo)
    assert "analysis ended with -9; restarting it" in demo.out
    assert "uplink ended with -9; restarting it" in demo.out
    assert re.search(r"processes restarted +2", demo.out)
    assert tripped_by_hard_limit(demo)


@pytest.mark.slow
@needs_mosquitto
def test_to_its_end(demos: dict[str, Demo]) -> None:
    demo = demos["plain"]
    passed(demo)
    order = [
        "broker up",
        "in force",
        "broker gone",
        "begins to grow",
        "Alert on de.score",
        "relay dropped",
        "broker back",
    ]
    at = [demo.out.index(words) for words in order]
    assert at == sorted(at)
    assert "(late)" not in demo.out[at[1] : at[-1]]  # before: what preceded the first connection
    assert "(late)" in demo.out[at[-1] :]
    assert demo.out.count("trip.fired") == 1
    assert "Mosquitto" in demo.out
    assert re.search(r"processes restarted +0", demo.out)
    assert tripped_by_hard_limit(demo)


@pytest.mark.slow
def test_without_mosquitto(demos: dict[str, Demo]) -> None:
    """The embedded broker from PyPI speaks MQTT 3.1.1 only."""
    if "amqtt" not in demos:
        pytest.skip("amqtt is not installed (pip install amqtt)")
    demo = demos["amqtt"]
    passed(demo)
    assert "amqtt, an embedded broker" in demo.out


@needs_mosquitto
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_half_way_it_leaves_nothing_running(tmp_path: Path, number: int, status: int) -> None:
    demo = Demo(tmp_path)
    try:
        demo.read_until("boot")
        assert len(demo.still_running()) == 5  # the demo, three processes, the broker
        demo.process.send_signal(number)
        assert demo.end() == status
        assert "Traceback" not in demo.out
        assert demo.all_ended(), demo.still_running()
    finally:
        demo.close()


@pytest.mark.parametrize("name", ["demo", "demo.txt", "folder.png"])
def test_a_picture_that_cannot_be(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    (tmp_path / "folder.png").mkdir()
    arguments = ["demo", "--folder", str(tmp_path / "run"), "--picture", str(tmp_path / name)]
    assert main(arguments) == 1
    assert f"{tmp_path / name}: expected the name of a .png file" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_folder_of_an_earlier_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "state").mkdir()
    assert main(["demo", "--folder", str(tmp_path)]) == 1
    assert "found state in it, expected an empty folder" in capsys.readouterr().err
    file = tmp_path / "file"
    file.write_text("x")
    assert main(["demo", "--folder", str(file)]) == 1
    assert "expected a folder" in capsys.readouterr().err
