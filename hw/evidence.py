"""The appliance's own recordings: .npz with raw counts of sensors and what belongs to them, written whole.

The format is described in docs/RECORDINGS.md.
"""

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hw.waveform import DEFAULT_AXES, I16, Gap

FORMAT = "appliance-evidence"
VERSION = 1
SUMS = "SHA256SUMS"


@dataclass(frozen=True, slots=True)
class Track:
    """Counts of one sensor.

    counts: shape (n, axes), n >= 2. t0_mono_ns, t0_utc_ns: time of the first sample; utc 0 = not known.
    lost: where samples are missing. blocks: how they came, of `block_type`, where that is known.
    """

    sensor: str
    counts: I16
    scale_mps2: float
    rate_hz: float
    t0_mono_ns: int
    t0_utc_ns: int = 0
    lost: tuple[Gap, ...] = ()
    axis_names: tuple[str, ...] = ()
    blocks: NDArray[np.void] | None = None


class Evidence(NamedTuple):
    """What an evidence file holds. meta: what happened; members: further files inside it, by name."""

    tracks: tuple[Track, ...]
    meta: dict[str, Any]
    members: dict[str, bytes]


def block_type(axes: int) -> np.dtype[np.void]:
    """One drain of a sensor's FIFO. n: its samples; mean_counts: of each axis, NaN where it was left out."""
    return np.dtype(
        [
            ("seq", "<i8"),
            ("t0_mono_ns", "<i8"),
            ("n", "<i4"),
            ("lost", "<i4"),
            ("validity", "<i4"),
            ("rate_hz", "<f8"),
            ("nominal_hz", "<f8"),
            ("mean_counts", "<f8", (axes,)),
        ]
    )


def write_evidence(
    path: Path,
    tracks: Iterable[Track],
    meta: Mapping[str, object] | None = None,
    members: Mapping[str, bytes] | None = None,
) -> None:
    """Write the tracks, `meta` (JSON values: what happened) and further files, all or nothing, and durably.

    The tracks are taken one by one, so that only one of them need be in memory.

    Raises:
        OSError: the disk; nothing is left behind.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with unfinished.open("wb") as file:
            with zipfile.ZipFile(file, "w") as archive:
                _write_members(archive, tracks, meta or {}, members or {})
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


def _write_members(
    archive: zipfile.ZipFile,
    tracks: Iterable[Track],
    meta: Mapping[str, object],
    members: Mapping[str, bytes],
) -> None:
    sums: list[str] = []

    def add(name: str, *parts: bytes | memoryview) -> None:
        digest = hashlib.sha256()
        with archive.open(name, "w", force_zip64=True) as member:
            for part in parts:
                digest.update(part)
                member.write(part)
        sums.append(f"{digest.hexdigest()}  {name}\n")

    names: list[str] = []
    for track in tracks:
        names.append(track.sensor)
        for key, array in _arrays(track).items():
            add(f"{track.sensor}.{key}.npy", *_npy(array))
    for name, data in members.items():
        add(name, data)
    head = {"format": FORMAT, "version": VERSION, "sensors": names, "meta": dict(meta)}
    add("head.npy", *_npy(np.array(json.dumps(head))))
    archive.writestr(SUMS, "".join(sums))


def _arrays(track: Track) -> dict[str, NDArray[Any]]:
    axis_names = track.axis_names or DEFAULT_AXES[: track.counts.shape[1]]
    arrays: dict[str, NDArray[Any]] = {
        "counts": np.asarray(track.counts, np.int16),
        "scale_mps2": np.array(track.scale_mps2, np.float64),
        "rate_hz": np.array(track.rate_hz, np.float64),
        "t0_mono_ns": np.array(track.t0_mono_ns, np.int64),
        "t0_utc_ns": np.array(track.t0_utc_ns, np.int64),
        "lost": np.array(track.lost, np.int64).reshape(-1, 2),
        "axis_names": np.array(axis_names),
    }
    return arrays if track.blocks is None else arrays | {"blocks": track.blocks}


def _npy(array: NDArray[Any]) -> tuple[bytes, memoryview]:
    """The array as an .npy file: header, and its own memory."""
    array = np.asarray(array, order="C")
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(array))
    return header.getvalue(), array.reshape(-1).view(np.uint8).data
