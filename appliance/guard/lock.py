"""One guard a machine: two would fight over the relay. The lock of run_dir says who is there."""

import fcntl
import os
from pathlib import Path

from appliance.errors import ApplianceError


class GuardRunsError(ApplianceError):
    """Another guard, or a self-test, has this run_dir."""


def only_guard(run_dir: Path) -> int:
    """The lock, held until this descriptor is closed. Raises GuardRunsError, ApplianceError."""
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        lock = os.open(run_dir / "guard.lock", os.O_CREAT | os.O_RDWR, 0o644)
    except OSError as fault:
        raise ApplianceError(
            f"{run_dir}: {fault.strerror}, expected a folder to write in; set run_dir"
        ) from fault
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as fault:
        os.close(lock)
        raise GuardRunsError(
            f"{run_dir}: another guard runs here, expected one; stop it or set run_dir"
        ) from fault
    return lock
