"""A bundle: a folder of model.tflite, manifest.toml, card.md and SHA256SUMS, verified whole at every load."""

import hashlib
import stat
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np

import appliance
from appliance.analysis import manifest as manifests
from appliance.analysis import recall, runner, tail, tflite, tflite_read
from appliance.analysis.baseline import Baseline
from appliance.analysis.card import card as card_of
from appliance.analysis.manifest import Manifest
from appliance.analysis.novelty import LEAST_RUN
from appliance.analysis.quantize import I8, QuantizedModel
from appliance.analysis.tail import Tail
from appliance.errors import BundleError
from hw.ports import Accelerator, PortError

MODEL, MANIFEST, CARD, SUMS = "model.tflite", "manifest.toml", "card.md", "SHA256SUMS"
SUMMED = (MODEL, MANIFEST, CARD)
SIGNATURE = "SHA256SUMS.sig"
"""Of SHA256SUMS, by the manifest's origin.signer; a bundle that nobody has signed yet is without."""
LARGEST_FILE = 8 << 20
_REMEDY = "restore the bundle from where it came, or learn it again"
GOLDEN_VECTORS = 16
FOREIGN_LSB = 4
"""A backend without golden outputs of its own may differ from numpy's by this much: builtin TFLite kernels
round twice and were 1–2 LSB off."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified model with all it needs to score. `files` are its bytes by file name."""

    manifest: Manifest
    network: QuantizedModel
    runner: Accelerator
    files: dict[str, bytes]

    @property
    def id(self) -> str:
        """Short name of this very bundle: when it was made, the start of its hash; a base's says so."""
        made = self.manifest.created.replace("-", "").replace(":", "")
        return f"{'base-' if self.manifest.base.name else ''}{made[:15]}-{self.sha256[:8]}"

    @property
    def sha256(self) -> str:
        """Hash of the whole bundle but its signature: of SHA256SUMS, which holds those of the files."""
        return hashlib.sha256(self.files[SUMS]).hexdigest()

    @property
    def threshold(self) -> float:
        """Score from which a window is abnormal."""
        return self.manifest.threshold.value


