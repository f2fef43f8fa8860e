"""A name for this device that its hardware keeps: it survives a new card and an exchanged configuration."""

import hashlib
import hmac
import re
from pathlib import Path

from appliance.errors import ApplianceError

_MOST = 28
_FEWEST = 4


def device_id(root: Path = Path("/")) -> tuple[str, str]:
    """A value for `machine.device`, and where it comes from.

    The serial number of the board (Raspberry Pi, most Arm boards), else the machine-id of the installation,
    hashed, because it is to be kept secret (man machine-id).

    Raises:
        ApplianceError: this machine has neither.
    """
    if serial := _serial(root):
        kind = "pi" if "Raspberry Pi" in _text(root / "proc/device-tree/model") else "sn"
        return f"{kind}-{serial}", "serial number of the board"
    if machine := _text(root / "etc/machine-id"):
        digest = hmac.digest(machine.encode(), b"appliance device id", hashlib.sha256)
        return f"mid-{digest.hex()[:16]}", "machine-id of this installation"
    raise ApplianceError(
        "no serial number and no /etc/machine-id found, expected one of them; "
        "set machine.device in the configuration"
    )


def _serial(root: Path) -> str:
    """Letters and digits; empty where there is none, or one of zeros as makers leave it."""
    listed = re.search(r"^Serial\s*:\s*(\S+)", _text(root / "proc/cpuinfo"), re.MULTILINE)
    for found in (_text(root / "proc/device-tree/serial-number"), listed[1] if listed else ""):
        serial = re.sub(r"[^a-z0-9]", "", found.lower())[-_MOST:]
        if len(serial) >= _FEWEST and serial.strip("0"):
            return serial
    return ""


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return ""
