"""docs/COMMISSIONING.md shows what a person at a terminal sees: plugged in, refused, guarded, and again."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_page_is_what_a_person_sees() -> None:
    """The acceptance itself; `tools/commissioning` says what is demanded."""
    command = [sys.executable, ROOT / "tools" / "commissioning", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"plugged in -> guarded: \d+:\d\d of the machine's time\n", done.stdout)
