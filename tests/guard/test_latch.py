"""The durable latch: what cannot be read reads as tripped, again and again, until it is written."""

import time
from pathlib import Path

import msgspec
import pytest

from appliance import disk
from appliance.guard import latch as latches
from appliance.guard.channel import Channel, Setpoints
from appliance.guard.latch import KeptBypass, Latch
from appliance.guard.rack import Rack, RackSpec
from appliance.guard.voting import TripGroup
from appliance.records import Level

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
    disk.draft_of(path).write_bytes(b'{"tripp')
    assert latches.read(path) == (TRIPPED, "")
    latches.write(path, Latch())
    assert latches.read(path) == (Latch(), "")


def test_a_latch_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        latches.write(tmp_path / "file" / "latch.json", TRIPPED)


HELD = Latch(
    tripped=True,
    channels=("b", "a"),
    groups=("vote",),
    latched={"a": Level.DANGER, "b": Level.ALERT},
    unacknowledged=("a",),
    shelved_s={"a": 10.0, "b": 100.0},
    bypass=KeptBypass("ann", "repair", 50.0, key=True),
    bypasses=7,
    proof_tested_utc_ns=1,
)


def test_time_without_power_is_taken_off_bypass_and_shelving_and_off_nothing_else() -> None:
    later = HELD.after(20.0)
    assert later.shelved_s == {"a": 0.0, "b": 80.0}
    assert later.bypass == KeptBypass("ann", "repair", 30.0, key=True)
    assert msgspec.structs.replace(later, shelved_s=HELD.shelved_s, bypass=HELD.bypass) == HELD
    assert HELD.after(0.0) == HELD


def test_what_has_no_time_left_ends_with_the_first_step_which_tells_of_it() -> None:
    assert HELD.after(50.5).bypass == KeptBypass("ann", "repair", 0.0, key=True)
    assert HELD.after(49.5).bypass == KeptBypass("ann", "repair", 0.5, key=True)
    assert HELD.after(101.0).shelved_s == {"a": 0.0, "b": 0.0}
    assert Latch().after(1.0) == Latch()


def test_a_file_tells_how_long_the_power_was_off(tmp_path: Path) -> None:
    path = tmp_path / "latch.json"
    latches.write(path, msgspec.structs.replace(HELD, saved_utc_ns=time.time_ns() - 20_000_000_000))
    found, fault = latches.read(path)
    assert fault == ""
    assert found.bypass is not None
    assert 25.0 < found.bypass.remaining_s <= 30.0
    assert 75.0 < found.shelved_s["b"] <= 80.0
    assert (found.tripped, found.channels, found.latched) == (True, HELD.channels, HELD.latched)


def test_a_clock_that_went_back_lengthens_nothing(tmp_path: Path) -> None:
    path = tmp_path / "latch.json"
    ahead = msgspec.structs.replace(HELD, saved_utc_ns=time.time_ns() + 365 * 86_400 * 1_000_000_000)
    latches.write(path, ahead)
    assert latches.read(path) == (ahead, "")


def test_a_rack_put_back_from_its_file_keeps_the_same(tmp_path: Path) -> None:
    path = tmp_path / "latch.json"
    channels = (Channel("a", "mm/s", Setpoints(1.0, 2.0)), Channel("b", "mm/s", Setpoints(1.0, 2.0)))
    spec = RackSpec(channels, (TripGroup("vote", 1, ("a", "b")),))
    kept = Rack(spec, kept=HELD).kept()
    latches.write(path, msgspec.structs.replace(kept, saved_utc_ns=time.time_ns() + 1_000_000_000))
    found, _ = latches.read(path)
    assert Rack(spec, kept=found).kept() == msgspec.structs.replace(HELD, proof_tested_utc_ns=0)
