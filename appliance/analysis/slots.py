"""Where bundles live: saved whole or not at all, and put in force by one atomic swap."""

import contextlib
import ctypes
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from appliance import disk
from appliance.analysis import bundle as bundles
from appliance.analysis import ledger
from appliance.analysis.bundle import Bundle
from appliance.analysis.ledger import Seen, Trial
from appliance.errors import BundleError

ACTIVE, CANDIDATE, PREVIOUS = "active", "candidate", "previous"
SLOTS = (ACTIVE, CANDIDATE, PREVIOUS)
ANY = "*"
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
_NO_SWAP = (errno.EINVAL, errno.ENOSYS)


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
        disk.sync(parent)
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
    """Verify the bundle in `folder` and put it in force at once, as `enforce`; nobody asks whose it is."""
    bundle = bundles.load(folder)
    enforce(bundle, slots)
    return bundle


def enforce(
    bundle: Bundle, slots: Path, *, over: str | None = ANY, keep: bool = True, probation: bool = False
) -> None:
    """Keep a bundle under `slots` and point `active` at it; `previous` keeps the last.

    Killed at any moment, `active` is either the old bundle or the new one, whole.

    over: what must still be in force, as `target` says. keep: False leaves `previous` as it is; what was in
    force is then gone. probation: the new one is watched beside the last, and rolled back if it misbehaves.

    Raises BundleError: it cannot be written, or something else is in force; `active` stays as it was.
    """
    with _changing(slots, f"put {bundle.id} in force"):
        if over != ANY and (found := target(slots, ACTIVE)) != over:
            raise BundleError(f"{slots}: found {found} in force, expected {over}; nothing was changed")
        _keep(bundle, slots)
        _remember(bundle, slots)
        if probation:
            _begin_probation(slots, bundle.id)
        if keep:
            _make_active(slots, bundle.id)
        else:
            _point(slots / ACTIVE, bundle.id)


def offer(bundle: Bundle, slots: Path) -> str:
    """Keep an admitted bundle as `candidate`, or in force where nothing is; the slot it went to.

    Its serial is remembered before it stands in any slot: an older one of its signer is refused from then on.

    Raises BundleError: it cannot be written, or is in force already; all slots stay as they were.
    """
    with _changing(slots, f"install {bundle.id}"):
        if target(slots, ACTIVE) == bundle.id:
            raise BundleError(
                f"bundle {bundle.id}: found it in force already, expected another; nothing to do"
            )
        _keep(bundle, slots)
        _remember(bundle, slots)
        if target(slots, ACTIVE) is None:
            _make_active(slots, bundle.id)
            return ACTIVE
        _point(slots / CANDIDATE, bundle.id)
        return CANDIDATE


def promote(slots: Path, candidate: str) -> None:
    """Put the candidate of this id in force, on probation; what was in force becomes `previous`.

    Raises BundleError: it is not the candidate (any more) or no longer sound; all slots stay as they were.
    """
    with _changing(slots, f"promote {candidate}"):
        _require(slots, CANDIDATE, candidate)
        _begin_probation(slots, candidate)
        _make_active(slots, candidate)
        (slots / CANDIDATE).unlink()


def rollback(slots: Path, active: str) -> str:
    """Let `active`, whose id must be this one, and `previous` change places in one step; the new id.

    Raises BundleError: nothing sound to go back to, or something else is in force; all slots stay.
    """
    with _changing(slots, f"roll {active} back"):
        previous = target(slots, PREVIOUS)
        if previous is None or previous == active or target(slots, ACTIVE) != active:
            raise BundleError(
                f"{slots}: found {target(slots, ACTIVE)} in force and {previous or 'none'} before it, "
                f"expected another bundle before {active}; install one"
            )
        _require(slots, PREVIOUS, previous)
        _exchange(slots / ACTIVE, slots / PREVIOUS)
        return previous


def withdraw(slots: Path, candidate: str) -> bool:
    """Drop the candidate of this id; False, and nothing done, where it is none now. Raises BundleError."""
    with _changing(slots, f"withdraw {candidate}"):
        found = target(slots, CANDIDATE) == candidate
        if found:
            (slots / CANDIDATE).unlink()
        return found


