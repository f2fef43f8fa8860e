"""Imported before the project by every tool in Python: goes on in .venv, where the project's packages are."""

import importlib.util
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

if importlib.util.find_spec("msgspec") is None:
    own = ROOT / ".venv" / "bin" / "python"
    if not own.exists() or Path(sys.prefix) == ROOT / ".venv":
        sys.exit(
            f"{sys.argv[0]}: {sys.executable} has no msgspec; expected the packages of pyproject.toml; "
            "run tools/demo once, which puts them in .venv"
        )
    os.execv(own, [str(own), *sys.argv])
