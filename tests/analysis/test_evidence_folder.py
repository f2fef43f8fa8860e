"""The folder of evidence: its bounds, what is protected, what a kill and damage leave behind."""

import os
from pathlib import Path

import numpy as np
import pytest

from appliance.analysis.evidence_folder import EvidenceFolder
from appliance.config import Evidence
from hw.evidence import Track, write_evidence
from hw.evidence_read import read_evidence

MB = 1_000_000


def folder(tmp_path: Path, most_files: int = 10, most_mb: float = 10.0) -> EvidenceFolder:
    one = EvidenceFolder(tmp_path / "evidence", Evidence(most_files=most_files, most_mb=most_mb))
    one.tidy()
    return one


def put(one: EvidenceFolder, *names: str, size: int = 1000) -> None:
    """Files of this size, one second after the other."""
    for name in names:
        path = one.folder / name
        path.write_bytes(bytes(size))
        put.clock += 1  # type: ignore[attr-defined]
        os.utime(path, (put.clock, put.clock))  # type: ignore[attr-defined]


put.clock = 1_000_000  # type: ignore[attr-defined]


def names(one: EvidenceFolder) -> list[str]:
    return [path.name for path in one.evidence()]


def test_the_oldest_goes_when_there_are_too_many(tmp_path: Path) -> None:
    one = folder(tmp_path, most_files=5)
    put(one, *(f"{n}.npz" for n in (3, 1, 2, 5, 4)))
    assert one.make_room(1000)
    assert names(one) == ["1.npz", "2.npz", "5.npz", "4.npz"]
    assert one.make_room(1000)
    assert len(names(one)) == 4


def test_the_oldest_go_when_they_are_too_large(tmp_path: Path) -> None:
    one = folder(tmp_path)
    put(one, *(f"{n}.npz" for n in range(5)), size=2 * MB)
    assert one.make_room(3 * MB)
    assert names(one) == ["2.npz", "3.npz", "4.npz"]
    assert one.make_room(4 * MB)
    assert names(one) == ["2.npz", "3.npz", "4.npz"]


def test_what_can_never_fit_removes_nothing(tmp_path: Path) -> None:
    one = folder(tmp_path)
    put(one, "1.npz")
    assert not one.make_room(10 * MB + 1)
    assert names(one) == ["1.npz"]


def test_protected_evidence_stays_while_it_is_at_most_half(tmp_path: Path) -> None:
    one = folder(tmp_path, most_files=6)
    put(one, "1.protected.npz", "2.npz", "3.protected.npz", "4.npz", "5.npz", "6.protected.npz")
    assert one.make_room(1000)
    assert names(one) == ["1.protected.npz", "3.protected.npz", "4.npz", "5.npz", "6.protected.npz"]
    put(one, "7.protected.npz")  # a fourth trip: the oldest is no longer safe
    assert one.make_room(1000)
    assert names(one) == ["3.protected.npz", "4.npz", "5.npz", "6.protected.npz", "7.protected.npz"]


def test_protected_evidence_cannot_refuse_new_evidence_for_ever(tmp_path: Path) -> None:
    one = folder(tmp_path, most_files=10, most_mb=10.0)
    for n in range(50):
        assert one.make_room(3 * MB)
        put(one, f"{n}.protected.npz", size=3 * MB)
    assert names(one) == ["47.protected.npz", "48.protected.npz", "49.protected.npz"]
    assert one.make_room(9 * MB)
    assert names(one) == []


def test_a_person_protects(tmp_path: Path) -> None:
    one = folder(tmp_path, most_files=4)
    put(one, "1.npz", "2.npz", "3.npz")
    protected = one.protect(one.folder / "1.npz")
    assert protected == one.folder / "1.protected.npz"
    assert protected.read_bytes() == bytes(1000)
    assert one.protect(protected) == protected
    assert one.protect(one.folder / "2.npz") is not None
    assert one.protect(one.folder / "3.npz") is None  # more than half of four
    assert names(one) == ["1.protected.npz", "2.protected.npz", "3.npz"]


def test_half_of_the_bytes_too(tmp_path: Path) -> None:
    one = folder(tmp_path)
    put(one, "1.npz", "2.npz", size=3 * MB)
    assert one.protect(one.folder / "1.npz") is not None
    assert one.protect(one.folder / "2.npz") is None


def evidence(one: EvidenceFolder, name: str) -> Path:
    path = one.path(name)
    write_evidence(path, [Track("de", np.zeros((100, 1), np.int16), 0.01, 1000.0, 0)])
    return path


def test_leftovers_of_a_killed_write_are_removed(tmp_path: Path) -> None:
    one = folder(tmp_path)
    good = evidence(one, "1-de.rms")
    (one.folder / ".2-de.rms.npz.4711.tmp").write_bytes(b"half")
    assert one.tidy() == []
    assert list(one.folder.iterdir()) == [good]


@pytest.mark.parametrize("damage", [b"", b"no zip", None])
def test_damaged_evidence_is_set_aside_and_said(tmp_path: Path, damage: bytes | None) -> None:
    one = folder(tmp_path, most_files=4)
    good, bad = evidence(one, "1-de.rms"), evidence(one, "2-de.rms")
    bad.write_bytes(bad.read_bytes()[:-30] if damage is None else damage)
    held = bad.read_bytes()
    [aside] = one.tidy()
    assert aside == one.folder / "2-de.rms.npz.broken"
    assert aside.read_bytes() == held
    assert names(one) == [good.name]
    assert len(read_evidence(good).tracks) == 1
    assert one.tidy() == []
    put(one, "3.npz", "4.npz", "5.npz")
    os.utime(aside, (1, 1))
    assert one.make_room(10)  # it counts, and goes in its turn
    assert not aside.exists()


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "evidence").write_text("a file")
    with pytest.raises(OSError, match="exists"):
        folder(tmp_path)
