"""A tool started from a shell, whose Python has none of the project's packages."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STANDARD_LIBRARY_ALONE = {"wheels"}


@pytest.fixture
def tool(tmp_path: Path) -> Path:
    folder = tmp_path / "tools"
    folder.mkdir()
    shutil.copy(ROOT / "tools" / "own_python.py", folder)
    path = folder / "some"
    path.write_text(f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nimport tools.own_python\n")
    return path


def bare(tool: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-S", "-E", str(tool), "--rounds", "2"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


def test_it_says_what_to_run_first(tool: Path) -> None:
    done = bare(tool)
    assert done.returncode == 1
    assert f"{tool}: " in done.stderr
    assert "run tools/demo once" in done.stderr


def test_it_goes_on_in_the_projects_own(tool: Path) -> None:
    own = tool.parent.parent / ".venv" / "bin" / "python"
    own.parent.mkdir(parents=True)
    own.write_text('#!/bin/sh\necho "own: $*"\n')
    own.chmod(0o755)
    assert bare(tool).stdout == f"own: {tool} --rounds 2\n"


def test_every_tool_does_so() -> None:
    tools = [*(ROOT / "tools").iterdir(), ROOT / "tools" / "rig" / "rig"]
    ours = [one for one in tools if one.is_file() and one.read_bytes().startswith(b"#!/usr/bin/env python3")]
    without = {one.name for one in ours if "import tools.own_python" not in one.read_text()}
    assert without == STANDARD_LIBRARY_ALONE
