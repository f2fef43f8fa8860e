"""The recorder: whole or absent under kill -9, in time, within its quota, and waiting for no model."""

import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from appliance_processes import Folder, eventually

from appliance.analysis.recorder import Recorder
from appliance.config import Config, Evidence
from appliance.records import Capture, Event, EventKind, Notice, SampleBlock
from hw.evidence_read import read_evidence, read_head

ROOT = Path(__file__).resolve().parents[2]
S = 1_000_000_000
RATE_HZ = 25_600.0
N = 2_560


def full(tmp_path: Path, **evidence: float) -> Recorder:
    """A recorder that holds 18 s of a three-axis 25.6 kHz sensor."""
    one = Recorder(Config(state_dir=tmp_path, evidence=Evidence(**evidence)), b"")  # type: ignore[arg-type]
    one._folder.tidy()
    for n in range(180):
        block = SampleBlock("de", n, n * S // 10, RATE_HZ, 3, 0.005, bytes([n, n >> 4]) * (3 * N))
        one._ring.take(block, 0.0)
    return one


def ask(one: Recorder, name: str, kind: EventKind = EventKind.ALARM, at_s: float = 12.0) -> None:
    event = Event(kind, "alarm.raised", "alarm", "words", round(at_s * S), 7, "ntp", "de.rms", evidence=name)
    one._ring.take(Notice(event), 0.0)
    one._ring.take(Capture(name, event.at_mono_ns, event.message), 0.0)


def files(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "evidence").iterdir())


def test_killed_at_any_moment_it_leaves_whole_files_or_none() -> None:
    command = [sys.executable, str(ROOT / "tools" / "torture_evidence"), "8", "--seed", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    whole, unfinished = map(int, re.findall(r"(\d+) (?:files whole|absent)", done.stdout))
    assert whole > 0
    assert unfinished > 0


def test_fifteen_seconds_are_on_disk_long_before_two(tmp_path: Path) -> None:
    one = full(tmp_path)
    ask(one, "1-de.rms")
    began_s = time.perf_counter()
    one._write()
    took_s = time.perf_counter() - began_s
    [track], meta, _ = read_evidence(tmp_path / "evidence" / "1-de.rms.npz", sealed=True)
    print(f"evidence of 15 s, 3 axes, 25.6 kHz on disk after {took_s * 1e3:.0f} ms")
    assert track.counts.shape == (150 * N, 3)
    assert track.t0_utc_ns == 7 - 12 * S + track.t0_mono_ns
    assert meta["reason"] == "words"
    assert took_s < 1.5


def test_a_trip_is_protected_and_an_alert_is_not(tmp_path: Path) -> None:
    one = full(tmp_path)
    ask(one, "1-de.rms", at_s=10.0)
    ask(one, "2-de.peak", EventKind.TRIP, at_s=12.0)
    one._write(last=True)
    assert files(tmp_path) == ["1-de.rms.npz", "2-de.peak.protected.npz"]


def test_alarms_of_one_second_are_one_file_named_after_the_trip(tmp_path: Path) -> None:
    one = full(tmp_path)
    ask(one, "1-de.rms")
    ask(one, "1-de.peak", EventKind.TRIP)
    ask(one, "1-de.velocity")
    one._write()
    assert files(tmp_path) == ["1-de.peak.protected.npz"]
    head = read_head(tmp_path / "evidence" / files(tmp_path)[0])
    assert head["names"] == ["1-de.rms", "1-de.peak", "1-de.velocity"]


def test_the_quota_holds(tmp_path: Path) -> None:
    one = full(tmp_path, most_files=4, most_mb=6.0)
    for n in range(5):
        ask(one, f"{n}-de.rms")
        one._write()
    assert files(tmp_path) == ["3-de.rms.npz", "4-de.rms.npz"]  # 2.3 MB each


def test_what_is_larger_than_the_quota_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = full(tmp_path, most_mb=2.0)
    ask(one, "1-de.rms")
    one._write()
    assert files(tmp_path) == []
    assert "evidence 1-de.rms not written" in caplog.text
    assert "raise evidence.most_mb" in caplog.text


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = full(tmp_path)
    ask(one, "1-de.rms")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    try:
        one._write()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert files(tmp_path) == []
    assert "evidence 1-de.rms not written" in caplog.text
    ask(one, "2-de.rms")
    one._write()
    assert files(tmp_path) == ["2-de.rms.npz"]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    one = Folder(tmp_path)
    yield one
    one.close()


def test_a_model_that_hangs_delays_no_evidence(folder: Folder) -> None:
    """The thread that makes windows never comes back; evidence is kept all the same."""
    folder.write(fault=(40.0, 40.0))
    (folder.folder / "state" / "evidence").mkdir(parents=True)
    half = folder.folder / "state" / "evidence" / ".1-de.rms.npz.99.tmp"
    half.write_bytes(b"half")
    folder.start("guard")
    program = (
        "import sys, time\n"
        "from appliance import cli\n"
        "from appliance.analysis.stream import SensorStream\n"
        "SensorStream.push = lambda *_: time.sleep(1e6)\n"
        "sys.exit(cli.main(['analysis', sys.argv[1]]))\n"
    )
    with (folder.folder / "analysis.log").open("wb") as log:
        command = [sys.executable, "-c", program, str(folder.config)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
    try:
        eventually(lambda: "evidence /" in folder.log("analysis"), 25.0, "evidence")
    finally:
        process.kill()
        process.wait()
    assert list(half.parent.glob("[!.]*.npz"))  # beside it the next may have been cut off half way
    assert not half.exists()
