"""The appliance's own recordings: .npz with raw counts of one or more sensors, written all or nothing.

The format is described in docs/RECORDINGS.md.
"""

import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw.waveform import (
    I16,
    MOST_AXES,
    MOST_BYTES,
    RATE_SLACK,
    Gap,
    Recording,
    RecordingError,
    agreed_rate_hz,
    checked_rate_hz,
)

FORMAT = "appliance-evidence"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Track:
    """Counts of one sensor.

    counts: shape (n, axes), n >= 2. t0_mono_ns, t0_utc_ns: time of the first sample; utc 0 = not known.
    lost: where samples are missing.
    """

    sensor: str
    counts: I16
    scale_mps2: float
    rate_hz: float
    t0_mono_ns: int
    t0_utc_ns: int = 0
    lost: tuple[Gap, ...] = ()
    axis_names: tuple[str, ...] = ()


def write_evidence(path: Path, tracks: Sequence[Track], meta: Mapping[str, object] | None = None) -> None:
    """Write the tracks and `meta` (JSON values: what happened, which model, …), all or nothing.

    Raises:
        OSError: the disk; nothing is left behind.
    """
    names = [track.sensor for track in tracks]
    head = {"format": FORMAT, "version": VERSION, "sensors": names, "meta": dict(meta or {})}
    arrays: dict[str, NDArray[Any]] = {"head": np.array(json.dumps(head))}
    for track in tracks:
        axis_names = track.axis_names or ("x", "y", "z")[: track.counts.shape[1]]
        arrays |= {
            f"{track.sensor}.counts": np.asarray(track.counts, np.int16),
            f"{track.sensor}.scale_mps2": np.array(track.scale_mps2, np.float64),
            f"{track.sensor}.rate_hz": np.array(track.rate_hz, np.float64),
            f"{track.sensor}.t0_mono_ns": np.array(track.t0_mono_ns, np.int64),
            f"{track.sensor}.t0_utc_ns": np.array(track.t0_utc_ns, np.int64),
            f"{track.sensor}.lost": np.array(track.lost, np.int64).reshape(-1, 2),
            f"{track.sensor}.axis_names": np.array(axis_names),
        }
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with unfinished.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_evidence(path: Path) -> tuple[tuple[Track, ...], dict[str, Any]]:
    """The tracks and the meta of an evidence file. Raises RecordingError."""
    try:
        with zipfile.ZipFile(path) as archive:
            total = sum(entry.file_size for entry in archive.infolist())
        if total > MOST_BYTES:
            raise RecordingError(
                f"{path}: {total} bytes unpacked; expected at most {MOST_BYTES}; not our evidence"
            )
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (zipfile.BadZipFile, ValueError, EOFError, KeyError, NotImplementedError) as fault:
        raise RecordingError(
            f"{path}: {fault}; expected an intact evidence .npz; copy the file again"
        ) from fault
    head = _head(path, arrays)
    return tuple(_track(path, arrays, name) for name in head["sensors"]), head["meta"]


def recording(path: Path, rate_hz: float | None, axes: int | None, sensor: str | None) -> Recording:
    """One sensor of an evidence file; `sensor` may be None if it holds one only. Raises RecordingError."""
    tracks, _ = read_evidence(path)
    names = [track.sensor for track in tracks]
    if sensor is None and len(tracks) != 1:
        raise RecordingError(f"{path}: sensors {', '.join(names)}; expected one; say which")
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
        or not names
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
    scale_mps2 = float(array("scale_mps2", np.float64, 0))
    axis_names = tuple(str(axis) for axis in array("axis_names", np.str_, 1))
    axes = counts.shape[1]
    if len(counts) < 2 or not 1 <= axes <= MOST_AXES or len(axis_names) != axes:
        raise RecordingError(
            f"{path}: {name}.counts of shape {counts.shape} for axes {axis_names}; "
            f"expected at least 2 samples of 1 to {MOST_AXES} named axes; write the file again"
        )
    if not (np.isfinite(scale_mps2) and scale_mps2 > 0.0):
        raise RecordingError(f"{path}: {name}.scale_mps2 {scale_mps2}; expected > 0; write the file again")
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
        rate_hz=checked_rate_hz(path, float(array("rate_hz", np.float64, 0))),
        t0_mono_ns=int(array("t0_mono_ns", np.int64, 0)),
        t0_utc_ns=int(array("t0_utc_ns", np.int64, 0)),
        lost=tuple(Gap(int(after), int(missing)) for after, missing in sorted(lost.tolist())),
        axis_names=axis_names,
    )
