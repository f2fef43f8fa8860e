"""`appliance evidence list|show|export|protect|verify`: what was kept of each alarm."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from appliance import check
from appliance.analysis.evidence_folder import PROTECTED, EvidenceFolder
from appliance.desk import evidence_export, evidence_file, evidence_words
from appliance.errors import ApplianceError
from appliance.guard import audit
from appliance.guard.chain import Head
from hw.evidence_read import read_evidence, read_head
from hw.waveform import RecordingError

_SET_ASIDE = "*.npz.broken"


def run(arguments: argparse.Namespace) -> int:
    """The command that was asked for. Raises ApplianceError: also where we may not look, or not rename."""
    commands: dict[str, Callable[[argparse.Namespace], int]] = {
        "list": listed,
        "show": show,
        "export": export,
        "protect": protect,
        "verify": verify,
    }
    try:
        return commands[arguments.what](arguments)
    except PermissionError as fault:
        raise ApplianceError(
            f"{fault.filename}: {fault.strerror}; ask as root or as the appliance's user"
        ) from fault


def listed(arguments: argparse.Namespace) -> int:
    """A line for each, oldest first."""
    folder = _folder(arguments)
    for path in folder.evidence():
        print(_line(path))
    for path in sorted(folder.folder.glob(_SET_ASIDE)):
        print(f"{path.name}: damaged, set aside")
    return 0


def show(arguments: argparse.Namespace) -> int:
    """One alarm in words, and as a picture where one is asked for."""
    alarm = evidence_file.read(_found(arguments))
    print(evidence_words.page(alarm))
    if arguments.picture:
        try:
            from appliance.desk import evidence_picture  # noqa: PLC0415 - matplotlib only where it is wanted
        except ImportError as fault:
            raise ApplianceError(f"{fault}; a picture needs matplotlib; install appliance[demo]") from fault
        evidence_picture.draw(alarm, arguments.picture)
        print(f"picture    {arguments.picture}")
    return 0


def export(arguments: argparse.Namespace) -> int:
    """WAV and JSON into a folder."""
    alarm = evidence_file.read(_found(arguments))
    for path in evidence_export.write(alarm, arguments.folder):
        print(path)
    return 0


def protect(arguments: argparse.Namespace) -> int:
    """Keep it when the oldest has to go."""
    path = _found(arguments)
    kept = EvidenceFolder(path.parent, check.load(arguments.config).evidence).protect(path)
    if kept is None:
        raise ApplianceError(
            f"{path.name}: not protected; what is protected may be half of evidence.most_files and most_mb; "
            "delete protected evidence that nobody needs, or raise them"
        )
    print(f"{kept.name}: protected")
    return 0


def verify(arguments: argparse.Namespace) -> int:
    """Event log and every part of every evidence file; exit status 0 if all is as it was written."""
    known = Head.parse(arguments.head) if arguments.head else None
    config = check.load(arguments.config)
    log = audit.verify(_ours(config.state_dir / "journal"), known)
    for found in log.breaks:
        print(found)
    print(f"event log: {log.entries} lines from {log.first} to {log.head.seq}, {len(log.breaks)} breaks")
    print(f"its end: {log.head.seq}:{log.head.sha256}")
    folder = _folder(arguments)
    faults = [fault for path in folder.evidence() if (fault := _fault(path))]
    faults += [f"{path}: damaged, set aside" for path in sorted(folder.folder.glob(_SET_ASIDE))]
    for fault in faults:
        print(fault)
    print(f"evidence: {len(folder.evidence())} files, {len(faults)} not as written")
    return int(bool(faults or log.breaks))


def _folder(arguments: argparse.Namespace) -> EvidenceFolder:
    config = check.load(arguments.config)
    return EvidenceFolder(_ours(config.state_dir / "evidence"), config.evidence)


def _ours(folder: Path) -> Path:
    """Raises PermissionError where we may not look: to `glob` it would be empty."""
    with suppress(FileNotFoundError):
        next(folder.iterdir(), None)
    return folder


def _found(arguments: argparse.Namespace) -> Path:
    """The file of this name: a path, a file in the folder, or what an event calls its evidence."""
    name = arguments.name
    if Path(name).is_file():
        return Path(name)
    folder = _folder(arguments)
    for path in (folder.path(name), folder.path(name, protected=True), folder.folder / name):
        if path.is_file():
            return path
    shared = next((path for path in folder.evidence() if name in _head(path).get("names", ())), None)
    if shared is None:
        raise ApplianceError(
            f"{folder.folder}: no evidence {name!r}; expected a name or a file; see `appliance evidence list`"
        )
    return shared


def _head(path: Path) -> dict[str, Any]:
    try:
        return read_head(path)
    except (RecordingError, OSError):
        return {}


def _line(path: Path) -> str:
    name = path.name.removesuffix(PROTECTED).removesuffix(".npz")
    return "  ".join((f"{name:32s}", *_columns(path)))


def _columns(path: Path) -> Iterator[str]:
    try:
        head, size_mb = read_head(path), path.stat().st_size / 1e6
    except (RecordingError, OSError) as fault:
        yield f"DAMAGED: {fault}"
        return
    yield when(head.get("at_utc_ns", 0))
    yield f"{head.get('channel') or '-':20s}"
    yield f"{head.get('severity') or '-':8s}"
    yield f"{size_mb:6.1f} MB"
    if path.name.endswith(PROTECTED):
        yield "protected"


def when(utc_ns: int) -> str:
    """UTC to the second; a dash where it is not known."""
    return f"{datetime.fromtimestamp(utc_ns // 10**9, UTC):%Y-%m-%d %H:%M:%S}" if utc_ns else f"{'-':19s}"


def _fault(path: Path) -> str:
    try:
        read_evidence(path, sealed=True)
    except (RecordingError, OSError) as fault:
        return str(fault)
    return ""
