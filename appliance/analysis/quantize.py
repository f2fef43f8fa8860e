"""int8 post-training quantization of a dense network, and its exact integer arithmetic in numpy."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from appliance.analysis.autoencoder import F32, Dense

I8 = NDArray[np.int8]
I32 = NDArray[np.int32]

SMALLEST_SCALE = 1e-9


@dataclass(frozen=True, slots=True)
class Grid:
    """An int8 grid: real = scale * (q - zero). scale: float32 > 0; zero: -128 to 127."""

    scale: np.float32
    zero: int

    def quantize(self, x: F32) -> I8:
        """The nearest grid points, clipped to the grid's ends; shape is kept."""
        q = np.rint(x / self.scale) + np.float32(self.zero)
        clipped: I8 = np.clip(q, -128, 127).astype(np.int8)
        return clipped

    def dequantize(self, q: I8) -> F32:
        """The real values of grid points; shape is kept."""
        return (q.astype(np.float32) - np.float32(self.zero)) * self.scale


@dataclass(frozen=True, slots=True)
class QuantizedDense:
    """One dense int8 layer: weight int8 (out, in) symmetric, bias int32 (out,), results on `output`."""

    weight: I8
    weight_scale: np.float32
    bias: I32
    output: Grid
    relu: bool


@dataclass(frozen=True, slots=True)
class QuantizedModel:
    """An int8 dense network. `run` equals LiteRT 2.3 with XNNPACK bit for bit."""

    input: Grid
    layers: tuple[QuantizedDense, ...]

    @property
    def inputs(self) -> int:
        """Length of the input vector."""
        return int(self.layers[0].weight.shape[1])

    @property
    def outputs(self) -> int:
        """Length of the output vector."""
        return int(self.layers[-1].weight.shape[0])

    @property
    def output(self) -> Grid:
        """The grid of the output vector."""
        return self.layers[-1].output

    def forward(self, Z: F32) -> F32:
        """The int8 network between floats, rows (n, k) -> (n, outputs)."""
        return self.output.dequantize(self.run(self.input.quantize(Z)))

    def run(self, x: I8) -> I8:
        """The network on one vector (k,) or on rows (n, k) of int8.

        Sums are exact (whole numbers in float64), requantization is XNNPACK's: the float32 sum times a
        float32 multiplier, rounded half to even.
        """
        grid, q = self.input, x
        for layer in self.layers:
            total = (q.astype(np.float64) - grid.zero) @ layer.weight.T.astype(np.float64) + layer.bias
            multiplier = grid.scale * layer.weight_scale / layer.output.scale
            y = np.rint(total.astype(np.float32) * multiplier) + np.float32(layer.output.zero)
            lowest = layer.output.zero if layer.relu else -128
            q, grid = np.clip(y, lowest, 127).astype(np.int8), layer.output
        return q


def quantize(layers: Sequence[Dense], calibration: F32) -> QuantizedModel:
    """Post-training quantization per tensor: weights symmetric, activations asymmetric over their range.

    Args:
        layers: the float network.
        calibration: (n, k) inputs whose activations set the ranges; n >= 1, finite.
    """
    first = grid = _grid(calibration)
    x, quantized = calibration, []
    for layer in layers:
        x = x @ layer.weight.T + layer.bias
        if layer.relu:
            x = np.maximum(x, 0)
        weight_scale = np.float32(max(float(np.abs(layer.weight).max()) / 127, SMALLEST_SCALE))
        weight = np.clip(np.rint(layer.weight / weight_scale), -127, 127).astype(np.int8)
        step = np.float64(grid.scale) * np.float64(weight_scale)
        bias = np.clip(np.rint(layer.bias / step), -(2**30), 2**30).astype(np.int32)
        grid = _grid(x)
        quantized.append(QuantizedDense(weight, weight_scale, bias, grid, layer.relu))
    return QuantizedModel(first, tuple(quantized))


def with_last(model: QuantizedModel, weight: F32, bias: F32, outputs: F32) -> QuantizedModel:
    """The model with another last layer: weight (out, in) and bias (out,) float.

    outputs: (n, out) that its output grid must hold besides what it held before.
    """
    inner = model.layers[-2].output
    weight_scale = np.float32(max(float(np.abs(weight).max()) / 127, SMALLEST_SCALE))
    step = np.float64(inner.scale) * np.float64(weight_scale)
    ends = model.output.dequantize(np.array([-128, 127], np.int8))
    last = QuantizedDense(
        weight=np.clip(np.rint(weight / weight_scale), -127, 127).astype(np.int8),
        weight_scale=weight_scale,
        bias=np.clip(np.rint(bias / step), -(2**30), 2**30).astype(np.int32),
        output=_grid(np.concatenate([ends, outputs.ravel()])),
        relu=False,
    )
    return QuantizedModel(model.input, (*model.layers[:-1], last))


def dequantized(layer: QuantizedDense, inputs: Grid) -> tuple[F32, F32]:
    """A layer in float whose inputs lie on that grid: weight (out, in) and bias (out,)."""
    step = np.float64(inputs.scale) * np.float64(layer.weight_scale)
    return layer.weight * layer.weight_scale, (layer.bias * step).astype(np.float32)


def _grid(values: F32) -> Grid:
    """The int8 grid that holds 0 and every value."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    scale = max((high - low) / 255, SMALLEST_SCALE)
    return Grid(np.float32(scale), int(np.clip(round(-128 - low / scale), -128, 127)))
