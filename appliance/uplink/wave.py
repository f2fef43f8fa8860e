"""Waveforms on their way to the plant: an evidence file as it lies on the disk, in pieces, then a manifest.

An upload is not remembered: its id says which file in which pieces, so that what was missing may be asked for
after any restart of either side.
"""

import hashlib
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta, Struct

from appliance.uplink.command import Unfit, UploadId

_MAGIC = b"PDW1"
_HEADER = struct.Struct("<4s8sIII")
HEADER_BYTES = _HEADER.size
PIECE_BYTES = 65_536 - HEADER_BYTES
"""Largest piece of a file in a chunk."""
_LEAST_BYTES = 1024
_ENDS = (".npz", ".protected.npz")
_NAMES = "alarm.json"
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
"""What zipfile raises where a file is not what it was."""
_SHARED_S = 120
"""Alarms that share a file are at most so far apart: evidence.pre_s and post_s are 60 at most."""


class Manifest(Struct, frozen=True, kw_only=True):
    """All pieces of an upload have been sent. A piece that is missing is asked for with `cmd/evidence`."""

    v: Literal[1] = 1
    ts: Annotated[int, Meta(ge=0, description="UTC, milliseconds since 1970, of the sending")]
    upload: UploadId
    name: Annotated[str, Meta(description="of the evidence; the file is an `.npz` of docs/RECORDINGS.md")]
    bytes: Annotated[int, Meta(ge=1)]
    chunks: Annotated[int, Meta(ge=1)]
    chunk_bytes: Annotated[int, Meta(ge=1, description="bytes of the file in each chunk but the last")]
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$", description="of the file")]


class Upload(NamedTuple):
    """One file in pieces of `piece_bytes`."""

    path: Path
    name: str
    size_bytes: int
    piece_bytes: int
    id: str

    @property
    def pieces(self) -> int:
        """Pieces of the whole."""
        return -(-self.size_bytes // self.piece_bytes)

    def chunks(self, wanted: Iterable[int] | None, now_ms: int) -> Iterator[tuple[str, bytes] | None]:
        """(topic suffix, payload) of each piece wanted, None in place of one that is not; the manifest last.

        wanted: indices; None: all. Raises OSError: the file cannot be read, or is not the one any more.
        """
        indices = None if wanted is None else frozenset(wanted)
        sha256 = hashlib.sha256()
        with self.path.open("rb") as file:
            if _id(self.name, os.fstat(file.fileno()), self.piece_bytes) != self.id:
                raise OSError(
                    f"{self.path} is another file now; expected upload {self.id}; ask again by name"
                )
            for index in range(self.pieces):
                data = file.read(self.piece_bytes)
                sha256.update(data)
                if indices is None or index in indices:
                    yield "wave/chunk", self._header(index, data) + data
                else:
                    yield None
        manifest = Manifest(
            ts=now_ms,
            upload=self.id,
            name=self.name,
            bytes=self.size_bytes,
            chunks=self.pieces,
            chunk_bytes=self.piece_bytes,
            sha256=sha256.hexdigest(),
        )
        yield "wave/manifest", msgspec.json.encode(manifest)

    def _header(self, index: int, data: bytes) -> bytes:
        return _HEADER.pack(_MAGIC, bytes.fromhex(self.id), index, self.pieces, zlib.crc32(data))


class Waveforms:
    """The evidence on this device. most_bytes: largest payload that the broker takes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def named(self, name: str, most_bytes: int) -> Upload:
        """The evidence that an event calls `name`. Raises Unfit."""
        for path in (*(self._folder / f"{name}{end}" for end in _ENDS), *self._shared(name)):
            if upload := _upload(path, most_bytes):
                return upload
        raise Unfit(
            f"no evidence {name!r} on this device; expected `wave` of an event; it may have made room"
        )

    def resumed(self, id_: str, missing: Iterable[int], most_bytes: int) -> Upload:
        """The upload of this id. Raises Unfit."""
        for path in self._folder.glob("*.npz"):
            upload = _upload(path, most_bytes)
            if upload and upload.id == id_:
                if max(missing) < upload.pieces:
                    return upload
                raise Unfit(f"no chunk {max(missing)} in {id_}; it has {upload.pieces}; correct `missing`")
        raise Unfit(f"no upload {id_}: the file is gone, or the broker takes other sizes now; ask by name")

    def _shared(self, name: str) -> Iterator[Path]:
        """Files of alarms about the same time, which say that they hold this one too."""
        at_s = _at_s(name)
        for path in self._folder.glob("*.npz"):
            found_s = _at_s(path.name)
            near = at_s is not None and found_s is not None and abs(found_s - at_s) <= _SHARED_S
            if near and name in _names(path):
                yield path


class _Named(Struct):
    names: tuple[str, ...] = ()


def _names(path: Path) -> tuple[str, ...]:
    """What events call this evidence."""
    try:
        with zipfile.ZipFile(path) as archive:
            return msgspec.json.decode(archive.read(_NAMES), type=_Named).names
    except (*_DAMAGE, OSError, msgspec.DecodeError):
        return ()


def _at_s(name: str) -> float | None:
    """Machine time that the name of evidence begins with."""
    match = re.match(r"\d+", name)
    return int(match[0]) / 1e9 if match else None


def _upload(path: Path, most_bytes: int) -> Upload | None:
    """None where there is no such file."""
    try:
        found = path.lstat()
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode) or not found.st_size:
        return None
    piece_bytes = min(PIECE_BYTES, most_bytes - HEADER_BYTES)
    if piece_bytes < _LEAST_BYTES:
        raise Unfit(f"the broker takes {most_bytes} bytes; expected {_LEAST_BYTES} at least; raise its limit")
    name = path.name.removesuffix(_ENDS[1]).removesuffix(_ENDS[0])
    return Upload(path, name, found.st_size, piece_bytes, _id(name, found, piece_bytes))


def _id(name: str, found: os.stat_result, piece_bytes: int) -> str:
    said = f"{name} {found.st_size} {found.st_mtime_ns} {piece_bytes}"
    return hashlib.sha256(said.encode()).hexdigest()[:16]