def keep_trial(slots: Path, figures: Trial) -> None:
    """Keep the figures of a trial, unless its model has been moved on meanwhile. Raises BundleError."""
    with _changing(slots, f"keep the trial of {figures.model}"):
        if target(slots, CANDIDATE if figures.stage == "shadow" else ACTIVE) == figures.model:
            ledger.keep_trial(slots, figures)


def target(slots: Path, slot: str) -> str | None:
    """Id of the bundle that a slot points at; None where it is empty."""
    link = slots / slot
    return str(link.readlink()) if link.is_symlink() else None


def active(slots: Path) -> Bundle | None:
    """The bundle in force, verified; None where none was ever installed. Raises BundleError."""
    name = target(slots, ACTIVE)  # resolved once: the link may be pointed elsewhere meanwhile
    return bundles.load(slots / name) if name else None


def _fill(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        disk.write(folder / name, data)
    folder.chmod(0o755)
    disk.sync(folder)


def _put(made: Path, folder: Path) -> None:
    """Rename `made` to `folder`; if that exists the two change places in one step, `made` is the old one."""
    if not folder.exists():
        made.rename(folder)
        return
    _exchange(made, folder)


def _exchange(one: Path, other: Path) -> None:
    """Let two names change places in one step."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) != 0:
        code = ctypes.get_errno()
        hint = ": this file system cannot swap names; choose a new name" if code in _NO_SWAP else ""
        raise OSError(code, f"{os.strerror(code)}{hint}")


def _point(link: Path, target: str) -> None:
    """Make `link` a symlink to `target` in one step."""
    fresh = link.with_name(f".{link.name}.tmp")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.rename(link)


@contextlib.contextmanager
def _changing(slots: Path, purpose: str) -> Iterator[None]:
    """One process at a time; what was left half-way is swept, before and after. Raises BundleError."""
    try:
        slots.mkdir(parents=True, exist_ok=True)
        handle = os.open(slots, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
            os.fsync(handle)
            _prune(slots)
        finally:
            os.close(handle)
    except OSError as fault:
        raise BundleError(
            f"{slots}: cannot {purpose} ({fault.strerror or fault}), expected a writable folder; make it "
            "writable; the bundle before is still in force"
        ) from fault


def _keep(bundle: Bundle, slots: Path) -> None:
    """Have a bundle's files under its id, whole; those already there are left alone if they are sound."""
    home, files = slots / bundle.id, bundle.files
    if not all((home / name).is_file() and (home / name).read_bytes() == files[name] for name in files):
        save(bundle, home)


def _remember(bundle: Bundle, slots: Path) -> None:
    """From now on an older bundle of this signer is refused."""
    origin, seen = bundle.manifest.origin, ledger.serials(slots)
    if origin.signer and origin.serial >= ledger.next_serial(origin.signer, seen):
        ledger.keep_serials(slots, seen | {origin.signer: Seen(origin.serial, bundle.id)})


def _begin_probation(slots: Path, name: str) -> None:
    """Have the bundle that is put in force next watched beside the one before."""
    last = target(slots, ACTIVE)
    if last not in (None, name):
        ledger.keep_trial(slots, Trial(name, str(last), "probation"))


def _make_active(slots: Path, name: str) -> None:
    last = target(slots, ACTIVE)
    if last == name:
        return
    if last is not None:
        _point(slots / PREVIOUS, last)
        disk.sync(slots)
    _point(slots / ACTIVE, name)


def _require(slots: Path, slot: str, name: str) -> None:
    """The slot holds this bundle, and it is sound on this device. Raises BundleError."""
    found = target(slots, slot)
    if found != name:
        raise BundleError(f"{slots}: found {found} as {slot}, expected {name}; look again (model list)")
    bundles.load(slots / slot)


def _prune(slots: Path) -> None:
    """Drop the bundles that no slot points at, and what a killed save or promotion left behind."""
    if target(slots, CANDIDATE) == target(slots, ACTIVE):
        (slots / CANDIDATE).unlink(missing_ok=True)
    kept = {target(slots, slot) for slot in SLOTS}
    for entry in slots.iterdir():
        if entry.is_dir() and not entry.is_symlink() and entry.name not in kept:
            shutil.rmtree(entry)


def _sweep(parent: Path, name: str) -> None:
    """Remove what a killed save of this name left behind."""
    for stale in parent.glob(f".{name}.*.tmp"):
        shutil.rmtree(stale, ignore_errors=True)


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else [folder]
