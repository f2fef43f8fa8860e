"""Packages of npm that the tests need, installed as tools/environment does it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
_NEED = 'set -euo pipefail; source tools/environment; need_npm "$1"'


def missing(reason: str) -> None:
    """CI has everything; a desk may do without."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def node_modules(folder: Path) -> Path:
    """What the lock file of `folder` pins. Without npm: skips at a desk, fails in CI."""
    if not shutil.which("npm"):
        missing("npm is not installed (apt-get install nodejs npm)")
    done = subprocess.run(
        ["bash", "-c", _NEED, "tests", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    if done.returncode:
        missing(done.stderr.strip())
    return Path(done.stdout.strip().splitlines()[-1]) / "node_modules"
