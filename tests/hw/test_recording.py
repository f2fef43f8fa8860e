"""Recordings of any kind through one door."""

import random

import numpy as np
import pytest

from hw.csvfile import write_csv
from hw.evidence import Track, write_evidence
from hw.recording import RecordingError, load
from hw.wav import write_wav


def test_suffix_decides(tmp_path):
    (tmp_path / "a.mat").write_bytes(b"x")
    with pytest.raises(
        RecordingError, match=r"suffix '\.mat'; expected one of \.wav, \.csv, \.txt, \.tsv, \.npz"
    ):
        load(tmp_path / "a.mat")


@pytest.mark.parametrize("suffix", [".wav", ".csv", ".npz"])
def test_empty(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"")
    with pytest.raises(RecordingError, match=str(path)):
        load(path)


@pytest.mark.parametrize("suffix", [".wav", ".csv", ".npz"])
def test_absent_or_a_folder(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    with pytest.raises(RecordingError, match="No such file"):
        load(path)
    path.mkdir()
    with pytest.raises(RecordingError, match="check the path"):
        load(path)


@pytest.mark.parametrize("suffix", [".wav", ".csv", ".npz"])
def test_larger_than_anything_recorded(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    with path.open("wb") as file:
        file.truncate((2 << 30) + 1)  # sparse: takes no room
    with pytest.raises(RecordingError, match=r"at most 2147483648|intact"):
        load(path)


@pytest.mark.parametrize("suffix", [".wav", ".csv", ".npz"])
@pytest.mark.filterwarnings("error")
def test_damage_is_refused_or_harmless_but_never_a_crash(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    accel = np.random.default_rng(1).normal(0, 2, (50, 3)).astype(np.float32)
    if suffix == ".wav":
        write_wav(path, accel, 1000.0)
    elif suffix == ".csv":
        write_csv(path, accel, 1000.0, ("x", "y", "z"))
    else:
        write_evidence(path, [Track("de", (accel * 100).astype(np.int16), 0.01, 1000.0, 1)])
    whole, dice, refused = path.read_bytes(), random.Random(1), 0
    for _ in range(400):
        damaged = bytearray(whole)
        for _ in range(dice.choice((1, 1, 2, 5, 20))):
            damaged[dice.randrange(len(damaged))] ^= 1 << dice.randrange(8)
        path.write_bytes(damaged)
        try:
            got = load(path)
        except RecordingError as fault:
            assert str(fault).startswith(str(path))  # noqa: PT017 - refusal is one of two right answers
            refused += 1
        else:
            assert not np.isinf(got.accel).any()
            assert got.accel.ndim == 2
    assert refused > 50
