"""manifest.toml of a bundle: all that a score depends on besides the network, typed and cross-checked."""

import tomllib
from math import isfinite
from typing import Annotated, Literal

import msgspec
import tomli_w
from msgspec import Meta, Struct

from appliance.errors import BundleError

FORMAT = 1
_REMEDY = "restore the bundle from where it came, or learn it again"
_WRITTEN = f"expected the file as it was written; {_REMEDY}"
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
ParentSha256 = Annotated[str, Meta(pattern="^([0-9a-f]{64})?$")]
_TIME = r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)?$"
Positive = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]


class Sensor(Struct, frozen=True, forbid_unknown_fields=True):
    """What the windows were measured with. rate_hz: nominal samples per second."""

    name: str
    rate_hz: Positive
    axes: Annotated[int, Meta(ge=1)]
    axis_names: tuple[str, ...]
    units: Literal["m/s2"] = "m/s2"


class Windows(Struct, frozen=True, forbid_unknown_fields=True):
    """How the signal was cut. n: samples per window.

    lowest_level: vibration of the quietest window learnt, in level_unit: what "running" is at least.
    """

    window_s: Positive
    n: Count
    overlap: Annotated[float, Meta(ge=0, lt=1)]
    lowest_level: Annotated[float, Meta(ge=0)]
    level_unit: Literal["mm/s", "m/s²"]


class Columns(Struct, frozen=True, forbid_unknown_fields=True):
    """The k features in their order, one list entry each. t = ln(max(x, floor)) where log, else x.

    center, scale: standardised z = (t - center) / scale. residual_scale: of z minus its reconstruction.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    log: tuple[bool, ...]
    floor: tuple[float, ...]
    center: tuple[float, ...]
    scale: tuple[Positive, ...]
    residual_scale: tuple[Positive, ...]


class Threshold(Struct, frozen=True, forbid_unknown_fields=True):
    """value: score from which a window is abnormal. rule: how it was set. held_out_*: scores behind it."""

    value: Positive
    rule: str
    held_out_windows: Count
    held_out_median: float
    held_out_p99: float
    held_out_worst: float


class FalseAlarms(Struct, frozen=True, forbid_unknown_fields=True):
    """What the threshold promises of normal running.

    rate, rate_at_most: share of windows above it, as fitted and 90 % sure. delay_windows: so many in a row
    make an alarm. per_month: alarms to expect then, 90 % sure, of a machine that always runs.
    """

    rate: Annotated[float, Meta(ge=0, le=1)]
    rate_at_most: Annotated[float, Meta(ge=0, le=1)]
    delay_windows: Count
    delay_s: Positive
    per_month: Annotated[float, Meta(ge=0)]


class Memory(Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept of the windows learnt, for k features and a last layer of h inputs; see `memory.Memory`.

    gram (h + 1, h + 1), landmarks (m, k), background (k) or empty: base64 of little-endian float32, C order.
    tail: of `tail.Tail`, by field.
    """

    windows: Count
    conditions: Count
    threshold: Positive
    speeds_hz: tuple[Positive, ...]
    tail: dict[str, float]
    gram: str
    landmarks: str
    background: str


class Recording(Struct, frozen=True, forbid_unknown_fields=True):
    """One recording (operating condition) of the baseline."""

    name: str
    windows: Annotated[int, Meta(ge=0)]


class Network(Struct, frozen=True, forbid_unknown_fields=True):
    """model.tflite. parent_sha256: of the model this one was made from, empty if learnt from nothing."""

    sha256: Sha256
    parameters: Count
    parent_sha256: ParentSha256 = ""


class Receipts(Struct, frozen=True, forbid_unknown_fields=True):
    """int8 against float on the learning windows; differences of the score as a share of the threshold."""

    int8_largest_difference: float
    int8_mean_difference: float
    int8_rank_correlation: float
    int8_same_verdict: float


class Golden(Struct, frozen=True, forbid_unknown_fields=True):
    """Test vectors as hex of int8: `outputs[backend][i]` is what that backend gave for `inputs[i]`."""

    inputs: Annotated[tuple[str, ...], Meta(min_length=1)]
    outputs: dict[str, tuple[str, ...]]


class Origin(Struct, frozen=True, forbid_unknown_fields=True):
    """Who vouches for the bundle, and for what; signer is empty until `provenance.issue` has signed it.

    signer: public key. serial: counts up by signer. machine: site/area/asset/sensor, or any.
    not_after: UTC, ISO 8601, after which it may not be installed; empty: never.
    """

    signer: Annotated[str, Meta(pattern="^([A-Za-z0-9+/]{43}=)?$")] = ""
    serial: Annotated[int, Meta(ge=0)] = 0
    machine: Annotated[str, Meta(min_length=1)] = "any"
    not_after: Annotated[str, Meta(pattern=_TIME)] = ""


