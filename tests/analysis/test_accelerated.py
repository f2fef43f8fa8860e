"""Every window is scored, whatever the Edge TPU does; it is used again when it is well."""

import contextlib
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import simulated
from fake_tpu import VARIABLE, FakeTpu, children
from simulated import Learnt

from appliance import wire
from appliance.accelerators import EdgeTpuAccelerator
from appliance.analysis import slots
from appliance.analysis.accelerated import Acceleration, golden
from appliance.analysis.scorer import Scorer
from appliance.config import Config
from appliance.records import GuardState, Hello, MachineState, Quality, Score
from hw import litert
from hw.ports import PortError

PATIENCE_S = 20.0
pytestmark = pytest.mark.skipif(
    not litert.available("litert-xnnpack"),
    reason="ai-edge-litert is not installed: pip install ai-edge-litert",
)


class Broken:
    """A runner that never answers."""

    name = "broken"

    def invoke(self, _):
        raise PortError("broken")


class Bench:
    """An accelerator as configured, and the fake behind it."""

    def __init__(self, folder: Path, **settings) -> None:
        self.fake = FakeTpu(folder)
        wanted = EdgeTpuAccelerator(self.fake.path, deadline_ms=400, retry_s=0.05, **settings)
        self.acceleration = Acceleration(wanted)
        assert self.acceleration.device is not None
        self.device = self.acceleration.device

    def scorer(self, bundle) -> Scorer:
        return Scorer(self.acceleration.accelerate("de", bundle))

    def wait_until_in_use(self) -> None:
        wait(lambda: self.device.counts.healthy)


@pytest.fixture
def bench(tmp_path, monkeypatch):
    made = Bench(tmp_path, compiled=tmp_path / "compiled")
    monkeypatch.setenv(VARIABLE, made.fake.environment[VARIABLE])
    yield made
    made.acceleration.close()


def wait(condition: Callable[[], object]) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until_s, "waited in vain"
        time.sleep(0.01)


def score(**figures) -> Score:
    return Score("de", 0, 1, Quality.OK, MachineState.RUNNING, **figures)


def test_the_cpu_alone_is_the_default_and_changes_nothing(made):
    one = Acceleration(Config().accelerator)
    assert one.device is None
    assert one.accelerate("de", made) is made
    assert one.told(score(metrics={"a": 1.0})) == score(metrics={"a": 1.0})
    one.close()


def test_scores_are_the_cpus_whoever_answers(made, windows, bench):
    X = windows(6, 51, tone_hz=310)
    cpu = [Scorer(made).score(x) for x in X]
    scorer = bench.scorer(made)
    assert scorer.backend == "edgetpu, else litert-xnnpack"
    assert [scorer.score(x) for x in X] == cpu  # it has not started yet
    bench.wait_until_in_use()
    before = bench.device.counts
    assert [scorer.score(x) for x in X] == cpu
    assert bench.device.counts.invocations == before.invocations + len(X)
    assert bench.device.counts.fallbacks == before.fallbacks
    for word in ("corrupt", "invoke", "crash", "hang-invoke"):
        bench.fake.do(word)
        assert [scorer.score(x) for x in X] == cpu
        bench.fake.do("ok")
        bench.wait_until_in_use()
        assert [scorer.score(x) for x in X] == cpu


def test_the_accelerator_answers_while_it_is_well(made, windows, bench):
    scorer = bench.scorer(replace(made, runner=Broken()))
    bench.wait_until_in_use()
    x = windows(1, 52)[0]
    assert scorer.score(x) == Scorer(made).score(x)


def test_a_fault_of_the_cpu_is_not_hidden(made, windows, bench):
    bench.fake.do("refuse")
    with pytest.raises(PortError, match="broken"):
        bench.scorer(replace(made, runner=Broken())).score(windows(1, 53)[0])


