"""Configuration files as tests write them, and the faults that are found in one."""

import re
from pathlib import Path

import pytest

from appliance.check import load
from appliance.errors import EX_CONFIG, ConfigError

SENSOR = '[[vibration]]\ndriver = "sim"\nname = "de"\n'
THERMOMETER = '[[temperature]]\ndriver = "sim"\nname = "t"\n'


def faults(path: Path) -> list[tuple[int, str, str]]:
    """The lines of the fault list as (line, key, message); "" for the key where there is none."""
    with pytest.raises(ConfigError) as raised:
        load(path)
    assert raised.value.exit_status == EX_CONFIG
    found = []
    for text in str(raised.value).split("\n"):
        match = re.fullmatch(re.escape(str(path)) + r":(\d+): (?:([\w.\[\] -]+): )?(.+; .+)", text)
        assert match, text
        found.append((int(match[1]), match[2] or "", match[3]))
    return found


def written(folder: Path, text: str) -> Path:
    path = folder / "appliance.toml"
    path.write_text(text)
    return path
