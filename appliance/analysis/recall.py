"""A baseline's memory into the manifest of a bundle, and a baseline back out of it, to be adapted."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from appliance.analysis import manifest as manifests
from appliance.analysis.autoencoder import F32, Dense
from appliance.analysis.baseline import Baseline, Receipt
from appliance.analysis.manifest import Manifest
from appliance.analysis.memory import Memory
from appliance.analysis.quantize import QuantizedModel, dequantized
from appliance.analysis.standard import Standard
from appliance.analysis.tail import Tail
from appliance.errors import BundleError

if TYPE_CHECKING:
    from appliance.analysis.catalogue import Feature

_REMEDY = "restore the bundle from where it came, or learn it again"


def kept(learnt: Baseline) -> manifests.Memory:
    """The part of a manifest that keeps a baseline's memory."""
    memory = learnt.memory
    return manifests.Memory(
        windows=memory.windows,
        conditions=memory.conditions,
        threshold=memory.threshold,
        speeds_hz=memory.speeds_hz,
        tail=asdict(learnt.tail),
        gram=_text(memory.gram),
        landmarks=_text(memory.landmarks),
        background=_text(memory.background),
    )


def memory(manifest: Manifest, network: QuantizedModel) -> Memory:
    """The memory of a bundle. Raises BundleError where it does not fit its network."""
    part, k = manifest.memory, len(manifest.features.names)
    h = network.layers[-1].weight.shape[1] + 1
    return Memory(
        gram=_array("gram", part.gram, h, h).astype(np.float64),
        windows=part.windows,
        conditions=part.conditions,
        landmarks=_array("landmarks", part.landmarks, None, k),
        speeds_hz=part.speeds_hz,
        background=_array("background", part.background, None, k).reshape(-1)[:k],
        threshold=part.threshold,
    )


def baseline(manifest: Manifest, network: QuantizedModel, features: Sequence["Feature"]) -> Baseline:
    """The baseline that a bundle was made from, as far as adaptation needs it. Raises BundleError.

    features: of the extractor that the bundle is in force for.
    """
    columns, receipts = manifest.features, manifest.receipts
    standard = Standard(
        np.array(columns.log),
        np.array(columns.floor, np.float32),
        np.array(columns.center, np.float32),
        np.array(columns.scale, np.float32),
    )
    try:
        tail = Tail(**manifest.memory.tail)
    except TypeError as fault:
        raise BundleError(f"manifest.toml: memory.tail: {fault}; {_REMEDY}") from fault
    golden = [np.frombuffer(bytes.fromhex(text), np.int8) for text in manifest.golden.inputs[:8]]
    return Baseline(
        features=tuple(features),
        standard=standard,
        layers=_float(network),
        model=network,
        residual_scale=np.array(columns.residual_scale, np.float32),
        threshold=manifest.threshold.value,
        threshold_rule=manifest.threshold.rule,
        tail=tail,
        held_out_scores=np.zeros(0, np.float32),
        windows=tuple(recording.windows for recording in manifest.recordings),
        receipt=Receipt(
            receipts.int8_largest_difference,
            receipts.int8_mean_difference,
            receipts.int8_rank_correlation,
            receipts.int8_same_verdict,
        ),
        samples=network.input.dequantize(np.array(golden, np.int8)),
        memory=memory(manifest, network),
    )


def _float(network: QuantizedModel) -> tuple[Dense, ...]:
    """The int8 layers in float."""
    layers, grid = [], network.input
    for layer in network.layers:
        layers.append(Dense(*dequantized(layer, grid), layer.relu))
        grid = layer.output
    return tuple(layers)


def _text(values: NDArray[np.floating]) -> str:
    return base64.b64encode(np.ascontiguousarray(values, "<f4").tobytes()).decode()


def _array(key: str, text: str, rows: int | None, columns: int) -> F32:
    """(rows, columns); rows: as many as there are where None."""
    try:
        values = np.frombuffer(base64.b64decode(text, validate=True), "<f4")
    except (binascii.Error, ValueError) as fault:
        raise BundleError(
            f"manifest.toml: memory.{key}: {fault}, expected base64 of floats; {_REMEDY}"
        ) from fault
    fits = len(values) % columns == 0 and rows in (None, len(values) // columns)
    if not fits or not np.all(np.isfinite(values)):
        raise BundleError(
            f"manifest.toml: memory.{key}: found {len(values)} numbers, expected {rows or 'rows of'} × "
            f"{columns} finite ones; {_REMEDY}"
        )
    return values.reshape(-1, columns).astype(np.float32)