def test_scores_tell_of_the_accelerator_and_the_log_of_its_changes(made, bench, caplog):
    caplog.set_level("INFO")
    one = bench.acceleration
    assert one.told(score(metrics={"vib_kurt": 3.0})).metrics == {
        "vib_kurt": 3.0,
        "accelerator_ok": 0.0,
        "accelerator_invocations": 0.0,
        "accelerator_fallbacks": 0.0,
        "accelerator_restarts": 0.0,
        "accelerator_golden_failures": 0.0,
    }
    bench.fake.do("refuse")
    bench.scorer(made)
    wait(lambda: bench.device.counts.fault)
    for _ in range(3):
        one.told(score())
    bench.fake.do("ok")
    bench.wait_until_in_use()
    for _ in range(3):
        assert one.told(score()).metrics["accelerator_ok"] == 1.0
    down, up = [record.getMessage() for record in caplog.records]
    assert down.startswith("accelerator down, the CPU scores: ")
    assert "(fake: no device)" in down
    assert up == "accelerator in use"


def test_a_compiled_model_comes_first_if_it_computes_the_same(made, other, windows, bench, tmp_path, caplog):
    folder = tmp_path / "compiled"
    folder.mkdir()
    path = folder / f"{made.id}_edgetpu.tflite"
    path.write_bytes(other.files["model.tflite"])  # somebody mistook the file
    x = windows(1, 54)[0]
    scorer = bench.scorer(made)
    wait(lambda: bench.device.counts.fault)
    assert "runs another model" in bench.device.counts.fault
    assert scorer.score(x) == Scorer(made).score(x)
    path.write_bytes(made.files["model.tflite"] + b"compiled")
    scorer = bench.scorer(made)
    bench.wait_until_in_use()
    assert scorer.score(x) == Scorer(made).score(x)
    path.unlink()
    path.mkdir()
    bench.scorer(made)
    assert "cannot be read (Is a directory)" in caplog.text
    bench.wait_until_in_use()


def test_golden_vectors_of_its_own_are_to_be_met_exactly(made):
    recorded = made.manifest.golden
    near = golden(made)
    assert near.allowed > 0
    assert np.array_equal(near.outputs, made.network.run(near.inputs))
    change = msgspec.structs.replace
    outputs = recorded.outputs | {"edgetpu": recorded.outputs["numpy"][::-1]}
    manifest = change(made.manifest, golden=change(recorded, outputs=outputs))
    own = golden(replace(made, manifest=manifest))
    assert own.allowed == 0
    assert np.array_equal(own.outputs, near.outputs[::-1])


CONFIG = """state_dir = "state"
run_dir = "run"
temperature = []
[simulation]
resonance_hz = 600
[[vibration]]
driver = "sim"
name = "de"
rate_hz = 2000
axes = 2
[analysis]
window_s = 0.25
settle_s = 0.5
[accelerator]
driver = "edgetpu"
library = "{library}"
deadline_ms = {deadline_ms}
start_s = 1.5
retry_s = 0.02
[uplink]
enabled = false
"""
DEADLINE_MS = 60.0
CPU_MS = 1000.0
"""For features and the CPU's inference on a machine busy with other tests; a hang would last for ever."""
WHILE_IN_USE = ("invoke", "hang-invoke", "crash", "corrupt", "unplug")
ANSWERS = ("invocations", "fallbacks")
"""Given and not given; each window has one."""
AT_START = ("refuse", "silent", "prepare", "hang-create", "crash-create")


