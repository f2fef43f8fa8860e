"""Evidence files: complete or absent, and refused when damaged."""

import json
import os
import random
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hw.evidence import Track, block_type, write_evidence
from hw.evidence_read import read_evidence, read_head
from hw.recording import Gap, RecordingError, load

ROOT = Path(__file__).resolve().parents[2]


def track(sensor="de", n=1000, axes=3, **changes) -> Track:
    counts = np.random.default_rng(1).integers(-32768, 32768, (n, axes)).astype(np.int16)
    return Track(
        **{
            "sensor": sensor,
            "counts": counts,
            "scale_mps2": 0.005,
            "rate_hz": 6399.5,
            "t0_mono_ns": 123,
            "t0_utc_ns": 1_700_000_000_123_456_789,
            "lost": (Gap(9, 3), Gap(500, 1)),
            "axis_names": ("x", "y", "z")[:axes],
        }
        | changes
    )


def test_round_trip(tmp_path):
    path = tmp_path / "e.npz"
    tracks = (track(), track("nde", axes=1, lost=(), t0_utc_ns=0))
    write_evidence(path, tracks, {"event": 7, "why": "Danger µ"})
    got, meta, _ = read_evidence(path)
    assert meta == {"event": 7, "why": "Danger µ"}
    for one, other in zip(got, tracks, strict=True):
        assert np.array_equal(one.counts, other.counts)
        for field in ("sensor", "scale_mps2", "rate_hz", "t0_mono_ns", "t0_utc_ns", "lost", "axis_names"):
            assert getattr(one, field) == getattr(other, field)


def test_load_gives_the_exact_counts(tmp_path):
    path = tmp_path / "e.npz"
    write_evidence(path, [track()])
    got = load(path)
    assert np.array_equal(got.counts, track().counts)
    assert got.accel == pytest.approx(track().counts * 0.005, rel=1e-6)
    assert (got.rate_hz, got.gaps, got.t0_utc_ns) == (6399.5, track().lost, track().t0_utc_ns)
    assert (got.name, got.scale_mps2) == ("e", 0.005)


def test_of_several_sensors_one_is_named(tmp_path):
    path = tmp_path / "e.npz"
    write_evidence(path, [track(), track("nde", axes=1, t0_utc_ns=0)])
    assert load(path, sensor="nde").name == "e.nde"
    assert load(path, sensor="nde").t0_utc_ns is None
    with pytest.raises(RecordingError, match="sensors de, nde; expected one"):
        load(path)
    with pytest.raises(RecordingError, match="no sensor 'x'"):
        load(path, sensor="x")


@pytest.mark.parametrize(
    ("asked", "found"), [({"rate_hz": 3200.0}, "3200 Hz was given"), ({"axes": 2}, "3 axes, 2 asked for")]
)
def test_contradicted(tmp_path, asked, found):
    write_evidence(tmp_path / "e.npz", [track()])
    with pytest.raises(RecordingError, match=found):
        load(tmp_path / "e.npz", **asked)


def test_it_needs_no_pickle_and_numpy_alone_reads_it(tmp_path):
    write_evidence(tmp_path / "e.npz", [track()])
    with np.load(tmp_path / "e.npz", allow_pickle=False) as stored:
        assert stored["de.counts"].dtype == np.int16
        assert json.loads(str(stored["head"]))["format"] == "appliance-evidence"


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "e.npz"
    write_evidence(path, [track()])
    before = path.read_bytes()
    with pytest.raises(TypeError):
        write_evidence(path, [track()], {"no": object()})
    with pytest.raises(ValueError, match="could not convert"):
        write_evidence(path, [track(scale_mps2="no number")])
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["e.npz"]
    with pytest.raises(FileNotFoundError):
        write_evidence(tmp_path / "absent" / "e.npz", [track()])


