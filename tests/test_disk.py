"""A file on the disk is the old one or the new one, whole."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from appliance import disk

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


def _for_ever(path: Path) -> None:
    while True:
        for letter in b"abcdefgh":
            disk.replace(path, bytes([letter]) * SIZE_BYTES)


def test_killed_at_any_moment_it_is_one_of_them(tmp_path: Path) -> None:
    path = tmp_path / "file"
    disk.replace(path, b"a" * SIZE_BYTES)
    for n in range(20):
        writer = multiprocessing.get_context("fork").Process(target=_for_ever, args=(path,))
        writer.start()
        time.sleep(0.02 + 0.003 * n)
        os.kill(writer.pid or 0, signal.SIGKILL)
        writer.join()
        data = path.read_bytes()
        assert len(data) == SIZE_BYTES
        assert len(set(data)) == 1
