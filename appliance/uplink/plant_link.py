"""How it stands with the broker, for `appliance status`: one small file in run_dir, of the uplink's own."""

import os
import time
from pathlib import Path

import msgspec


class PlantLink(msgspec.Struct, frozen=True):
    """words: where to and how, or why not. since_utc_ns: when it came to be so. pid: the uplink's process."""

    connected: bool
    words: str
    since_utc_ns: int
    pid: int


def tell(run_dir: Path, words: str, *, connected: bool) -> None:
    """Replace what `seen` finds; `since` stays while it is the same. Raises OSError."""
    before = seen(run_dir)
    same = before and (before.connected, before.pid) == (connected, os.getpid())
    since_ns = before.since_utc_ns if before and same else time.time_ns()
    new = run_dir / "uplink.json.new"
    new.write_bytes(msgspec.json.encode(PlantLink(connected, words, since_ns, os.getpid())))
    new.replace(run_dir / "uplink.json")


def seen(run_dir: Path) -> PlantLink | None:
    """What the uplink told last; None where none runs."""
    try:
        link = msgspec.json.decode((run_dir / "uplink.json").read_bytes(), type=PlantLink)
    except (OSError, msgspec.DecodeError):
        return None
    return link if Path(f"/proc/{link.pid}").exists() else None
