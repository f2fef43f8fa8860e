"""What is written to disk: memory cards wear out by it."""

import os
from pathlib import Path

_SECTOR_BYTES = 512


def written_bytes() -> int:
    """What this process has had written since its start, bytes; 0 where the kernel does not count."""
    try:
        lines = Path("/proc/self/io").read_text("ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("write_bytes:")), 0)


def disk_written_bytes(folder: Path) -> int | None:
    """What everybody has written since the boot to the disk on which `folder` lies; None: it is no disk."""
    device = folder.stat().st_dev
    try:
        fields = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat").read_text("ascii").split()
        return int(fields[6]) * _SECTOR_BYTES
    except (OSError, IndexError, ValueError):
        return None
