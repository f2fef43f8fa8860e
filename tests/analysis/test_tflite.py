import numpy as np
import pytest

from appliance.analysis import autoencoder, quantize, tflite
from appliance.analysis.tflite_read import read
from appliance.errors import BundleError


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((60, 20)).astype(np.float32)
    return quantize.quantize(autoencoder.train(X, steps=30, seed=1), X)


def same(a, b):
    return a.input == b.input and all(
        np.array_equal(p.weight, q.weight)
        and np.array_equal(p.bias, q.bias)
        and (p.weight_scale, p.output, p.relu) == (q.weight_scale, q.output, q.relu)
        for p, q in zip(a.layers, b.layers, strict=True)
    )


def test_what_is_written_is_read_back_and_written_alike(model):
    data = tflite.write(model)
    assert same(read(data), model)
    assert tflite.write(read(data)) == data


@pytest.mark.parametrize("k", [4, 5, 33, 174])
def test_any_width_is_written_and_read(k):
    X = np.random.default_rng(k).standard_normal((30, k)).astype(np.float32)
    model = quantize.quantize(autoencoder.train(X, steps=1, seed=1), X)
    assert same(read(tflite.write(model)), model)


def test_the_schema_that_litert_ships_reads_the_same(model):
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    root = schema.ModelT.InitFromPackedBuf(tflite.write(model), 0)
    graph = root.subgraphs[0]
    assert root.version == 3
    assert len(graph.operators) == len(model.layers)
    assert all(root.operatorCodes[op.opcodeIndex].builtinCode == 9 for op in graph.operators)
    for index, layer in enumerate(model.layers):
        tensor = graph.tensors[graph.operators[index].inputs[1]]
        stored = np.asarray(root.buffers[tensor.buffer].data, np.uint8).view(np.int8).reshape(tensor.shape)
        assert np.array_equal(stored, layer.weight)
        assert np.float32(tensor.quantization.scale[0]) == layer.weight_scale
        assert graph.operators[index].builtinOptions.fusedActivationFunction == (1 if layer.relu else 0)


def test_every_truncation_is_refused(model):
    data = tflite.write(model)
    for length in [*range(300), *range(300, len(data), 37), len(data) - 1]:
        with pytest.raises(BundleError):
            read(data[:length])


def test_a_flipped_bit_is_refused_or_leaves_a_network_of_the_same_shape(model):
    """Weights may change unseen here (the hash is for that), but nothing may crash or change shape."""
    data = tflite.write(model)
    rng = np.random.default_rng(2)
    refused = 0
    for at in rng.choice(len(data), 1500):
        broken = bytearray(data)
        broken[at] ^= 1 << int(rng.integers(8))
        try:
            found = read(bytes(broken))
        except BundleError:
            refused += 1
            continue
        assert [layer.weight.shape for layer in found.layers] == [
            layer.weight.shape for layer in model.layers
        ]
        assert found.run(np.zeros(found.inputs, np.int8)).shape == (model.outputs,)
    assert refused > 100


@pytest.mark.parametrize("junk", [b"", b"TFL3", bytes(100), b"\xff" * 5000, b"\0\0\0\0TFL3" + b"\xff" * 100])
def test_junk_is_refused_with_a_reason(junk):
    with pytest.raises(BundleError, match=r"model\.tflite: found .*install or learn the bundle again"):
        read(junk)


def test_random_bytes_behind_a_right_header_never_escape(model):
    data, rng = tflite.write(model), np.random.default_rng(3)
    for _ in range(300):
        broken = bytearray(data)
        start = int(rng.integers(8, len(data) - 64))
        broken[start : start + 64] = rng.bytes(64)
        try:
            read(bytes(broken))
        except BundleError as fault:
            assert "found" in str(fault)  # noqa: PT017 - most land in weights and are read
