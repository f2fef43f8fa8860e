"""The contract of hw.ports.Accelerator, for all that runs a model: numpy, LiteRT, an Edge TPU (a fake)."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fake_tpu import VARIABLE, FakeTpu, network

from appliance.analysis import tflite
from appliance.analysis.runner import NumpyRunner
from hw import litert
from hw.edgetpu import EdgeTpu, Golden
from hw.ports import Accelerator, PortError

MODEL = network(7)
DATA = tflite.write(MODEL)
BACKENDS = ("numpy", *litert.RUNTIMES, "edgetpu")
PATIENCE_S = 20.0


def vectors(n: int, seed: int = 1):
    return np.random.default_rng(seed).integers(-128, 128, (n, MODEL.inputs)).astype(np.int8)


@pytest.fixture(params=BACKENDS)
def backend(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Accelerator]:
    name = request.param
    package = "litert-xnnpack" if name == "edgetpu" else name
    if name != "numpy" and not litert.available(package):
        pytest.skip(f"{litert.RUNTIMES[package]} is not installed")
    if name == "numpy":
        yield NumpyRunner(MODEL)
    elif name in litert.RUNTIMES:
        yield litert.Interpreter(DATA, name)
    else:
        fake = FakeTpu(tmp_path)
        monkeypatch.setenv(VARIABLE, fake.environment[VARIABLE])
        yield from edgetpu(fake.path)


def edgetpu(library: str) -> Iterator[Accelerator]:
    """A model on the device, in use."""
    device = EdgeTpu(library, deadline_s=5.0)
    inputs = vectors(4, seed=9)
    model = device.load("de", DATA, Golden(inputs, MODEL.run(inputs)))
    until_s = time.monotonic() + PATIENCE_S
    while not device.counts.healthy:
        assert time.monotonic() < until_s, device.counts.fault
        time.sleep(0.01)
    yield model
    device.close()


def test_it_has_the_name_that_golden_outputs_are_keyed_by(backend, request):
    assert backend.name == request.node.callspec.params["backend"]


def test_it_computes_what_the_integers_say(backend):
    for x in vectors(200):
        y = backend.invoke(x)
        assert y.dtype == np.int8
        assert np.array_equal(y, MODEL.run(x))


def test_an_answer_outlives_the_next_and_the_question_is_left_alone(backend):
    one, other = vectors(2)
    asked = one.copy()
    first = backend.invoke(one)
    backend.invoke(other)
    assert np.array_equal(first, MODEL.run(asked))
    assert np.array_equal(one, asked)


@pytest.mark.parametrize(
    "x",
    [
        np.zeros(MODEL.inputs - 1, np.int8),
        np.zeros((1, MODEL.inputs), np.int8),
        np.zeros(MODEL.inputs, np.float32),
    ],
    ids=["short", "two-dimensional", "float"],
)
def test_what_is_no_input_is_refused_and_harms_nothing(backend, x):
    with pytest.raises(PortError, match=r"expected int8 .*; give one"):
        backend.invoke(x)
    y = vectors(1)[0]
    assert np.array_equal(backend.invoke(y), MODEL.run(y))
