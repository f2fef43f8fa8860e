"""What must outlast a power cut: a file written through, one replaced whole, the names in a folder."""

import os
from pathlib import Path


def write(path: Path, data: bytes, mode: int = 0o666) -> None:
    """A new file, its content durable when it returns, its name not yet. Raises OSError."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Make or replace a file in one step, durable when it returns; one writer at a time. Raises OSError."""
    draft = draft_of(path)
    draft.unlink(missing_ok=True)
    write(draft, data, mode)
    draft.replace(path)
    sync(path.parent)


def draft_of(path: Path) -> Path:
    """Where `replace` writes first; a killed one leaves it behind, the next one removes it."""
    return path.with_name(f".{path.name}.tmp")


def sync(folder: Path) -> None:
    """Make the names in a folder durable. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
