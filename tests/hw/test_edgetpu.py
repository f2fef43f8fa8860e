"""The Edge TPU driver against a delegate that misbehaves in every way seen in the field."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from fake_tpu import VARIABLE, FakeTpu, children, network

from appliance.analysis import tflite
from hw import litert
from hw.edgetpu import EdgeTpu, EdgeTpuModel, Golden
from hw.ports import PortError

ROOT = Path(__file__).resolve().parents[2]
MODEL = network(1)
DEADLINE_S = 0.4
"""Far above what is needed, so that a busy machine fails no test that is not about time."""
SPARE_S = 0.25
PATIENCE_S = 15.0

pytestmark = pytest.mark.skipif(
    not litert.available("litert-xnnpack"),
    reason="ai-edge-litert is not installed: pip install ai-edge-litert",
)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeTpu:
    made = FakeTpu(tmp_path)
    monkeypatch.setenv(VARIABLE, made.environment[VARIABLE])
    return made


@pytest.fixture
def device(fake: FakeTpu) -> Iterator[Callable[..., EdgeTpu]]:
    """Opens devices; all are closed afterwards and have left no process behind."""
    before, opened = children(), []

    def open_device(library: str | None = None, **how: float) -> EdgeTpu:
        settings = {"deadline_s": DEADLINE_S, "start_s": 8.0, "retry_s": 0.05, "golden_s": 300.0} | how
        opened.append(EdgeTpu(library or fake.path, **settings))
        return opened[-1]

    yield open_device
    for one in opened:
        one.close()
    assert children() <= before


def golden(model=MODEL, seed=9, n=4) -> Golden:
    inputs = vectors(seed, n)
    return Golden(inputs, model.run(inputs))


def vectors(seed: int, n: int):
    return np.random.default_rng(seed).integers(-128, 128, (n, MODEL.inputs)).astype(np.int8)


def load(device: EdgeTpu, owner: str = "de", model=MODEL, seed=9) -> EdgeTpuModel:
    return device.load(owner, tflite.write(model), golden(model, seed))


def wait(condition: Callable[[], object]) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until_s, "waited in vain"
        time.sleep(0.01)


def ask(model: EdgeTpuModel, x) -> bool:
    """One inference, in time and right, or refused in time. True if it was answered."""
    began_s = time.monotonic()
    try:
        y = model.invoke(x)
    except PortError:
        return False
    else:
        assert np.array_equal(y, MODEL.run(x))
        return True
    finally:
        assert time.monotonic() - began_s < DEADLINE_S + SPARE_S


def is_gone(pid: int) -> bool:
    """Neither running nor a zombie."""
    return not Path(f"/proc/{pid}").exists()


def test_it_computes_what_numpy_does_and_counts(device):
    one = device()
    model = load(one)
    wait(lambda: one.counts.healthy)
    for x in vectors(2, 200):
        assert np.array_equal(model.invoke(x), MODEL.run(x))
    counts = one.counts
    assert (counts.invocations, counts.fallbacks, counts.restarts, counts.golden_failures) == (200, 0, 0, 0)
    assert counts.fault == ""
    assert model.name == "edgetpu"


def test_it_refuses_at_once_while_it_starts_and_never_starts_unasked(device):
    one = device()
    assert one.pid == 0
    model = load(one)
    began_s = time.monotonic()
    with pytest.raises(PortError, match="not ready"):
        model.invoke(vectors(2, 1)[0])
    assert time.monotonic() - began_s < 0.02
    assert one.counts.fallbacks == 1


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("refuse", r"no usable device \(fake: no device\)"),
        ("silent", r"no usable device \(it gave no reason\)"),
        ("unplug", r"no usable device \(fake: no device\)"),
        ("prepare", "refuses the model .*Failed to prepare for TPU"),
        ("idle", "no operation of the model runs on the Edge TPU.*edgetpu_compiler"),
        ("crash-create", r"the worker ended \(SIGSEGV\)"),
        ("crash", r"the worker (ended|is gone) \(SIGSEGV\)"),
        ("hang-create", "no answer in time: it hangs"),
        ("hang-invoke", "no answer in time: it hangs"),
        ("invoke", "inference failed .*USB transfer error"),
        ("corrupt", r"golden vector 0 wrongly, 64 steps off, expected at most 0"),
    ],
)
def test_a_faulty_start_is_told_in_words_and_tried_again(device, fake, word, words):
    fake.do(word)
    one = device(start_s=1.2 if word.startswith("hang") else 10.0)
    model = load(one)
    wait(lambda: one.counts.fault)
    assert not ask(model, vectors(2, 1)[0])
    first = one.pid
    fake.do("ok")
    assert re.search(words, one.counts.fault), one.counts.fault
    wait(lambda: one.counts.healthy)
    assert ask(model, vectors(2, 1)[0])
    assert one.counts.restarts >= 1
    assert one.counts.golden_failures == (0 if word != "corrupt" else one.counts.restarts)
    assert is_gone(first)


@pytest.mark.parametrize("word", ["invoke", "unplug", "crash", "hang-invoke", "corrupt"])
def test_a_fault_in_use_costs_one_deadline_and_then_nothing(device, fake, word):
    one = device()
    model = load(one)
    wait(lambda: one.counts.healthy)
    X = vectors(2, 50)
    assert all(ask(model, x) for x in X[:10])
    first = one.pid
    fake.do(word)
    assert not ask(model, X[10])
    began_s = time.monotonic()
    assert not any(ask(model, x) for x in X[11:20])
    assert time.monotonic() - began_s < 0.1
    wait(lambda: is_gone(first))
    fake.do("ok")
    wait(lambda: one.counts.healthy)
    assert all(ask(model, x) for x in X)
    counts = one.counts
    assert (counts.invocations, counts.fallbacks) == (60, 10)
    assert counts.restarts >= 1
    assert counts.fault


def test_a_deadline_is_kept(device, fake):
    one = device(deadline_s=0.05)
    model = load(one)
    wait(lambda: one.counts.healthy)
    fake.do("hang-invoke")
    began_s = time.monotonic()
    with pytest.raises(PortError, match="hangs"):
        model.invoke(vectors(2, 1)[0])
    assert 0.05 <= time.monotonic() - began_s < 0.1


@pytest.mark.parametrize("word", ["corrupt", "hang-invoke", "unplug"])
def test_an_idle_device_is_checked_too(device, fake, word):
    one = device(golden_s=0.2)
    load(one)
    wait(lambda: one.counts.healthy)
    fake.do(word)
    wait(lambda: not one.counts.healthy)
    assert one.counts.invocations == 0
    fake.do("ok")
    wait(lambda: one.counts.healthy)


def test_library_missing_or_something_else(device):
    for library, words in (
        ("libnowhere.so.1", "install libedgetpu"),
        ("libm.so.6", "no TensorFlow Lite delegate"),
    ):
        one = device(library)
        load(one)
        wait(lambda: one.counts.fault)  # noqa: B023
        assert library in one.counts.fault
        assert words in one.counts.fault


def test_starts_become_rarer_while_they_fail(device, fake):
    fake.do("refuse")
    one = device(retry_s=0.2)
    load(one)
    wait(lambda: one.counts.restarts >= 1)
    time.sleep(2.0)
    assert 2 <= one.counts.restarts <= 4  # after 0.2, 0.6, 1.4, 3.0 s and what the starts take


def test_after_a_fault_in_use_it_rests_first(device, fake):
    one = device(retry_s=0.6)
    model = load(one)
    wait(lambda: one.counts.healthy)
    fake.do("invoke")
    assert not ask(model, vectors(2, 1)[0])
    fake.do("ok")
    time.sleep(0.4)
    assert one.counts.restarts == 0
    wait(lambda: one.counts.healthy)
    assert one.counts.restarts == 1


@pytest.mark.parametrize("word", ["ok", "hang-create", "refuse"])
def test_closing_takes_no_time_and_leaves_nothing(device, fake, word):
    fake.do(word)
    before = children()
    one = device(start_s=60.0, retry_s=60.0)
    model = load(one)
    wait(lambda: children() - before)
    if word == "refuse":
        wait(lambda: one.counts.fault)
    if word == "hang-create":
        time.sleep(0.3)
    began_s = time.monotonic()
    one.close()
    assert time.monotonic() - began_s < 1.0
    assert children() <= before
    assert not ask(model, vectors(2, 1)[0])


def test_all_sensors_share_one_process(device):
    one = device()
    other = network(2)
    first, second = load(one), load(one, "nde", other)
    wait(lambda: one.counts.healthy)
    x = vectors(3, 1)[0]
    wait(lambda: ask(first, x))
    assert np.array_equal(second.invoke(x), other.run(x))
    assert len(children()) == 1


def test_a_new_model_takes_the_place_of_the_old(device):
    one = device()
    old = load(one)
    assert load(one) is old
    wait(lambda: one.counts.healthy)
    other = network(2)
    new = load(one, model=other)
    x = vectors(3, 1)[0]
    with pytest.raises(PortError):
        new.invoke(x)
    wait(lambda: new in one._serving)
    assert np.array_equal(new.invoke(x), other.run(x))
    with pytest.raises(PortError):
        old.invoke(x)
    assert one.counts.healthy
    assert one.counts.fault == ""


def test_the_golden_vectors_of_another_model_are_noticed(device):
    one = device()
    one.load("de", tflite.write(network(2)), golden(MODEL))
    wait(lambda: one.counts.fault)
    assert "runs another model" in one.counts.fault
    assert one.counts.golden_failures >= 1


def test_a_wrong_input_is_refused_and_harms_nothing(device):
    one = device()
    model = load(one)
    wait(lambda: one.counts.healthy)
    for wrong in (np.zeros(5, np.int8), np.zeros(20, np.float32), np.zeros((1, 20), np.int8)):
        with pytest.raises(PortError, match="expected int8"):
            model.invoke(wrong)
    assert ask(model, vectors(2, 1)[0])
    assert one.counts.restarts == 0


PARENT = """
import sys, time
import numpy as np
sys.path[:0] = [{tests!r}]
from fake_tpu import network
from appliance.analysis import tflite
from hw.edgetpu import EdgeTpu, Golden
model = network(1)
x = np.zeros((1, 20), np.int8)
device = EdgeTpu({library!r}, start_s=60.0)
device.load("de", tflite.write(model), Golden(x, model.run(x)))
while not ({wanted}):
    time.sleep(0.01)
time.sleep({more_s})
print(device.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("word", "wanted", "more_s"), [("ok", "device.counts.healthy", 0.0), ("hang-create", "device.pid", 1.0)]
)
def test_the_worker_dies_with_its_parent_whatever_it_hangs_in(fake, word, wanted, more_s):
    fake.do(word)
    program = textwrap.dedent(PARENT).format(
        tests=str(ROOT / "tests"), library=fake.path, wanted=wanted, more_s=more_s
    )
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    assert not is_gone(worker)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    wait(lambda: is_gone(worker))
    parent.stdout.close()