def make(
    baseline: Baseline,
    *,
    sensor: str,
    rate_hz: float,
    axis_names: tuple[str, ...],
    window_s: float,
    n: int,
    overlap: float,
    lowest_level: float,
    level_unit: Literal["mm/s", "m/s²"],
    recordings: tuple[str, ...],
    created_utc_ns: int,
    normal: dict[str, tuple[float, float]] | None = None,
    parent_sha256: str = "",
) -> Bundle:
    """A bundle in memory from what was learnt; `save` it to keep it.

    Args:
        baseline: from `baseline.learn`.
        sensor: its name.
        rate_hz: nominal samples per second.
        axis_names: as given to the Extractor.
        window_s: seconds per window.
        n: samples per window.
        overlap: share of a window that the next one repeats, 0–1.
        lowest_level: vibration of the quietest window learnt; well below it the machine does not run.
        level_unit: its unit: velocity RMS, or RMS where the rate carries no velocity.
        recordings: one name for each matrix learnt.
        created_utc_ns: wall-clock time of learning.
        normal: range of each figure of `lines.Lines` in normal running.
        parent_sha256: model this one was made from, if any.
    """
    model = tflite.write(baseline.model)
    backend = runner.open_runner(model)
    held_out = baseline.held_out_scores
    columns, standard, receipt = baseline.features, baseline.standard, baseline.receipt
    manifest = Manifest(
        format=manifests.FORMAT,
        created=datetime.fromtimestamp(created_utc_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        appliance=appliance.__version__,
        sensor=manifests.Sensor(sensor, float(rate_hz), len(axis_names), tuple(axis_names)),
        windows=manifests.Windows(float(window_s), n, float(overlap), float(lowest_level), level_unit),
        features=manifests.Columns(
            names=tuple(feature.name for feature in columns),
            units=tuple(feature.unit for feature in columns),
            log=tuple(bool(v) for v in standard.log),
            floor=tuple(float(v) for v in standard.floor),
            center=tuple(float(v) for v in standard.center),
            scale=tuple(float(v) for v in standard.scale),
            residual_scale=tuple(float(v) for v in baseline.residual_scale),
        ),
        threshold=manifests.Threshold(
            value=baseline.threshold,
            rule=baseline.threshold_rule,
            held_out_windows=len(held_out),
            held_out_median=float(np.median(held_out)),
            held_out_p99=float(np.percentile(held_out, 99)),
            held_out_worst=float(held_out.max()),
        ),
        false_alarms=false_alarms(
            baseline.tail, baseline.threshold, max(1, round(n * (1 - overlap))) / rate_hz
        ),
        model=manifests.Network(
            sha256=hashlib.sha256(model).hexdigest(),
            parameters=sum(layer.weight.size + layer.bias.size for layer in baseline.model.layers),
            parent_sha256=parent_sha256,
        ),
        receipts=manifests.Receipts(receipt.largest, receipt.mean, receipt.rank, receipt.agreement),
        golden=_golden(baseline, backend),
        normal=normal or {},
        recordings=tuple(
            manifests.Recording(name, count) for name, count in zip(recordings, baseline.windows, strict=True)
        ),
        memory=recall.kept(baseline),
    )
    files = {MODEL: model, MANIFEST: manifests.write(manifest), CARD: card_of(manifest).encode()}
    return Bundle(manifest, baseline.model, backend, files | {SUMS: sums(files)})


def with_manifest(bundle: Bundle, manifest: Manifest, card: str = "") -> Bundle:
    """The same model with another manifest, unsigned. card: another card; its own where empty."""
    text = card.encode() or bundle.files[CARD]
    files = {MODEL: bundle.files[MODEL], MANIFEST: manifests.write(manifest), CARD: text}
    return replace(bundle, manifest=manifest, files=files | {SUMS: sums(files)})


def false_alarms(scores: Tail, threshold: float, hop_s: float) -> manifests.FalseAlarms:
    """What a threshold promises of scores with this tail, a window every hop_s seconds."""
    delay = tail.persistence(scores, threshold, hop_s, LEAST_RUN)
    return manifests.FalseAlarms(
        rate=scores.rate(threshold),
        rate_at_most=scores.rate(threshold, tail.SURE_SIGMAS),
        delay_windows=delay.windows,
        delay_s=delay.windows * hop_s,
        per_month=delay.alarms_per_month,
    )


def load(folder: Path) -> Bundle:
    """Read and verify a bundle: files, hashes, manifest, network, golden outputs on this device's backend.

    Raises BundleError: names the file and key, what was found, what was expected and what to do.
    """
    signed = (SIGNATURE,) if (folder / SIGNATURE).exists() else ()
    files = {name: read(folder / name, "a file of the bundle") for name in (*SUMMED, SUMS, *signed)}
    try:
        return verified(files)
    except BundleError as fault:
        raise BundleError(f"{folder}/{fault}") from fault


def verified(files: dict[str, bytes]) -> Bundle:
    """The bundle of these files, checked as by `load`; whose it is `provenance.admit` says.

    Raises BundleError: names the file and key, what was found, what was expected and what to do.
    """
    try:
        manifest = manifests.read(files[MANIFEST])
        _verify_sums(files)
        network = _network(manifest, files[MODEL])
        recall.memory(manifest, network)
        bundle = Bundle(manifest, network, runner.open_runner(files[MODEL]), files)
        verify_golden(bundle)
    except PortError as fault:
        raise BundleError(f"{MODEL}: {fault}") from fault
    return bundle


def _network(manifest: Manifest, model: bytes) -> QuantizedModel:
    """The network that the manifest speaks of."""
    found, recorded = hashlib.sha256(model).hexdigest(), manifest.model.sha256
    if found != recorded:
        raise BundleError(
            f"{MANIFEST}: model.sha256: found a model of {found[:12]}…, expected {recorded[:12]}…; {_REMEDY}"
        )
    network, k = tflite_read.read(model), len(manifest.features.names)
    if (network.inputs, network.outputs) != (k, k):
        raise BundleError(
            f"{MODEL}: found {network.inputs} inputs and {network.outputs} outputs, expected {k} as "
            f"{MANIFEST}: features.names; {_REMEDY}"
        )
    return network


def require(bundle: Bundle, *, names: tuple[str, ...], rate_hz: float, n: int) -> None:
    """Refuse a bundle made for other features, another rate (1 % and more) or window. Raises BundleError."""
    manifest = bundle.manifest
    if manifest.base.windows:
        raise BundleError(
            f"bundle {bundle.id}: a base for any machine, expected a baseline of this one; learn one: the "
            "appliance calibrates a base only where it is shipped with it"
        )
    if abs(rate_hz / manifest.sensor.rate_hz - 1) > 0.01 or n != manifest.windows.n:
        raise BundleError(
            f"bundle {bundle.id}: made for {manifest.windows.n} samples at {manifest.sensor.rate_hz:g} Hz, "
            f"found {n} at {rate_hz:g} Hz; learn a baseline for this sensor"
        )
    if names != manifest.features.names:
        other = next(
            (a for a, b in zip(names, manifest.features.names, strict=False) if a != b), "their number"
        )
        raise BundleError(
            f"bundle {bundle.id}: made for {len(manifest.features.names)} features, found {len(names)} "
            f"(first difference: {other}); learn a baseline with this version of the appliance"
        )


def _golden(baseline: Baseline, backend: Accelerator) -> manifests.Golden:
    """Real windows, the grid's ends and random vectors, through numpy and through the backend at hand."""
    model = baseline.model
    real = model.input.quantize(baseline.samples)
    rng = np.random.default_rng(len(real))
    random = rng.integers(-128, 128, (GOLDEN_VECTORS - len(real) - 2, model.inputs)).astype(np.int8)
    ends = np.stack([np.full(model.inputs, end, np.int8) for end in (-128, 127)])
    inputs = np.concatenate([real, ends, random])
    outputs = {runner.NUMPY: model.run(inputs), backend.name: np.stack([backend.invoke(x) for x in inputs])}
    return manifests.Golden(
        inputs=tuple(x.tobytes().hex() for x in inputs),
        outputs={name: tuple(y.tobytes().hex() for y in rows) for name, rows in outputs.items()},
    )


def verify_golden(bundle: Bundle) -> None:
    """Check that the network gives the recorded outputs, in numpy and on the backend in use.

    Raises BundleError: it does not. PortError: the backend failed.
    """
    golden, network, backend = bundle.manifest.golden, bundle.network, bundle.runner
    inputs = [_vector(text) for text in golden.inputs]
    reference = golden.outputs.get(runner.NUMPY)
    if reference is None:
        raise BundleError(f"{MANIFEST}: golden.outputs.numpy: found nothing, expected outputs; {_REMEDY}")
    exact = golden.outputs.get(backend.name)
    checks = [
        (runner.NUMPY, reference, [network.run(x) for x in inputs], 0),
        (backend.name, exact or reference, [backend.invoke(x) for x in inputs], 0 if exact else FOREIGN_LSB),
    ]
    for name, expected, found, allowed in checks:
        for index, (want, have) in enumerate(zip(expected, found, strict=True)):
            off = int(np.abs(_vector(want).astype(int) - have.astype(int)).max())
            if off > allowed:
                raise BundleError(
                    f"{MANIFEST}: golden.outputs.{name}[{index}]: found outputs {off} steps off on this "
                    f"device, expected at most {allowed}; the model or the runtime is broken: reinstall them"
                )


def _vector(text: str) -> I8:
    return np.frombuffer(bytes.fromhex(text), np.int8)


def read(path: Path, expected: str) -> bytes:
    """Content of a regular file of at most LARGEST_FILE bytes. Raises BundleError, with what is expected."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST_FILE:
            size = f"{found.st_size} bytes" if stat.S_ISREG(found.st_mode) else "no regular file"
            wanted = f"{expected}, {LARGEST_FILE} bytes at most"
            raise BundleError(f"{path}: found {size}, expected {wanted}; {_REMEDY}")
        return path.read_bytes()
    except OSError as fault:
        raise BundleError(
            f"{path}: cannot be read ({fault.strerror}), expected {expected}; {_REMEDY}"
        ) from fault


def sums(files: dict[str, bytes]) -> bytes:
    """SHA256SUMS as `sha256sum -c` reads it."""
    return "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items()).encode()


def _verify_sums(files: dict[str, bytes]) -> None:
    contents = {name: files[name] for name in SUMMED}
    if files[SUMS] == sums(contents):
        return
    recorded = files[SUMS].decode(errors="replace").splitlines()
    right = sums(contents).decode().splitlines()
    wrong = [line.split()[1] for line in right if line not in recorded] or [SUMS]
    raise BundleError(
        f"{', '.join(wrong)}: found content that does not match {SUMS}, expected the files as written; "
        f"{_REMEDY}"
    )
