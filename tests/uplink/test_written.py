"""Bytes written a day."""

import os
import time
from pathlib import Path

import msgspec
import pytest

from appliance.records import GuardState, Level, MachineState
from appliance.uplink.written import Written
from appliance.wear import disk_written_bytes, written_bytes

STATE = GuardState(0, 0, "ntp", Level.NORMAL, False, True, MachineState.RUNNING, (), ())


def write_through(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.write(os.urandom(size))
        file.flush()
        os.fsync(file.fileno())


def guard(written: int, events: int = 0) -> GuardState:
    return msgspec.structs.replace(STATE, written_bytes=written, events_accepted=events)


def test_the_kernel_counts_what_this_process_writes(tmp_path):
    before = written_bytes()
    write_through(tmp_path / "file", 1_000_000)
    if before == written_bytes():
        pytest.skip("this kernel does not count what a process writes")
    assert 1_000_000 <= written_bytes() - before < 3_000_000


def test_the_disk_counts_what_everybody_writes(tmp_path):
    before = disk_written_bytes(tmp_path)
    if before is None:
        pytest.skip("the folder for tests is on no disk")
    write_through(tmp_path / "file", 1_000_000)
    end_s = time.monotonic() + 5
    while disk_written_bytes(tmp_path) - before < 1_000_000:
        assert time.monotonic() < end_s
        time.sleep(0.05)
    assert disk_written_bytes(Path("/proc")) is None


def test_the_rate_is_of_guard_and_uplink_and_survives_a_restart_of_the_guard(tmp_path):
    written = Written(tmp_path)
    written.look(guard(50_000_000), 0.0)
    assert written.mb_per_day is None
    written.look(guard(50_100_000), 30.0)  # too early: nothing is read
    assert written.mb_per_day is None
    own = written_bytes()
    written.look(guard(51_000_000), 60.0)
    written.look(guard(300_000), 120.0)
    more = (written_bytes() - own) / 1e6
    assert written.mb_per_day == pytest.approx(1.3 * 720, rel=0.01, abs=2 * 720 * (more + 0.01))


def test_bytes_for_each_event():
    assert Written.kb_per_event(None) is None
    assert Written.kb_per_event(guard(100)) is None
    assert Written.kb_per_event(guard(1_630_000, 100)) == 16.3
