"""A file on the disk is the old one or the new one, whole."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from appliance import disk

ROOT = Path(__file__).resolve().parent.parent
SIZE_BYTES = 100_000


def test_replaced_whole_and_only_for_whom_it_is_meant(tmp_path: Path) -> None:
    path = tmp_path / "key"
    disk.replace(path, b"one")
    disk.draft_of(path).write_bytes(b"left behind by a killed one, readable by all")
    disk.replace(path, b"two", mode=0o600)
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["key"]


def test_what_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "latch"
    disk.replace(path, b"old")
    disk.draft_of(path).mkdir()
    with pytest.raises(OSError, match="latch"):
        disk.replace(path, b"new")
    assert path.read_bytes() == b"old"


def test_write_never_goes_over_another(tmp_path: Path) -> None:
    disk.write(tmp_path / "kept", b"first")
    with pytest.raises(FileExistsError):
        disk.write(tmp_path / "kept", b"second")


WRITER = """
import sys
from pathlib import Path
from appliance import disk
while True:
    for letter in b"abcdefgh":
        disk.replace(Path(sys.argv[1]), bytes([letter]) * int(sys.argv[2]))
"""


def test_killed_at_any_moment_it_is_one_of_them(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for n in range(8):
        disk.replace(path, b"-" * SIZE_BYTES)
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(SIZE_BYTES)], cwd=ROOT) as writer:
            while path.read_bytes().startswith(b"-"):
                time.sleep(0.001)
            time.sleep(0.005 * n)
            writer.kill()
        data = path.read_bytes()
        assert len(data) == SIZE_BYTES
        assert len(set(data)) == 1
