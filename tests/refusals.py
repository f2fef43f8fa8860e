"""A command line that must refuse what it is given and leave everything as it was."""

import re
from pathlib import Path

import numpy as np
import pytest

from appliance.cli import main
from hw.wav import write_wav

CUT = ("--window-s", "0.25")


def contents(folder: Path) -> dict[str, bytes | None]:
    paths = sorted(folder.rglob("*"))
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in paths}


def truncated_wav(folder: Path) -> Path:
    path = folder / "bad.wav"
    write_wav(path, np.ones((5000, 2), np.float32), 2000)
    path.write_bytes(path.read_bytes()[:-1234])
    return path


def refused(capsys: pytest.CaptureFixture[str], home: Path, arguments: list[str], words: str) -> str:
    """Run it; it must fail with status 1 and one line with these words, and leave `home` as it was."""
    capsys.readouterr()
    was = contents(home)
    assert main(arguments) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    last = shown.err.splitlines()[-1]
    assert re.search(words, last), last
    assert "Traceback" not in shown.err
    assert re.search(r"[;,] ", last), f"says not what to do: {last}"
    assert contents(home) == was
    return last
