"""Read a .tflite file back into a QuantizedModel, believing nothing in it.

Every offset, length, type and range is checked before use, and only the graph that `tflite.py` writes is
accepted, so that a damaged file ends in a BundleError here and never reaches a native runtime.
"""

import struct
from typing import NoReturn

import numpy as np

from appliance.analysis.quantize import I8, I32, Grid, QuantizedDense, QuantizedModel
from appliance.analysis.tflite import (
    FULLY_CONNECTED,
    FULLY_CONNECTED_OPTIONS,
    FULLY_CONNECTED_VERSION,
    IDENTIFIER,
    INT8,
    INT32,
    RELU,
    SCHEMA_VERSION,
)
from appliance.errors import BundleError

LARGEST_BYTES = 4 << 20
LARGEST_WIDTH = 4096
MOST_LAYERS = 16
LARGEST_MULTIPLIER = 256.0
"""XNNPACK refuses a requantization multiplier from here on."""


def read(data: bytes) -> QuantizedModel:
    """The network in a .tflite file written by `tflite.write`.

    Raises:
        BundleError: the file is damaged or holds another kind of network; names what was found.
    """
    if not 64 <= len(data) <= LARGEST_BYTES:
        _refuse(f"{len(data)} bytes, expected 64 to {LARGEST_BYTES}")
    if data[4:8] != IDENTIFIER:
        _refuse(f"identifier {data[4:8]!r}, expected {IDENTIFIER!r}")
    try:
        return _model(_Table(data, _number(data, 0, "<I")))
    except (struct.error, ValueError, OverflowError) as fault:
        _refuse(f"an offset or length that points outside of it ({fault})")


def _refuse(found: str) -> NoReturn:
    raise BundleError(
        f"model.tflite: found {found}; the file is damaged or foreign, install or learn the bundle again"
    )


def _number(data: bytes, at: int, kind: str) -> int:
    if at < 0:
        raise ValueError(f"offset {at}")
    return int(struct.unpack_from(kind, data, at)[0])