class Rig:
    """Guard and analysis as processes on the simulated machine, in real time."""

    def __init__(self, folder: Path, bundle: Path) -> None:
        self.fake = FakeTpu(folder)
        config = folder / "appliance.toml"
        config.write_text(CONFIG.format(library=self.fake.path, deadline_ms=DEADLINE_MS))
        slots.install(bundle, folder / "state" / "bundles" / "de")
        self.log = folder / "log"
        environment = (
            simulated.ENVIRONMENT
            | {"APPLIANCE_SIM_EPOCH_NS": str(time.monotonic_ns())}
            | self.fake.environment
        )
        with self.log.open("a") as log:
            self.guard, self.analysis = (
                simulated.start(name, config, env=environment, stdout=log, stderr=log)
                for name in ("guard", "analysis")
            )
        self._socket = folder / "run" / "guard.sock"
        self._link: wire.Link | None = None
        self.scores: list[Score] = []

    def listen(self, until: Callable[[], bool]) -> None:
        """Gather scores, each once, until `until`."""
        until_s = time.monotonic() + PATIENCE_S
        while not until():
            assert time.monotonic() < until_s, self.log.read_text()
            with contextlib.suppress(OSError):
                self._link = self._link or wire.connect(self._socket, Hello("status"))
            message = self._link.receive() if self._link else None
            if message is None:
                time.sleep(0.002)
            elif isinstance(message, GuardState):
                self.scores += [
                    s for s in message.scores if not self.scores or s.t0_mono_ns > self.scores[-1].t0_mono_ns
                ]

    def listen_on(self, windows: int) -> None:
        wanted = len(self.scores) + windows
        self.listen(lambda: len(self.scores) >= wanted)

    def listen_for(self, *, accelerator_ok: float) -> None:
        self.listen(
            lambda: bool(self.scores) and self.scores[-1].metrics.get("accelerator_ok") == accelerator_ok
        )

    def count(self, key: str) -> float:
        return self.scores[-1].metrics[f"accelerator_{key}"]

    def close(self) -> None:
        if self._link:
            self._link.close()
        for process in (self.analysis, self.guard):
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(6.0)
            if process.poll() is None:
                process.kill()
                process.wait()


@pytest.fixture
def rig(tmp_path: Path, pump: Learnt) -> Iterator[Rig]:
    made = Rig(tmp_path, pump.bundle)
    yield made
    made.close()


def running(score: Score) -> bool:
    return score.quality is Quality.OK and score.value is not None


def test_every_fault_falls_back_within_its_window_and_returns(rig: Rig) -> None:
    rig.listen(lambda: bool(rig.scores) and running(rig.scores[-1]))
    rig.listen_for(accelerator_ok=1.0)
    first = len(rig.scores)
    for word in (*WHILE_IN_USE, *AT_START):
        before = rig.count("fallbacks")
        rig.fake.do("crash" if word in AT_START else word)
        rig.listen_for(accelerator_ok=0.0)
        rig.fake.do(word)
        rig.listen_on(4)
        if word in AT_START:
            tried = rig.count("restarts") + 2  # the first of them has failed when the second is made
            rig.listen(lambda: rig.count("restarts") >= tried)  # noqa: B023
        assert rig.count("fallbacks") >= before + 4
        assert rig.count("ok") == 0.0
        invocations = rig.count("invocations")
        rig.fake.do("ok")
        rig.listen_for(accelerator_ok=1.0)
        rig.listen(lambda: rig.count("invocations") > invocations)  # noqa: B023
    scores = rig.scores[first:]
    assert all(running(score) for score in scores)
    hops = np.diff([score.t0_mono_ns for score in scores]) / 1e9 / 0.125
    answers = [sum(score.metrics[f"accelerator_{kind}"] for kind in ANSWERS) for score in scores]
    assert hops == pytest.approx(hops.round(), abs=0.08)
    assert (np.diff(answers) >= hops.round()).all()  # a state may leave one out, but no window is missing
    assert max(score.compute_ms for score in scores) < DEADLINE_MS + CPU_MS
    assert max(score.value / score.threshold for score in scores if score.value and score.threshold) < 1.0
    assert rig.count("restarts") >= len(WHILE_IN_USE) + len(AT_START)
    assert rig.count("golden_failures") >= 1
    assert rig.analysis.poll() is None
    assert len(children(rig.analysis.pid)) == 1  # neither a zombie nor a forgotten worker
    log = rig.log.read_text()
    assert "Traceback" not in log
    for words in ("USB transfer error", "it hangs", "SIGSEGV", "steps off", "no device", "it gave no reason"):
        assert re.search(f"accelerator down.*{words}", log), words


def test_the_worker_ends_with_the_process(rig: Rig) -> None:
    rig.listen_for(accelerator_ok=1.0)
    [worker] = children(rig.analysis.pid)
    rig.analysis.kill()
    rig.analysis.wait()
    wait(lambda: not Path(f"/proc/{worker}").exists())
