"""The analysis process beside a real guard on the simulated machine, twenty times faster than real time."""

import contextlib
import hashlib
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import simulated
from simulated import Learnt

from appliance import wire
from appliance.analysis import bundle as bundles
from appliance.analysis import provenance, slots
from appliance.analysis.alarm_record import ALARM, AlarmRecord
from appliance.cli import main
from appliance.records import Event, GuardState, Hello, Notice, Quality, Score
from hw.evidence_read import read_evidence
from hw.recording import load

CONFIG = """state_dir = "state"
run_dir = "run"
temperature = []
[simulation]
speed = 20
resonance_hz = 600
faults = [{faults}]
[[vibration]]
driver = "sim"
name = "de"
rate_hz = 2000
axes = 2
[analysis]
window_s = 0.25
learn_s = 5
[models]
latency_ms = 5000
[uplink]
enabled = false
"""
"""No window is late, however busy this computer is: what a late one means to a candidate is test_trial's."""
FAULT = '{ kind = "outer_race", start_s = 240, full_s = 240, severity = 0.6 }'
PATIENCE_S = 40.0


class Rig:
    """A folder with a configuration, and the processes started on it."""

    def __init__(self, folder: Path, faults: str = "") -> None:
        self.folder = folder
        self.config = folder / "appliance.toml"
        self.config.write_text(CONFIG.format(faults=faults))
        self.log = folder / "log"
        self.environment = simulated.ENVIRONMENT | {"APPLIANCE_SIM_EPOCH_NS": str(time.monotonic_ns())}
        self.processes: list[subprocess.Popen[str]] = []
        self.events: list[Event] = []

    def start(self, name: str) -> subprocess.Popen[str]:
        with self.log.open("a") as log:
            process = simulated.start(name, self.config, env=self.environment, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def wait_for(self, wanted: Callable[[Score], bool]) -> Score:
        """The first score of the guard's state that is wanted."""
        link: wire.Link | None = None
        deadline_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline_s:
            try:
                link = link or wire.connect(self.folder / "run" / "guard.sock", Hello("status"))
                message = link.receive()
            except (OSError, wire.Closed):
                link = None
                time.sleep(0.02)
                continue
            if message is None:
                time.sleep(0.01)
            if isinstance(message, Notice):
                self.events.append(message.event)
            if isinstance(message, GuardState):
                found = next((score for score in message.scores if wanted(score)), None)
                if found:
                    link.close()
                    return found
        pytest.fail(f"nothing came within {PATIENCE_S:.0f} s; log:\n{self.log.read_text()}")

    def logged(self, words: str) -> bool:
        return words in self.log.read_text()

    def wait_for_log(self, words: str) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while not self.logged(words):
            assert time.monotonic() < deadline_s, f"no {words!r} in:\n{self.log.read_text()}"
            time.sleep(0.05)

    @property
    def bundles(self) -> Path:
        return self.folder / "state" / "bundles" / "de"

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(6.0)
            if process.poll() is None:
                process.kill()
                process.wait()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    made: list[Rig] = []

    def make(faults: str = "") -> Rig:
        made.append(Rig(tmp_path, faults))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def second(pump: Learnt, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another sound bundle of the same machine."""
    folder = tmp_path_factory.mktemp("second") / "bundle"
    recording = str(pump.healthy)
    assert main(["learn", recording, "--window-s", "0.25", "--seed", "5", "--out", str(folder)]) == 0
    return folder


def scored(score: Score) -> bool:
    return score.quality is Quality.OK and score.value is not None


def flip_a_bit(bundle: Path) -> None:
    data = bytearray((bundle / "model.tflite").read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / "model.tflite").write_bytes(data)


def test_it_learns_scores_and_keeps_evidence(rig: Callable[..., Rig]) -> None:
    one = rig(FAULT)
    one.start("guard")
    analysis = one.start("analysis")
    learning = one.wait_for(lambda score: score.quality is Quality.LEARNING)
    assert learning.model == ""
    good = one.wait_for(scored)
    active = slots.active(one.bundles)
    assert active is not None
    assert good.model == active.id
    one.wait_for_log(f"de: learnt {active.id}")
    assert good.threshold == active.threshold
    worn = one.wait_for(lambda score: scored(score) and score.value > 2 * score.threshold)  # type: ignore[operator]
    assert worn.top
    one.wait_for_log("evidence ")
    [path, *_] = (one.folder / "state" / "evidence").glob("*.npz")
    recording = load(path)
    assert (recording.rate_hz, recording.accel.shape[1]) == (pytest.approx(2000, rel=0.01), 2)
    assert len(recording.accel) / recording.rate_hz == pytest.approx(15.0, abs=0.3)
    _, meta, members = read_evidence(path, sealed=True)
    record = msgspec.json.decode(members[ALARM], type=AlarmRecord)
    assert members["config.toml"] == one.config.read_bytes()
    assert record.config_sha256 == hashlib.sha256(members["config.toml"]).hexdigest()
    assert [model.sha256 for model in record.models] == [active.manifest.model.sha256]
    assert {len(window.features) for window in record.windows} == {len(record.models[0].features)}
    assert record.windows[-1].score.t1_mono_ns - record.windows[0].score.t0_mono_ns > 8e9
    assert 5 <= len(record.states) <= 17
    with contextlib.closing(sqlite3.connect(one.folder / "state" / "events.db")) as db:
        rows = [msgspec.json.decode(row[0], type=Event) for row in db.execute("SELECT payload FROM outbox")]
    [event] = [event for event in rows if event.evidence == path.stem]
    assert (event.message, event.at_mono_ns) == (meta["reason"], meta["at_mono_ns"])
    assert event in record.events
    analysis.send_signal(signal.SIGTERM)
    assert analysis.wait(5.0) == 0


def test_it_survives_the_guard(rig: Callable[..., Rig], pump: Learnt) -> None:
    one = rig()
    bundle = slots.install(pump.bundle, one.bundles)
    guard, analysis = one.start("guard"), one.start("analysis")
    assert one.wait_for(scored).model == bundle.id
    for _ in range(2):
        guard.kill()
        guard.wait()
        one.wait_for_log("guard gone")
        assert analysis.poll() is None
        guard = one.start("guard")
        started_ns = time.monotonic_ns()
        epoch_ns = int(one.environment["APPLIANCE_SIM_EPOCH_NS"])
        later = one.wait_for(lambda s: scored(s) and s.t0_mono_ns > epoch_ns + 20 * (started_ns - epoch_ns))  # noqa: B023
        assert later.model == bundle.id
        assert later.value is not None
        assert analysis.poll() is None
    assert not one.logged("learnt")
    assert not one.logged("Traceback")


def test_a_damaged_bundle_gives_way_to_the_one_before(
    rig: Callable[..., Rig], pump: Learnt, second: Path
) -> None:
    one = rig()
    before = slots.install(pump.bundle, one.bundles)
    now = slots.install(second, one.bundles)
    assert before.id != now.id
    flip_a_bit(one.bundles / now.id)
    one.start("guard")
    one.start("analysis")
    assert one.wait_for(scored).model == before.id
    assert one.logged("de: active bundle refused")
    assert one.logged(f"de: going on with the previous bundle {before.id}")
    assert not one.logged("Traceback")


def test_a_candidate_is_tried_promoted_and_taken_up_while_it_runs(
    rig: Callable[..., Rig], pump: Learnt
) -> None:
    one, key = rig(), bytes(range(32))
    first, candidate = (provenance.issue(bundles.load(pump.bundle), key, serial=n) for n in (1, 2))
    slots.enforce(first, one.bundles)
    one.start("guard")
    one.start("analysis")
    assert one.wait_for(scored).model == first.id
    assert slots.offer(candidate, one.bundles) == slots.CANDIDATE
    shown = one.wait_for(lambda score: score.metrics.get("trial_windows", 0) > 20)
    assert shown.model == first.id
    assert shown.metrics["trial_agreement"] == 1.0
    one.wait_for_log(f"de: {candidate.id}: shadow passed")
    slots.promote(one.bundles, candidate.id)
    one.wait_for(lambda score: scored(score) and score.model == candidate.id)
    one.wait_for_log(f"de: {candidate.id}: probation passed")
    assert not one.logged("Traceback")


def no_bundle_left(one: Rig, pump: Learnt, second: Path) -> None:
    for source in (pump.bundle, second):
        flip_a_bit(one.bundles / slots.install(source, one.bundles).id)


def manifest_gone(one: Rig, pump: Learnt, _: Path) -> None:
    slots.install(pump.bundle, one.bundles)
    (one.bundles / "active" / "manifest.toml").unlink()


def dangling(one: Rig, pump: Learnt, _: Path) -> None:
    bundle = slots.install(pump.bundle, one.bundles)
    shutil.rmtree(one.bundles / bundle.id)


def of_another_rate(one: Rig, *_: object) -> None:
    [recording] = simulated.write("npz", one.folder / "other", simulated.accel(4000, 2, 10), 4000)
    folder = one.folder / "other"
    assert main(["learn", recording, "--window-s", "0.25", "--out", str(folder)]) == 0
    slots.install(folder, one.bundles)


@pytest.mark.parametrize("spoil", [no_bundle_left, manifest_gone, dangling, of_another_rate])
def test_without_a_usable_bundle_it_learns_anew(
    rig: Callable[..., Rig], pump: Learnt, second: Path, spoil: Callable[..., None]
) -> None:
    one = rig()
    spoil(one, pump, second)
    was = str((one.bundles / "active").readlink())
    one.start("guard")
    analysis = one.start("analysis")
    score = one.wait_for(scored)
    assert score.model != was
    assert str((one.bundles / "active").readlink()) == score.model
    assert bundles.load(one.bundles / "active").id == score.model
    assert one.logged("refused") or one.logged("learning anew")
    assert not one.logged("Traceback")
    assert analysis.poll() is None


def test_it_waits_for_a_guard_and_ends_when_asked(rig: Callable[..., Rig]) -> None:
    one = rig()
    analysis = one.start("analysis")
    time.sleep(1.0)
    assert analysis.poll() is None
    one.start("guard")
    one.wait_for(lambda score: score.quality is Quality.LEARNING)
    analysis.send_signal(signal.SIGTERM)
    assert analysis.wait(5.0) == 0
    assert not (one.bundles / "active").exists()
