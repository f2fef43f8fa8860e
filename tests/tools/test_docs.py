"""The generated pages are what the types say."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def docs(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "tools" / "docs"), *arguments]
    # A stale .pyc would hide an edit of the same second and length.
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)


def test_pages_have_not_drifted() -> None:
    done = docs(ROOT, "--check")
    assert done.returncode == 0, done.stderr


def test_drift_is_noticed_and_mended(tmp_path: Path) -> None:
    for folder in ("tools", "appliance"):
        (tmp_path / folder).mkdir()
    for tool in ("docs", "own_python.py"):
        (tmp_path / "tools" / tool).write_bytes((ROOT / "tools" / tool).read_bytes())
    for source in (ROOT / "appliance").glob("*.*"):
        (tmp_path / "appliance" / source.name).write_bytes(source.read_bytes())
    assert docs(tmp_path).returncode == 0
    assert docs(tmp_path, "--check").returncode == 0
    config = tmp_path / "appliance" / "config.py"
    config.write_text(
        config.read_text().replace("port: Annotated[int, Meta(ge=1,", "port: Annotated[int, Meta(ge=2,")
    )
    done = docs(tmp_path, "--check")
    assert done.returncode == 1
    assert "run tools/docs" in done.stderr
    config.write_text(config.read_text().replace('    """TCP port of the broker."""\n', ""))
    assert "Uplink.port has no docstring" in docs(tmp_path).stderr
