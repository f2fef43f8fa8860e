"""The durable latch: a restart or a power cut after a trip finds the output still tripped.

Written by the thread that writes events, after the relay has moved. A latch file that cannot be read means
that the latch cannot be known: the machine stays tripped.
"""

import os
from pathlib import Path

import msgspec


class Latch(msgspec.Struct, frozen=True):
    """What has to survive. channels: those latched in Danger, first out first."""

    tripped: bool = False
    channels: tuple[str, ...] = ()


def read(path: Path) -> tuple[Latch, str]:
    """The latch, and a fault in words ("" if none). A damaged file reads as tripped, and a copy is kept.

    The file itself stays until the next `write`: moved away, it would read as not tripped at the next start.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Latch), ""
    except FileNotFoundError:
        return Latch(), ""
    except (OSError, msgspec.DecodeError) as fault:
        return Latch(tripped=True), f"{path}: {fault}; {_keep_copy(path)}; tripped until reset"


def _keep_copy(path: Path) -> str:
    copy = path.with_suffix(".broken")
    try:
        copy.write_bytes(path.read_bytes())
    except OSError as fault:
        return f"no copy kept ({fault.strerror})"
    return f"copy kept as {copy}"


def write(path: Path, latch: Latch) -> None:
    """Replace the latch atomically and durably. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as file:
        file.write(msgspec.json.encode(latch))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
