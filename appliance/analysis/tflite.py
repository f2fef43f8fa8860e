"""Write a quantized dense network as a .tflite file with `flatbuffers` alone: fixed layout, same bytes.

Slots and codes are those of TensorFlow Lite's schema.fbs version 3. `tflite_read.py` reads it back.
"""

import flatbuffers
import numpy as np
from numpy.typing import NDArray

from appliance.analysis.quantize import Grid, QuantizedModel

SCHEMA_VERSION = 3
IDENTIFIER = b"TFL3"
INT8, INT32 = 9, 2
FULLY_CONNECTED, FULLY_CONNECTED_OPTIONS, FULLY_CONNECTED_VERSION = 9, 8, 4
RELU = 1


def write(model: QuantizedModel, description: str = "int8 dense autoencoder") -> bytes:
    """The .tflite file of `model`: one subgraph of FULLY_CONNECTED operators, batch 1."""
    return _Writer().model(model, description)


class _Writer:
    """One pass over one flatbuffer; buffer 0 is the empty one that the format demands."""

    def __init__(self) -> None:
        self._builder = flatbuffers.Builder(4096)
        self._buffers = [self._table(3)]
        self._tensors: list[int] = []

    def model(self, model: QuantizedModel, description: str) -> bytes:
        first = current = self._activation("x", model.inputs, model.input)
        grid, operators = model.input, []
        for index, layer in enumerate(model.layers):
            weight = self._tensor(f"w{index}", layer.weight, INT8, Grid(layer.weight_scale, 0))
            bias = self._tensor(f"b{index}", layer.bias, INT32, Grid(grid.scale * layer.weight_scale, 0))
            result = self._activation(f"a{index}", len(layer.bias), layer.output)
            operators.append(self._operator((current, weight, bias), result, layer.relu))
            current, grid = result, layer.output
        code = self._table(
            4,
            ("int8", 0, FULLY_CONNECTED),
            ("int32", 2, FULLY_CONNECTED_VERSION),
            ("int32", 3, FULLY_CONNECTED),
        )
        tensors, ops = self._offsets(self._tensors), self._offsets(operators)
        ends = self._integers([first]), self._integers([current])
        graph = self._table(
            5,
            ("offset", 0, tensors),
            ("offset", 1, ends[0]),
            ("offset", 2, ends[1]),
            ("offset", 3, ops),
            ("offset", 4, self._builder.CreateString("main")),
        )
        codes, graphs, buffers = self._offsets([code]), self._offsets([graph]), self._offsets(self._buffers)
        root = self._table(
            8,
            ("uint32", 0, SCHEMA_VERSION),
            ("offset", 1, codes),
            ("offset", 2, graphs),
            ("offset", 3, self._builder.CreateString(description)),
            ("offset", 4, buffers),
        )
        self._builder.Finish(root, IDENTIFIER)
        return bytes(self._builder.Output())

    def _operator(self, sources: tuple[int, int, int], result: int, relu: bool) -> int:
        ins, outs = self._integers(list(sources)), self._integers([result])
        options = self._table(4, ("int8", 0, RELU if relu else 0))
        return self._table(
            9,
            ("offset", 1, ins),
            ("offset", 2, outs),
            ("uint8", 3, FULLY_CONNECTED_OPTIONS),
            ("offset", 4, options),
        )

    def _activation(self, name: str, width: int, grid: Grid) -> int:
        return self._add_tensor(name, (1, width), INT8, grid, 0)

    def _tensor(self, name: str, data: NDArray[np.int8] | NDArray[np.int32], code: int, grid: Grid) -> int:
        little = np.ascontiguousarray(data, dtype=data.dtype.newbyteorder("<"))
        self._buffers.append(self._table(3, ("offset", 0, self._vector(little.view(np.uint8), 16))))
        return self._add_tensor(name, data.shape, code, grid, len(self._buffers) - 1)

    def _add_tensor(self, name: str, shape: tuple[int, ...], code: int, grid: Grid, buffer: int) -> int:
        scale = self._vector(np.array([grid.scale], "<f4"))
        zero = self._vector(np.array([grid.zero], "<i8"))
        quantization = self._table(7, ("offset", 2, scale), ("offset", 3, zero))
        dims, label = self._integers(list(shape)), self._builder.CreateString(name)
        self._tensors.append(
            self._table(
                9,
                ("offset", 0, dims),
                ("int8", 1, code),
                ("uint32", 2, buffer),
                ("offset", 3, label),
                ("offset", 4, quantization),
            )
        )
        return len(self._tensors) - 1

    def _table(self, slots: int, *fields: tuple[str, int, int]) -> int:
        put = {
            "offset": self._builder.PrependUOffsetTRelativeSlot,
            "int8": self._builder.PrependInt8Slot,
            "uint8": self._builder.PrependUint8Slot,
            "int32": self._builder.PrependInt32Slot,
            "uint32": self._builder.PrependUint32Slot,
        }
        self._builder.StartObject(slots)
        for kind, slot, value in fields:
            put[kind](slot, value, 0)
        return int(self._builder.EndObject())

    def _integers(self, values: list[int]) -> int:
        return self._vector(np.array(values, "<i4"))

    def _vector(self, values: NDArray[np.generic], align: int = 4) -> int:
        """A numeric vector, its bytes copied in one piece (flatbuffers would write them one by one)."""
        builder, data = self._builder, values.tobytes()
        builder.StartVector(values.itemsize, values.size, max(align, values.itemsize))
        builder.head -= len(data)
        builder.Bytes[builder.head : builder.head + len(data)] = data
        return int(builder.EndVector())

    def _offsets(self, offsets: list[int]) -> int:
        self._builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self._builder.PrependUOffsetTRelative(offset)
        return int(self._builder.EndVector())
