import lzma

import msgspec
import numpy as np
import pytest

from appliance.analysis import bundle as bundles
from appliance.analysis import delta, provenance
from appliance.errors import BundleError

KEY = bytes(range(32))


@pytest.fixture(scope="module")
def tuned(made):
    """The same bundle for another machine, signed: most bytes are the parent's."""
    return provenance.issue(made, KEY, serial=3, machine="a/b/c/de")


def test_a_delta_gives_the_very_bundle_and_is_small(made, tuned, other):
    data = delta.make(tuned, made)
    found = delta.apply(data, [other, made])
    assert found.files == tuned.files
    assert found.manifest == tuned.manifest
    whole = sum(map(len, tuned.files.values()))
    assert len(data) < whole / 10
    unlike = delta.make(other, made)
    assert delta.apply(unlike, [made]).files == other.files
    assert len(unlike) <= 1.05 * len(lzma.compress(b"".join(other.files.values()), preset=9))
    assert delta.make(other, made) == unlike


def test_without_its_parent_it_is_refused(made, tuned, other):
    with pytest.raises(BundleError, match=rf"made against bundle …{made.sha256[:8]}.*\({other.id}\)"):
        delta.apply(delta.make(tuned, made), [other])
    with pytest.raises(BundleError, match=r"\(none\)"):
        delta.apply(delta.make(tuned, made), [])


def test_whatever_is_done_to_a_delta_it_is_refused(made, tuned):
    sound, rng = delta.make(tuned, made), np.random.default_rng(1)
    for at in rng.choice(len(sound), 60):
        broken = bytearray(sound)
        broken[at] ^= 1 << int(rng.integers(8))
        with pytest.raises(BundleError):
            delta.apply(bytes(broken), [made])
    for length in (0, 1, len(sound) // 2, len(sound) - 1):
        with pytest.raises(BundleError, match="delta: found"):
            delta.apply(sound[:length], [made])
    with pytest.raises(BundleError, match="torn file"):
        delta.apply(lzma.compress(bytes(6 * bundles.LARGEST_FILE)), [made])


def packed(made, tuned, **change):
    content = msgspec.msgpack.decode(lzma.decompress(delta.make(tuned, made)), type=delta.Delta)
    return lzma.compress(msgspec.msgpack.encode(msgspec.structs.replace(content, **change)))


def test_what_it_says_is_checked(made, tuned):
    for change, words in (
        ({"format": "another"}, "format: found 'another'"),
        ({"result": "0" * 64}, "after applying, expected 000000000000"),
        ({"files": {}}, "found the files"),
    ):
        with pytest.raises(BundleError, match=words):
            delta.apply(packed(made, tuned, **change), [made])
    content = msgspec.msgpack.decode(lzma.decompress(delta.make(tuned, made)), type=delta.Delta)
    for name in ("../../escape", "extra"):
        with pytest.raises(BundleError, match="found the files"):
            delta.apply(packed(made, tuned, files=content.files | {name: b"x"}), [made])