class Base(Struct, frozen=True, forbid_unknown_fields=True):
    """Of a base model, which knows machines but none in particular, and of what was calibrated from one.

    name: of the base; empty: this bundle has none. machines: it was trained on. windows: of a machine that it
    must be calibrated on before it scores; 0: that is done. prior: windows that its scales count for.
    """

    name: str = ""
    machines: Annotated[int, Meta(ge=0)] = 0
    windows: Annotated[int, Meta(ge=0)] = 0
    prior: Annotated[float, Meta(ge=0)] = 0.0


class Manifest(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file. created: UTC, ISO 8601. normal: low and high of lines of the spectrum, by name."""

    format: int
    created: str
    appliance: str
    sensor: Sensor
    windows: Windows
    features: Columns
    threshold: Threshold
    false_alarms: FalseAlarms
    model: Network
    receipts: Receipts
    golden: Golden
    recordings: tuple[Recording, ...]
    memory: Memory
    origin: Origin = Origin()
    base: Base = Base()
    normal: dict[str, tuple[float, float]] = {}


def write(manifest: Manifest) -> bytes:
    """manifest.toml as bytes."""
    return tomli_w.dumps(msgspec.to_builtins(manifest)).encode()


def read(text: bytes) -> Manifest:
    """The manifest in the bytes of manifest.toml.

    Raises BundleError: not TOML, an unknown, missing or wrong key, or lists that do not belong together.
    """
    try:
        content = tomllib.loads(text.decode())
        if content.get("format") != FORMAT:
            _refuse("format", f"{content.get('format')!r}", f"{FORMAT}")
        manifest = msgspec.convert(content, Manifest, strict=True)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise BundleError(f"manifest.toml: found text that is not TOML ({fault}), {_WRITTEN}") from fault
    except msgspec.ValidationError as fault:
        raise BundleError(f"manifest.toml: {fault}; {_WRITTEN}") from fault
    _cross_check(manifest)
    return manifest


def _refuse(key: str, found: str, expected: str) -> None:
    raise BundleError(f"manifest.toml: {key}: found {found}, expected {expected}; {_REMEDY}")


def _cross_check(manifest: Manifest) -> None:
    """What the types cannot express: lengths that belong together, numbers that are finite, hex."""
    sensor, windows = manifest.sensor, manifest.windows
    _check_columns(manifest.features)
    if len(sensor.axis_names) != sensor.axes:
        _refuse("sensor.axis_names", f"{len(sensor.axis_names)} names", f"{sensor.axes}, as sensor.axes says")
    samples = windows.window_s * sensor.rate_hz
    if not isfinite(samples) or windows.n != round(samples):
        _refuse("windows.n", f"{windows.n}", f"window_s × rate_hz = {samples:.0f}")
    if not isfinite(manifest.threshold.value):
        _refuse("threshold.value", f"{manifest.threshold.value}", "a number")
    for name, (low, high) in manifest.normal.items():
        if not (isfinite(low) and isfinite(high) and 0 <= low <= high):
            _refuse(f"normal.{name}", f"{low} to {high}", "a range of numbers, low before high")
    golden, k = manifest.golden, len(manifest.features.names)
    _check_vectors("golden.inputs", golden.inputs, len(golden.inputs), k)
    for backend, vectors in golden.outputs.items():
        _check_vectors(f"golden.outputs.{backend}", vectors, len(golden.inputs), k)


def _check_columns(columns: Columns) -> None:
    k = len(columns.names)
    if k == 0 or len(set(columns.names)) != k:
        _refuse(
            "features.names", f"{k} names, {len(set(columns.names))} of them different", "different names"
        )
    for key in ("units", "log", "floor", "center", "scale", "residual_scale"):
        values = getattr(columns, key)
        if len(values) != k:
            _refuse(f"features.{key}", f"{len(values)} values", f"{k}, one a feature")
        if key not in {"units", "log"} and not all(map(isfinite, values)):
            _refuse(f"features.{key}", "inf or nan", "numbers")
    for index, (log, floor) in enumerate(zip(columns.log, columns.floor, strict=True)):
        if log and floor <= 0:
            _refuse(f"features.floor[{index}]", f"{floor}", "more than 0 for a logarithmic feature")


def _check_vectors(key: str, vectors: tuple[str, ...], count: int, k: int) -> None:
    if len(vectors) != count:
        _refuse(key, f"{len(vectors)} vectors", f"{count}, one an input")
    for index, vector in enumerate(vectors):
        if len(vector) != 2 * k or vector.strip("0123456789abcdef"):
            _refuse(f"{key}[{index}]", f"{vector[:16]}… ({len(vector)} characters)", f"{2 * k} hex digits")
