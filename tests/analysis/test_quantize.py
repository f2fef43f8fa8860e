import numpy as np
import pytest

from appliance.analysis import autoencoder, quantize
from appliance.analysis.quantize import Grid


def test_a_grid_holds_zero_exactly_and_the_ends_within_a_step():
    values = np.array([-1.5, 0.0, 4.0], np.float32)
    grid = quantize._grid(values)
    assert grid.dequantize(grid.quantize(np.zeros(1, np.float32)))[0] == 0
    assert np.abs(grid.dequantize(grid.quantize(values)) - values).max() <= grid.scale


def test_values_beyond_the_grid_are_clipped():
    grid = Grid(np.float32(0.1), 0)
    assert grid.quantize(np.array([1e9, -1e9], np.float32)).tolist() == [127, -128]


def test_constant_calibration_still_gives_a_grid():
    assert quantize._grid(np.zeros(3, np.float32)).scale > 0


def test_rounding_is_half_to_even_in_float32():
    layer = quantize.QuantizedDense(
        np.array([[1]], np.int8), np.float32(0.5), np.array([0], np.int32), Grid(np.float32(1), 0), relu=False
    )
    model = quantize.QuantizedModel(Grid(np.float32(1), 0), (layer,))
    inputs = np.array([[1], [3], [5], [-1], [-3]], np.int8)  # × 0.5 = 0.5, 1.5, 2.5, -0.5, -1.5
    assert model.run(inputs).ravel().tolist() == [0, 2, 2, 0, -2]


@pytest.mark.parametrize("k", [5, 58, 174])
def test_int8_follows_float_within_a_few_steps(k):
    rng = np.random.default_rng(k)
    X = np.clip(rng.standard_normal((200, 4)) @ rng.standard_normal((4, k)), -6, 6).astype(np.float32)
    layers = autoencoder.train(X, steps=200, seed=1)
    model = quantize.quantize(layers, X)
    difference = model.output.dequantize(model.run(model.input.quantize(X))) - autoencoder.forward(layers, X)
    assert np.sqrt(np.mean(difference**2)) < 3 * float(model.output.scale)
    assert model.inputs == model.outputs == k


def test_a_row_alone_gives_what_it_gives_in_a_batch():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((50, 20)).astype(np.float32)
    model = quantize.quantize(autoencoder.train(X, steps=20, seed=1), X)
    q = model.input.quantize(X)
    assert np.array_equal(model.run(q), np.stack([model.run(row) for row in q]))
