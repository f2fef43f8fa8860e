import sys
import textwrap
from itertools import pairwise

import numpy as np
import pytest

from appliance.analysis import bundle as bundles
from appliance.analysis import runner, tflite
from appliance.analysis.quantize import Grid, QuantizedDense, QuantizedModel
from appliance.analysis.scorer import Scorer
from appliance.errors import BundleError
from hw import litert
from hw.ports import PortError


def random_model(rng, widths):
    """A network with random weights, biases, zero points and scales that use the whole int8 range."""
    grid = first = Grid(np.float32(rng.uniform(0.01, 0.1)), int(rng.integers(-128, 128)))
    layers = []
    for index, (i, o) in enumerate(pairwise(widths)):
        weight = rng.integers(-127, 128, (o, i)).astype(np.int8)
        scale = np.float32(rng.uniform(1e-3, 1e-2))
        bias = rng.integers(-20000, 20000, o).astype(np.int32)
        spread = float(grid.scale) * float(scale) * 73 * 73 * np.sqrt(i)
        output = Grid(np.float32(spread * rng.uniform(0.5, 4) / 127), int(rng.integers(-128, 128)))
        layers.append(QuantizedDense(weight, scale, bias, output, relu=index % 2 == 0))
        grid = output
    return QuantizedModel(first, tuple(layers))


needs_litert = pytest.mark.skipif(
    not litert.available("litert-xnnpack"), reason="ai-edge-litert is not installed"
)


@needs_litert
@pytest.mark.parametrize(
    "widths",
    [
        (1, 1),
        (7, 5, 2, 5, 7),
        (58, 44, 14, 44, 58),
        (147, 45, 4, 45, 147),
        (174, 45, 15, 45, 174),
        (640, 128, 8, 640),
    ],
)
def test_numpy_equals_litert_bit_for_bit(widths):
    rng = np.random.default_rng(sum(widths))
    for _ in range(3):
        model = random_model(rng, widths)
        native = litert.Interpreter(tflite.write(model))
        inputs = rng.integers(-128, 128, (1000, widths[0])).astype(np.int8)
        inputs[:2] = [[-128], [127]]
        assert np.array_equal(np.stack([native.invoke(x) for x in inputs]), model.run(inputs))


@needs_litert
def test_a_learnt_model_gives_the_same_on_a_hundred_thousand_windows(made, windows):
    """What a device runs: feature vectors about those learnt and far off them, through both runtimes."""
    rng, count = np.random.default_rng(1), 100_000
    standardised = Scorer(made).standard(windows(40, 11))
    rows = standardised[rng.integers(0, len(standardised), count)]
    rows += rng.standard_normal(rows.shape, np.float32) * rng.choice([0.1, 1.0, 10.0], (count, 1))
    inputs = made.network.input.quantize(rows.astype(np.float32))
    native = litert.Interpreter(made.files[bundles.MODEL])
    assert len(np.unique(inputs, axis=0)) > 0.9 * count
    differing = sum(
        not np.array_equal(native.invoke(x), y) for x, y in zip(inputs, made.network.run(inputs), strict=True)
    )
    assert differing == 0


@needs_litert
def test_litert_comes_first_and_says_its_name():
    assert (
        runner.open_runner(tflite.write(random_model(np.random.default_rng(1), (4, 3, 4)))).name
        == "litert-xnnpack"
    )


def test_numpy_runs_the_file_where_no_runtime_is_installed(monkeypatch):
    for package in litert.RUNTIMES.values():
        monkeypatch.setitem(sys.modules, package, None)
    model = random_model(np.random.default_rng(1), (4, 3, 4))
    opened = runner.open_runner(tflite.write(model))
    x = np.array([1, -2, 3, -4], np.int8)
    assert opened.name == "numpy"
    assert np.array_equal(opened.invoke(x), model.run(x))


def test_tflite_runtime_for_numpy_1_is_named_and_passed_over(monkeypatch, tmp_path):
    package = tmp_path / "tflite_runtime"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "interpreter.py").write_text(
        textwrap.dedent("""
        class Interpreter:
            def __init__(self, **_):
                raise SystemError("initialization of _pywrap failed")  # what 2.14 does under numpy 2
        """)
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    for name in ("tflite_runtime", "tflite_runtime.interpreter"):  # so that it is forgotten afterwards
        monkeypatch.setitem(sys.modules, name, None)
        del sys.modules[name]
    data = tflite.write(random_model(np.random.default_rng(1), (4, 3, 4)))
    with pytest.raises(PortError, match="tflite_runtime cannot work with numpy"):
        litert.Interpreter(data, "tflite-runtime")
    with pytest.warns(RuntimeWarning, match="tflite_runtime cannot work with numpy"):
        assert runner.open_runner(data).name == "numpy"


@needs_litert
def test_a_wrong_input_is_refused():
    native = litert.Interpreter(tflite.write(random_model(np.random.default_rng(1), (4, 3, 4))))
    for wrong in (np.zeros(5, np.int8), np.zeros(4, np.float32), np.zeros((1, 4), np.int8)):
        with pytest.raises(PortError, match="expected int8"):
            native.invoke(wrong)


def test_a_damaged_file_never_reaches_a_runtime():
    data = tflite.write(random_model(np.random.default_rng(1), (4, 3, 4)))
    with pytest.raises(BundleError):
        runner.open_runner(data[: len(data) // 2])