class _Table:
    """A flatbuffer table: fields by slot, all reads bounds-checked."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at
        vtable = at - _number(data, at, "<i")
        size = _number(data, vtable, "<H")
        if size < 4 or size % 2 or size > 64:
            raise ValueError(f"vtable of {size} bytes")
        self._fields = [_number(data, vtable + 4 + 2 * slot, "<H") for slot in range((size - 4) // 2)]

    def only(self, *slots: int) -> None:
        """No other field than these is set."""
        extra = [slot for slot, field in enumerate(self._fields) if field and slot not in slots]
        if extra:
            _refuse(f"unexpected fields {extra} in a table")

    def number(self, slot: int, kind: str) -> int:
        """A scalar field; 0 where absent, as flatbuffers has it."""
        field = self._field(slot)
        return _number(self._data, self._at + field, kind) if field else 0

    def tables(self, slot: int, most: int) -> list["_Table"]:
        """A vector of tables."""
        start, count = self._vector(slot, 4, most)
        offsets = [start + 4 * i for i in range(count)]
        return [_Table(self._data, at + _number(self._data, at, "<I")) for at in offsets]

    def table(self, slot: int) -> "_Table":
        """A nested table."""
        at = self._target(slot)
        return _Table(self._data, at)

    def array(self, slot: int, kind: str, most: int) -> np.ndarray[tuple[int], np.dtype[np.generic]]:
        """A numeric vector (empty where absent), copied."""
        dtype = np.dtype(kind)
        start, count = self._vector(slot, dtype.itemsize, most)
        return np.frombuffer(self._data, dtype, count, start).copy()

    def _field(self, slot: int) -> int:
        return self._fields[slot] if slot < len(self._fields) else 0

    def _target(self, slot: int) -> int:
        field = self._field(slot)
        if not field:
            raise ValueError(f"field {slot} is missing")
        at = self._at + field
        return at + _number(self._data, at, "<I")

    def _vector(self, slot: int, itemsize: int, most: int) -> tuple[int, int]:
        if not self._field(slot):
            return 0, 0
        at = self._target(slot)
        count = _number(self._data, at, "<I")
        if count > most or at + 4 + count * itemsize > len(self._data):
            raise ValueError(f"a vector of {count} items at byte {at}")
        return at + 4, count


class _Tensor:
    """One tensor of the graph with its bytes."""

    def __init__(self, table: _Table, buffers: list[_Table]) -> None:
        table.only(0, 1, 2, 3, 4)
        self.shape = tuple(int(n) for n in table.array(0, "<i4", 2))
        self.kind = table.number(1, "<b")
        if not self.shape or not all(0 < n <= LARGEST_WIDTH for n in self.shape):
            _refuse(f"a tensor of shape {self.shape}")
        buffer = table.number(2, "<I")
        if buffer >= len(buffers):
            _refuse(f"buffer {buffer} of {len(buffers)}")
        self.bytes = buffers[buffer].array(0, "u1", LARGEST_BYTES).tobytes()
        quantization = table.table(4)
        quantization.only(2, 3)
        scale, zero = quantization.array(2, "<f4", 1), quantization.array(3, "<i8", 1)
        if len(scale) != 1 or len(zero) != 1 or not np.isfinite(scale[0]) or not scale[0] > 0:
            _refuse(f"quantization scale {scale.tolist()}, zero {zero.tolist()}")
        if not -128 <= int(zero[0]) <= 127:
            _refuse(f"zero point {int(zero[0])}, expected -128 to 127")
        self.grid = Grid(np.float32(scale[0]), int(zero[0]))

    def activation(self, width: int | None = None) -> Grid:
        """The grid of an int8 activation of shape (1, width)."""
        if self.kind != INT8 or self.bytes or len(self.shape) != 2 or self.shape[0] != 1:
            _refuse(f"an activation of type {self.kind} and shape {self.shape}")
        if width is not None and self.shape[1] != width:
            _refuse(f"an activation of width {self.shape[1]}, expected {width}")
        return self.grid

    def weight(self, inputs: int) -> I8:
        """int8 (out, inputs), symmetric."""
        outputs = self.shape[0]
        if self.kind != INT8 or self.shape != (outputs, inputs) or self.grid.zero != 0:
            _refuse(
                f"weights of type {self.kind}, shape {self.shape}, zero {self.grid.zero}, for {inputs} inputs"
            )
        if len(self.bytes) != outputs * inputs:
            _refuse(f"{len(self.bytes)} bytes of weights for shape {self.shape}")
        weight = np.frombuffer(self.bytes, np.int8).reshape(outputs, inputs)
        if weight.min() < -127:
            _refuse("a weight of -128, expected -127 to 127")
        return weight

    def bias(self, outputs: int, scale: np.float32) -> I32:
        """int32 (outputs,) in units of input scale × weight scale."""
        if self.kind != INT32 or self.shape != (outputs,) or self.grid != Grid(scale, 0):
            _refuse(
                f"a bias of type {self.kind}, shape {self.shape}, {self.grid}; "
                f"expected ({outputs},) × {scale}"
            )
        if len(self.bytes) != 4 * outputs:
            _refuse(f"{len(self.bytes)} bytes of bias for {outputs} outputs")
        return np.frombuffer(self.bytes, "<i4").astype(np.int32)


def _model(root: _Table) -> QuantizedModel:
    root.only(0, 1, 2, 3, 4)
    if (version := root.number(0, "<I")) != SCHEMA_VERSION:
        _refuse(f"schema version {version}, expected {SCHEMA_VERSION}")
    codes, graphs = root.tables(1, 8), root.tables(2, 8)
    if len(codes) != 1 or len(graphs) != 1:
        _refuse(f"{len(codes)} operator codes and {len(graphs)} graphs, expected one of each")
    codes[0].only(0, 2, 3)
    code = codes[0].number(0, "<b"), codes[0].number(2, "<i"), codes[0].number(3, "<i")
    if code != (FULLY_CONNECTED, FULLY_CONNECTED_VERSION, FULLY_CONNECTED):
        _refuse(f"operator code {code}, expected FULLY_CONNECTED version {FULLY_CONNECTED_VERSION}")
    buffers = root.tables(4, 4 * MOST_LAYERS)
    for buffer in buffers:
        buffer.only(0)
    return _graph(graphs[0], buffers)


def _graph(graph: _Table, buffers: list[_Table]) -> QuantizedModel:
    graph.only(0, 1, 2, 3, 4)
    tensors = [_Tensor(table, buffers) for table in graph.tables(0, 4 * MOST_LAYERS)]
    operators = graph.tables(3, MOST_LAYERS)
    expected = 1 + 3 * len(operators)
    if not operators or len(tensors) != expected:
        _refuse(f"{len(tensors)} tensors for {len(operators)} layers, expected {expected}")
    current, layers = 0, []
    first = grid = tensors[0].activation()
    for index, operator in enumerate(operators):
        weight, bias, result = 3 * index + 1, 3 * index + 2, 3 * index + 3
        relu = _operator(operator, [current, weight, bias], [result])
        W = tensors[weight].weight(tensors[current].shape[1])
        weight_scale = tensors[weight].grid.scale
        b = tensors[bias].bias(len(W), grid.scale * weight_scale)
        output = tensors[result].activation(len(W))
        if not grid.scale * weight_scale / output.scale < LARGEST_MULTIPLIER:
            _refuse(f"a requantization multiplier of {LARGEST_MULTIPLIER} or more in layer {index}")
        layers.append(QuantizedDense(W, weight_scale, b, output, relu))
        current, grid = result, output
    ends = graph.array(1, "<i4", 4).tolist(), graph.array(2, "<i4", 4).tolist()
    if ends != ([0], [current]):
        _refuse(f"graph inputs and outputs {ends}, expected [0] and [{current}]")
    return QuantizedModel(first, tuple(layers))


def _operator(operator: _Table, sources: list[int], results: list[int]) -> bool:
    """Whether the layer ends in ReLU, after checking that it is wired as expected."""
    operator.only(1, 2, 3, 4)
    wires = operator.array(1, "<i4", 8).tolist(), operator.array(2, "<i4", 8).tolist()
    if wires != (sources, results) or operator.number(3, "<B") != FULLY_CONNECTED_OPTIONS:
        _refuse(f"a layer wired {wires}, expected {(sources, results)}")
    options = operator.table(4)
    options.only(0)
    activation = options.number(0, "<b")
    if activation not in (0, RELU):
        _refuse(f"activation function {activation}, expected 0 or {RELU}")
    return activation == RELU
