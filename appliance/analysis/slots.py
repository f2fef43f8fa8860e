"""Where bundles live: saved whole or not at all, and put in force by one atomic swap."""

import ctypes
import os
import shutil
import tempfile
from pathlib import Path

from appliance.analysis import bundle as bundles
from appliance.analysis.bundle import Bundle
from appliance.errors import BundleError

ACTIVE, PREVIOUS = "active", "previous"
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


def save(bundle: Bundle, folder: Path) -> None:
    """Write a bundle to `folder`, whole or not at all; a bundle already there is swapped out in one step.

    Raises BundleError: the folder cannot be written, or is something else than a bundle; nothing has changed.
    """
    parent = folder.absolute().parent
    require_place(folder)
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _sweep(parent, folder.name)
        made = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=parent))
        try:
            _fill(made, bundle.files)
            _put(made, folder)
        finally:
            shutil.rmtree(made, ignore_errors=True)
        _sync(parent)
    except OSError as fault:
        raise BundleError(
            f"{folder}: cannot be written ({fault.strerror or fault}), expected a folder to write in; "
            "free it or choose another; what was there before is still in force"
        ) from fault


def require_place(folder: Path) -> None:
    """Raise BundleError where `folder` holds something that is not a bundle."""
    if folder.exists() and not (folder / bundles.MANIFEST).is_file() and any(_entries(folder)):
        raise BundleError(
            f"{folder}: found something that is not a bundle, expected a new name; choose another"
        )


def install(folder: Path, slots: Path) -> Bundle:
    """Verify the bundle in `folder`, copy it under `slots`, point `active` at it; `previous` keeps the last.

    Killed at any moment, `active` is either the old bundle or the new one, whole.

    Raises BundleError: the bundle is not sound or cannot be written; `active` stays as it was.
    """
    bundle = bundles.load(folder)
    home = slots / bundle.id
    if home.absolute() != folder.absolute():
        save(bundle, home)
    try:
        last = _target(slots / ACTIVE)
        if last == bundle.id:
            return bundle
        if last is not None:
            _point(slots / PREVIOUS, last)
        _point(slots / ACTIVE, bundle.id)
        _sync(slots)
        _prune(slots)
    except OSError as fault:
        raise BundleError(
            f"{slots}: cannot point {ACTIVE} at {bundle.id} ({fault.strerror}), expected a writable folder; "
            "make it writable; the bundle before is still in force"
        ) from fault
    return bundle


def active(slots: Path) -> Bundle | None:
    """The bundle in force, verified; None where none was ever installed. Raises BundleError."""
    link = slots / ACTIVE
    return bundles.load(link) if link.is_symlink() else None


def _fill(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        with (folder / name).open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    folder.chmod(0o755)
    _sync(folder)


def _put(made: Path, folder: Path) -> None:
    """Rename `made` to `folder`; if that exists the two change places in one step, `made` is the old one."""
    if not folder.exists():
        made.rename(folder)
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_AT_FDCWD, os.fsencode(made), _AT_FDCWD, os.fsencode(folder), _RENAME_EXCHANGE) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{os.strerror(code)}: this file system cannot swap folders; choose a new name")


def _point(link: Path, target: str) -> None:
    """Make `link` a symlink to `target` in one step."""
    fresh = link.with_name(f".{link.name}.tmp")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.rename(link)


def _target(link: Path) -> str | None:
    return str(link.readlink()) if link.is_symlink() else None


def _prune(slots: Path) -> None:
    """Drop the bundles that neither link points at."""
    kept = {_target(slots / ACTIVE), _target(slots / PREVIOUS)}
    for entry in slots.iterdir():
        if entry.is_dir() and not entry.is_symlink() and entry.name not in kept:
            shutil.rmtree(entry)


def _sweep(parent: Path, name: str) -> None:
    """Remove what a killed save of this name left behind."""
    for stale in parent.glob(f".{name}.*.tmp"):
        shutil.rmtree(stale, ignore_errors=True)


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else [folder]


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
