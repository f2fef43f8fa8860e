"""The uplink's view of the box it runs on: memory, load, disk."""

import os
from pathlib import Path

_MB = 1e6


def rss_mb() -> float:
    """Resident memory of this process, MB."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / _MB


def cpu_load() -> float:
    """Load of the last minute per core."""
    return os.getloadavg()[0] / (os.cpu_count() or 1)


def disk_free_mb(folder: Path) -> float:
    """Free space where `folder` lies, MB."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize / _MB
