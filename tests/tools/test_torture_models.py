"""A few rounds of tools/torture_models; its 200 rounds are run by hand."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_a_few_kills_leave_whole_slots():
    command = [sys.executable, ROOT / "tools" / "torture_models", "--rounds", "12", "--seed", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "seed 3: 12 kills among" in done.stdout
    assert "rounds with a slot that is not whole: 0" in done.stdout
