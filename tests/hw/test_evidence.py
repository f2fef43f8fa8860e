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

from hw.evidence import Track, read_evidence, write_evidence
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
    got, meta = read_evidence(path)
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
            (only,), meta = read_evidence(path)
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
    monkeypatch.setattr("hw.evidence.MOST_BYTES", 100_000)
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("de.counts.npy", bytes(100_001))
    assert path.stat().st_size < 1000
    with pytest.raises(RecordingError, match="100001 bytes unpacked"):
        load(path)
