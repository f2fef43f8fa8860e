"""Recordings of any kind through one door."""

import pytest

from hw.recording import RecordingError, load


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