def test_killed_at_any_moment_it_is_whole_or_absent(tmp_path):
    """kill -9 in the midst of writing: what can be seen under the final name always loads."""
    program = (
        "import sys; from pathlib import Path; import numpy as np\n"
        "from hw.evidence import Track, write_evidence\n"
        "counts = np.zeros((200_000, 3), np.int16)\n"
        "print('up', flush=True)\n"
        "for k in range(10_000):\n"
        "    write_evidence(Path(sys.argv[1]), [Track('de', counts + k, 0.005, 6400.0, k)], {'k': k})\n"
    )
    path = tmp_path / "e.npz"
    moments = random.Random(1)
    seen = 0
    for _ in range(6):
        command = [sys.executable, "-c", program, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as writer:
            assert writer.stdout.readline() == b"up\n"
            time.sleep(moments.uniform(0.0, 0.15))
            os.kill(writer.pid, signal.SIGKILL)
        if path.exists():
            (only,), meta, _ = read_evidence(path)
            assert (only.counts == meta["k"]).all()
            assert only.t0_mono_ns == meta["k"]
            seen += 1
        assert load_names(tmp_path) <= {"e.npz"}
    assert seen > 0


def load_names(folder):
    """What a reader who looks for recordings in the folder finds."""
    return {file.name for file in folder.glob("*.npz")}


def damaged(**changes):
    """Arrays of a good file with some replaced, or taken out (None)."""
    one = track()
    arrays = {
        "head": np.array(
            json.dumps({"format": "appliance-evidence", "version": 1, "sensors": ["de"], "meta": {}})
        ),
        "de.counts": one.counts,
        "de.scale_mps2": np.array(0.005),
        "de.rate_hz": np.array(6400.0),
        "de.t0_mono_ns": np.array(1),
        "de.t0_utc_ns": np.array(1),
        "de.lost": np.zeros((0, 2), np.int64),
        "de.axis_names": np.array(["x", "y", "z"]),
    }
    arrays |= {key if key == "head" else f"de.{key}": value for key, value in changes.items()}
    return {key: value for key, value in arrays.items() if value is not None}


BROKEN = {
    "no head": (damaged(head=None), "expected 'head'"),
    "head no JSON": (damaged(head=np.array("{")), "expected JSON"),
    "head no object": (damaged(head=np.array("[1]")), "expected JSON"),
    "head without sensors": (
        damaged(head=np.array('{"format": "appliance-evidence", "version": 1}')),
        "expected JSON",
    ),
    "newer": (
        damaged(
            head=np.array('{"format": "appliance-evidence", "version": 2, "sensors": ["de"], "meta": {}}')
        ),
        "version 1; update",
    ),
    "another format": (
        damaged(head=np.array('{"format": "x", "version": 1, "sensors": ["de"], "meta": {}}')),
        "expected appliance-evidence",
    ),
    "no counts": (damaged(counts=None), "no key 'de.counts'"),
    "no rate": (damaged(rate_hz=None), "no key 'de.rate_hz'"),
    "float counts": (damaged(counts=np.zeros((10, 3))), "float64 of 2 dimensions"),
    "flat counts": (damaged(counts=np.zeros(10, np.int16)), "int16 of 1 dimensions"),
    "no samples": (damaged(counts=np.zeros((0, 3), np.int16)), "at least 2 samples"),
    "four axes": (damaged(counts=np.zeros((10, 4), np.int16)), "1 to 3 named axes"),
    "names do not fit": (damaged(axis_names=np.array(["x"])), "named axes"),
    "scale nan": (damaged(scale_mps2=np.array(np.nan)), "scale_mps2 nan"),
    "scale 0": (damaged(scale_mps2=np.array(0.0)), "scale_mps2 0"),
    "rate nan": (damaged(rate_hz=np.array(np.nan)), "rate nan"),
    "slow": (damaged(rate_hz=np.array(10.0)), "rate 10 Hz"),
    "lost beyond the end": (damaged(lost=np.array([[1000, 1]])), "de.lost"),
    "lost none": (damaged(lost=np.array([[10, 0]])), "de.lost"),
    "lost of three": (damaged(lost=np.zeros((1, 3), np.int64)), "de.lost"),
    "pickled": (damaged(counts=np.array([object()])), "pickle|Object arrays"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken(tmp_path, case):
    arrays, found = BROKEN[case]
    path = tmp_path / "b.npz"
    np.savez(path, **arrays)
    with pytest.raises(RecordingError, match=found) as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_cut_anywhere_is_an_error(tmp_path):
    path = tmp_path / "e.npz"
    write_evidence(path, [track()])
    whole = path.read_bytes()
    for length in np.linspace(0, len(whole) - 1, 60).astype(int):
        path.write_bytes(whole[:length])
        with pytest.raises(RecordingError, match="intact evidence"):
            load(path)


def test_a_flipped_bit_in_the_samples_is_found(tmp_path):
    path = tmp_path / "e.npz"
    write_evidence(path, [track()])
    whole = bytearray(path.read_bytes())
    whole[whole.index(track().counts.tobytes()) + 1234] ^= 4
    path.write_bytes(whole)
    with pytest.raises(RecordingError, match="intact evidence"):
        load(path)


def test_a_bomb_is_refused_unopened(tmp_path, monkeypatch):
    monkeypatch.setattr("hw.evidence_read.MOST_BYTES", 100_000)
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("de.counts.npy", bytes(100_001))
    assert path.stat().st_size < 1000
    with pytest.raises(RecordingError, match="100001 bytes unpacked"):
        load(path)


def recorded() -> Track:
    """A track of two blocks, one axis of the second left out."""
    blocks = np.zeros(2, block_type(3))
    blocks["n"], blocks["seq"], blocks["rate_hz"] = (400, 600), (7, 8), (6399.1, 6399.5)
    blocks["mean_counts"] = [(1.5, -2.0, 1600.25), (1.5, np.nan, 1600.0)]
    return track(blocks=blocks)


MEMBERS = {"alarm.json": b'{"why":"Danger"}', "trace.msgpack": bytes(range(256))}


def test_blocks_and_further_files_come_back_as_they_were(tmp_path):
    path = tmp_path / "e.npz"
    write_evidence(path, iter([recorded()]), {"k": 1}, MEMBERS)
    [one], meta, members = read_evidence(path, sealed=True)
    assert one.blocks.dtype == recorded().blocks.dtype
    assert one.blocks.tobytes() == recorded().blocks.tobytes()
    assert members == MEMBERS
    assert read_head(path) == meta == {"k": 1}
    with np.load(path, allow_pickle=False) as stored:  # as docs/RECORDINGS.md says
        assert np.array_equal(stored["de.counts"], one.counts)
        assert bytes(stored["alarm.json"]) == MEMBERS["alarm.json"]


def test_everybody_can_check_the_sums(tmp_path):
    write_evidence(tmp_path / "e.npz", [recorded()], None, MEMBERS)
    subprocess.run(["python3", "-m", "zipfile", "-e", "e.npz", "out"], cwd=tmp_path, check=True)
    done = subprocess.run(
        ["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=tmp_path / "out", capture_output=True, check=True
    )
    assert done.stdout.count(b": OK") == 11


def rewritten(path, change) -> None:
    """The file with its members as `change` makes them of {name: bytes}; the ZIP itself stays sound."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


CHANGES = {
    "a sample": (lambda m: m.update({"de.counts.npy": m["de.counts.npy"][:-1] + b"!"}), "de.counts.npy: SHA"),
    "a further file": (lambda m: m.update({"alarm.json": b"{}"}), "alarm.json: SHA-256"),
    "the head": (lambda m: m.update({"head.npy": m["head.npy"].replace(b"d", b"e")}), "head.npy: SHA-256"),
    "one out": (lambda m: m.pop("trace.msgpack"), "trace.msgpack: not as in SHA256SUMS"),
    "one more": (lambda m: m.update({"more.npy": b""}), "more.npy: not as in SHA256SUMS"),
    "no sums": (lambda m: m.pop("SHA256SUMS"), "no SHA256SUMS"),
    "sums no text": (lambda m: m.update({"SHA256SUMS": b"\xff"}), "intact evidence"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_what_was_changed_with_care_is_found_and_named(tmp_path, case):
    change, found = CHANGES[case]
    path = tmp_path / "e.npz"
    write_evidence(path, [recorded()], None, MEMBERS)
    rewritten(path, change)
    with pytest.raises(RecordingError, match=found) as caught:
        read_evidence(path, sealed=True)
    assert str(path) in str(caught.value)


def test_a_sensor_whose_clock_is_far_off_is_read_back(tmp_path):
    """The alarm may be about that very clock; as a recording to learn from it is refused."""
    write_evidence(tmp_path / "e.npz", [track(rate_hz=31.0)])
    assert read_evidence(tmp_path / "e.npz").tracks[0].rate_hz == 31.0
    with pytest.raises(RecordingError, match="rate 31 Hz"):
        load(tmp_path / "e.npz")


def test_blocks_that_do_not_fit_the_samples(tmp_path):
    blocks = recorded().blocks
    blocks["n"][0] = 401
    write_evidence(tmp_path / "e.npz", [track(blocks=blocks)])
    with pytest.raises(RecordingError, match=r"de\.blocks"):
        read_evidence(tmp_path / "e.npz")


def test_any_byte_changed_is_found_or_changes_nothing(tmp_path):
    """Bytes of the ZIP's own that nobody reads (dates, versions) may change; no content may."""
    path = tmp_path / "e.npz"
    write_evidence(path, [recorded()], {"k": 1}, MEMBERS)
    whole, good = path.read_bytes(), read_evidence(path)
    rng = random.Random(3)
    found = 0
    for _ in range(600):
        damaged_bytes = bytearray(whole)
        damaged_bytes[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged_bytes)
        try:
            got = read_evidence(path, sealed=True)
        except RecordingError:
            found += 1
        else:
            assert (got.meta, got.members) == (good.meta, good.members)
            assert got.tracks[0].counts.tobytes() == good.tracks[0].counts.tobytes()
    assert found > 400


def test_the_head_of_anything_is_read_or_refused(tmp_path):
    path = tmp_path / "e.npz"
    for data in (b"", b"PK", bytes(1000), b"\x93NUMPY\x01\x00"):
        path.write_bytes(data)
        with pytest.raises(RecordingError, match=r"e\.npz"):
            read_head(path)
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(RecordingError, match="not a zip file"):
        read_head(path)
