"""Evidence files read back: verified whole, or refused by file and part."""

import hashlib
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw.evidence import FORMAT, SUMS, VERSION, Evidence, Track, block_type
from hw.waveform import (
    I16,
    MOST_AXES,
    MOST_BYTES,
    RATE_SLACK,
    Gap,
    Recording,
    RecordingError,
    agreed_rate_hz,
)

_CHUNK_BYTES = 1 << 20
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    ValueError,
    EOFError,
    KeyError,
    RuntimeError,
    OverflowError,
    MemoryError,
)
"""What zipfile and numpy raise where a file is not what it was."""


def read_head(path: Path) -> dict[str, Any]:
    """The meta of an evidence file, without its arrays. Raises RecordingError, OSError."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open("head.npy") as member:
            head = np.lib.format.read_array(member, allow_pickle=False)
    except _DAMAGE as fault:
        raise _damaged(path, fault) from fault
    meta: dict[str, Any] = _head(path, {"head": head})["meta"]
    return meta


def read_evidence(path: Path, *, sealed: bool = False) -> Evidence:
    """All of an evidence file, its sums verified. sealed: refuse one without sums.

    Raises:
        RecordingError: file, part and what is wrong with it.
        OSError: it cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            total = sum(entry.file_size for entry in archive.infolist())
            if total > MOST_BYTES:
                raise RecordingError(
                    f"{path}: {total} bytes unpacked; expected at most {MOST_BYTES}; not our evidence"
                )
            _verify(path, archive, sealed=sealed)
            others = [name for name in archive.namelist() if not name.endswith(".npy") and name != SUMS]
            members = {name: archive.read(name) for name in others}
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files if name not in (*others, SUMS)}
    except _DAMAGE as fault:
        raise _damaged(path, fault) from fault
    head = _head(path, arrays)
    return Evidence(tuple(_track(path, arrays, name) for name in head["sensors"]), head["meta"], members)


def _damaged(path: Path, fault: BaseException) -> RecordingError:
    what = str(fault) or type(fault).__name__
    return RecordingError(f"{path}: {what}; expected an intact evidence .npz; copy the file again")


def _verify(path: Path, archive: zipfile.ZipFile, *, sealed: bool) -> None:
    """Compare every member with its SHA-256. Raises RecordingError, and what zipfile raises."""
    names = archive.namelist()
    if SUMS not in names:
        if sealed:
            raise RecordingError(f"{path}: no {SUMS}; expected the sums of its parts; it is not as written")
        return
    lines = archive.read(SUMS).decode().splitlines()
    said = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    if sorted(names) != sorted([*said, SUMS]):
        odd = ", ".join(sorted({*names, SUMS} ^ {*said, SUMS})) or "a part twice"
        raise RecordingError(f"{path}: {odd}: not as in {SUMS}; expected the same parts; it was changed")
    for name, expected in said.items():
        digest = hashlib.sha256()
        with archive.open(name) as member:
            while chunk := member.read(_CHUNK_BYTES):
                digest.update(chunk)
        found = digest.hexdigest()
        if found != expected:
            raise RecordingError(
                f"{path}: {name}: SHA-256 {found[:12]}…; expected {expected[:12]}…; it was changed"
            )


def recording(path: Path, rate_hz: float | None, axes: int | None, sensor: str | None) -> Recording:
    """One sensor of an evidence file; `sensor` may be None if it holds one only. Raises RecordingError."""
    tracks = read_evidence(path).tracks
    names = [track.sensor for track in tracks]
    if sensor is None and len(tracks) != 1:
        raise RecordingError(f"{path}: sensors {', '.join(names) or 'none'}; expected one; say which")
    track = next((one for one in tracks if sensor in (None, one.sensor)), None)
    if track is None:
        raise RecordingError(f"{path}: no sensor {sensor!r}; it has {', '.join(names)}; name one of these")
    found = track.counts.shape[1]
    if axes is not None and axes != found:
        raise RecordingError(f"{path}: {found} axes, {axes} asked for; give no number of axes for evidence")
    return Recording(
        name=path.stem if len(tracks) == 1 else f"{path.stem}.{track.sensor}",
        rate_hz=agreed_rate_hz(path, track.rate_hz, rate_hz, RATE_SLACK),
        accel=track.counts * np.float32(track.scale_mps2),
        axis_names=track.axis_names,
        gaps=track.lost,
        t0_utc_ns=track.t0_utc_ns or None,
        counts=track.counts,
        scale_mps2=track.scale_mps2,
    )


