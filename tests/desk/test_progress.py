"""Progress: a line that grows on a terminal, one line at the end anywhere else."""

import os
import pty
import re
from pathlib import Path

import pytest
import simulated
from simulated import Learnt


def on_a_terminal(*arguments: str | Path) -> str:
    """What `appliance …` writes to standard error where that is a terminal."""
    ours, theirs = pty.openpty()
    process = simulated.start(*arguments, stderr=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # the other end of a terminal is closed: the process has ended
            break
        if not part:
            break
        shown += part
    os.close(ours)
    process.communicate(timeout=30)
    assert process.returncode == 0
    return shown.decode()


@pytest.mark.parametrize("command", ["learn", "score"])
def test_it_grows_on_a_terminal(pump: Learnt, tmp_path: Path, command: str) -> None:
    arguments: dict[str, list[str | Path]] = {
        "learn": ["learn", pump.healthy, "--window-s", "0.25", "--out", tmp_path / "bundle"],
        "score": ["score", pump.bundle, pump.healthy],
    }
    shown = on_a_terminal(*arguments[command])
    for text in ["healthy.npz", "training"] if command == "learn" else ["healthy.npz"]:
        percent = [int(found) for found in re.findall(rf"\r{re.escape(text)} +(\d+) %", shown)]
        assert len(percent) >= 5
        assert percent == sorted(percent)
        assert percent[-1] >= 90
    assert re.search(r"\rhealthy.npz .*79 windows", shown)


def test_it_is_one_line_elsewhere(pump: Learnt) -> None:
    process = simulated.start("score", pump.bundle, pump.healthy)
    _, err = process.communicate(timeout=30)
    assert "\r" not in err
    assert "%  " not in err
    assert len([line for line in err.splitlines() if line.startswith("healthy.npz")]) == 1
