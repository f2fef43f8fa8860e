"""A bundle as its difference to a parent: bytes subtracted where that helps, then lzma."""

import lzma
from collections.abc import Sequence

import msgspec
import numpy as np

from appliance.analysis import bundle as bundles
from appliance.analysis.bundle import LARGEST_FILE, Bundle
from appliance.errors import BundleError

FORMAT = "appliance bundle delta 1"


class Delta(msgspec.Struct, frozen=True):
    """What the file holds. parent, result: `Bundle.sha256` of both.

    files: name -> bytes, less those of the parent's file where `subtracted` names it.
    """

    format: str
    parent: str
    result: str
    files: dict[str, bytes]
    subtracted: frozenset[str]


def make(bundle: Bundle, parent: Bundle) -> bytes:
    """`bundle` as its difference to `parent`."""
    files, subtracted = dict(bundle.files), set()
    for name, data in bundle.files.items():
        difference = _shifted(data, parent.files.get(name, b""), -1)
        if len(lzma.compress(difference)) < len(lzma.compress(data)):  # not where text has moved on
            files[name] = difference
            subtracted.add(name)
    packed = msgspec.msgpack.encode(
        Delta(FORMAT, parent.sha256, bundle.sha256, files, frozenset(subtracted)), order="sorted"
    )
    return lzma.compress(packed, preset=9)


def apply(data: bytes, parents: Sequence[Bundle]) -> Bundle:
    """The bundle in a delta, whole and verified as by `bundle.load`.

    Args:
        data: what `make` gave.
        parents: the bundles at hand, one of which it must have been made against.

    Raises BundleError: no delta, made against another bundle, or it does not give what it says.
    """
    delta = _read(data)
    parent = next((one for one in parents if one.sha256 == delta.parent), None)
    if parent is None:
        known = ", ".join(one.id for one in parents) or "none"
        raise BundleError(
            f"delta: found one made against bundle …{delta.parent[:8]}, expected one against what is here "
            f"({known}); take the whole bundle"
        )
    files = {
        name: _shifted(data, parent.files.get(name, b""), 1) if name in delta.subtracted else data
        for name, data in delta.files.items()
    }
    if (
        not {*bundles.SUMMED, bundles.SUMS}
        <= files.keys()
        <= {*bundles.SUMMED, bundles.SUMS, bundles.SIGNATURE}
    ):
        raise BundleError(
            f"delta: found the files {', '.join(files)}, expected those of a bundle; make it again"
        )
    bundle = bundles.verified(files)
    if bundle.sha256 != delta.result:
        raise BundleError(
            f"delta: found a bundle of hash {bundle.sha256[:12]}… after applying, expected "
            f"{delta.result[:12]}…; take the whole bundle"
        )
    return bundle


def _read(data: bytes) -> Delta:
    """The file unpacked, never to more than the files of a bundle may have."""
    unpacker = lzma.LZMADecompressor(memlimit=256 << 20)
    most = 5 * LARGEST_FILE
    try:
        packed = unpacker.decompress(data, max_length=most)
        if not unpacker.eof:
            raise BundleError(
                f"delta: found more than {most} bytes or a torn file, expected a delta; get it again"
            )
        delta = msgspec.msgpack.decode(packed, type=Delta)
    except (lzma.LZMAError, msgspec.DecodeError) as fault:
        raise BundleError(
            f"delta: found a file that is none ({fault}), expected a delta; get it again"
        ) from fault
    if delta.format != FORMAT:
        raise BundleError(
            f"delta: format: found {delta.format!r}, expected {FORMAT!r}; take the whole bundle"
        )
    return delta


def _shifted(data: bytes, by: bytes, sign: int) -> bytes:
    """`data` ± `by`, byte for byte modulo 256; what is longer than `by` stays as it is."""
    ours = np.frombuffer(data, np.uint8).copy()
    both = min(len(data), len(by))
    ours[:both] += np.frombuffer(by, np.uint8)[:both] * np.uint8(sign % 256)
    return ours.tobytes()