def _head(path: Path, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """The checked head: format, version, names of the sensors."""
    if "head" not in arrays:
        raise RecordingError(f"{path}: keys {sorted(arrays)[:6]}; expected 'head'; this .npz is not evidence")
    try:
        head = json.loads(str(arrays["head"]))
        known = head["format"] == FORMAT and head["version"] == VERSION
        names, meta = head["sensors"], head["meta"]
    except (ValueError, KeyError, TypeError) as fault:
        raise RecordingError(
            f"{path}: head {fault!r}; expected JSON of an evidence file; copy it again"
        ) from fault
    if (
        not known
        or not isinstance(names, list)
        or not all(isinstance(name, str) for name in names)
        or not isinstance(meta, dict)
    ):
        raise RecordingError(
            f"{path}: head {head!r:.200}; expected {FORMAT} version {VERSION}; update the appliance"
        )
    return {"sensors": names, "meta": meta}


def _track(path: Path, arrays: Mapping[str, NDArray[Any]], name: str) -> Track:
    def array(key: str, dtype: type, ndim: int) -> NDArray[Any]:
        full = f"{name}.{key}"
        if full not in arrays:
            raise RecordingError(
                f"{path}: no key {full!r}; expected it for sensor {name!r}; copy the file again"
            )
        found = arrays[full]
        if not np.issubdtype(found.dtype, dtype) or found.ndim != ndim:
            raise RecordingError(
                f"{path}: {full}: {found.dtype} of {found.ndim} dimensions; "
                f"expected {dtype.__name__} of {ndim}; write the file again"
            )
        return found

    counts = array("counts", np.int16, 2)
    lost = array("lost", np.int64, 2)
    scale_mps2, rate_hz = (float(array(key, np.float64, 0)) for key in ("scale_mps2", "rate_hz"))
    axis_names = tuple(str(axis) for axis in array("axis_names", np.str_, 1))
    axes = counts.shape[1]
    if len(counts) < 2 or not 1 <= axes <= MOST_AXES or len(axis_names) != axes:
        raise RecordingError(
            f"{path}: {name}.counts of shape {counts.shape} for axes {axis_names}; "
            f"expected at least 2 samples of 1 to {MOST_AXES} named axes; write the file again"
        )
    if not (np.isfinite(scale_mps2) and scale_mps2 > 0.0):
        raise RecordingError(f"{path}: {name}.scale_mps2 {scale_mps2}; expected > 0; write the file again")
    if not (np.isfinite(rate_hz) and rate_hz > 0.0):  # a clock that is far off is what the alarm may be about
        raise RecordingError(f"{path}: {name}.rate {rate_hz}; expected > 0; write the file again")
    if (
        lost.shape[1] != 2
        or (lost[:, 1] < 1).any()
        or (lost[:, 0] < -1).any()
        or (lost[:, 0] >= len(counts)).any()
    ):
        raise RecordingError(
            f"{path}: {name}.lost {lost.tolist()[:3]}; expected rows of sample index, count; write it again"
        )
    return Track(
        sensor=name,
        counts=counts,
        scale_mps2=scale_mps2,
        rate_hz=rate_hz,
        t0_mono_ns=int(array("t0_mono_ns", np.int64, 0)),
        t0_utc_ns=int(array("t0_utc_ns", np.int64, 0)),
        lost=tuple(Gap(int(after), int(missing)) for after, missing in sorted(lost.tolist())),
        axis_names=axis_names,
        blocks=_blocks(path, arrays, name, counts),
    )


def _blocks(
    path: Path, arrays: Mapping[str, NDArray[Any]], name: str, counts: I16
) -> NDArray[np.void] | None:
    blocks = arrays.get(f"{name}.blocks")
    if blocks is None:
        return None
    expected = block_type(counts.shape[1])
    if (
        blocks.dtype != expected
        or blocks.ndim != 1
        or (blocks["n"] < 1).any()
        or blocks["n"].sum() != len(counts)
    ):
        raise RecordingError(
            f"{path}: {name}.blocks: {blocks.dtype} of {blocks.shape} rows; expected blocks of together "
            f"{len(counts)} samples; it was changed"
        )
    return blocks
