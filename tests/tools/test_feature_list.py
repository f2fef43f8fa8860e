"""docs/FEATURES.md lists what the code has."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def features(*arguments):
    command = [sys.executable, ROOT / "tools" / "features", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_the_page_has_the_list_of_the_code():
    done = features("--check")
    assert done.returncode == 0, done.stdout


def test_the_list_is_printed_for_any_rate_and_window():
    lines = features("50", "0.1").stdout.splitlines()
    assert lines[0] == "At 50 Hz with windows of 0.1 s an axis has 3 features:"
    assert [line.split("`")[1] for line in lines[4:]] == ["x.rms", "x.peak", "x.band.15-22.5"]
    assert features().returncode == 2
