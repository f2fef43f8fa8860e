"""The durable latch: what cannot be read reads as tripped, again and again, until it is written."""

import pytest

from appliance.guard import latch as latches
from appliance.guard.latch import Latch

TRIPPED = Latch(tripped=True, channels=("de.peak", "de.rms"))


def test_nothing_written_is_not_tripped(tmp_path):
    assert latches.read(tmp_path / "latch.json") == (Latch(), "")


def test_what_is_written_is_read_back(tmp_path):
    path = tmp_path / "deep" / "latch.json"
    for latch in (TRIPPED, Latch(), TRIPPED):
        latches.write(path, latch)
        assert latches.read(path) == (latch, "")
    assert [left.name for left in path.parent.iterdir()] == ["latch.json"]


@pytest.mark.parametrize("damage", [b"", b"{", b"\x00" * 40, b'{"tripped": "no"}', b"[]", b'{"tripped":true'])
def test_a_damaged_file_is_tripped_at_every_start_until_the_reset_and_a_copy_is_kept(tmp_path, damage):
    path = tmp_path / "latch.json"
    path.write_bytes(damage)
    for _ in range(3):
        latch, fault = latches.read(path)
        assert latch.tripped
        assert str(path) in fault
        assert "tripped until reset" in fault
    assert (tmp_path / "latch.broken").read_bytes() == damage
    latches.write(path, Latch())
    assert latches.read(path) == (Latch(), "")


def test_a_file_that_cannot_be_read_at_all_is_tripped(tmp_path):
    path = tmp_path / "latch.json"
    path.mkdir()
    latch, fault = latches.read(path)
    assert latch.tripped
    assert "no copy kept" in fault


def test_a_crash_in_mid_write_leaves_the_old_latch(tmp_path):
    path = tmp_path / "latch.json"
    latches.write(path, TRIPPED)
    path.with_suffix(".new").write_bytes(b'{"tripp')
    assert latches.read(path) == (TRIPPED, "")
    latches.write(path, Latch())
    assert latches.read(path) == (Latch(), "")


def test_a_latch_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        latches.write(tmp_path / "file" / "latch.json", TRIPPED)
