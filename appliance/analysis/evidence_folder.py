"""The folder of evidence: bounded in number and bytes; what is protected stays longer, not for ever."""

from contextlib import suppress
from pathlib import Path

from appliance.config import Evidence
from hw.evidence_read import read_head
from hw.waveform import RecordingError

PROTECTED = ".protected.npz"
"""How the name of protected evidence ends: a rename protects it, in one step."""
_BROKEN = ".broken"


class EvidenceFolder:
    """What is in it, oldest first, and what has to go."""

    def __init__(self, folder: Path, settings: Evidence) -> None:
        self.folder = folder
        self._most_files = settings.most_files
        self._most_bytes = round(settings.most_mb * 1e6)

    def tidy(self) -> list[Path]:
        """Remove what a killed write left behind; set damaged files aside and return them. Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for leftover in self.folder.glob(".*.tmp"):
            leftover.unlink()
        return [path.rename(f"{path}{_BROKEN}") for path in self.evidence() if not _is_readable(path)]

    def evidence(self) -> list[Path]:
        """Every evidence file, oldest first."""
        return list(self._sizes("*.npz"))

    def path(self, name: str, *, protected: bool = False) -> Path:
        """Where evidence of this name is written."""
        return self.folder / f"{name}{PROTECTED if protected else '.npz'}"

    def make_room(self, size_bytes: int) -> bool:
        """Remove the oldest until a file of this size fits. False: it never can. Raises OSError.

        Protected files go last, and only those are safe which together are at most half of either bound.
        """
        if size_bytes > self._most_bytes:
            return False
        sizes = self._sizes("*.npz", f"*.npz{_BROKEN}")
        safe = self._safe(sizes)
        going = [path for path in sizes if path not in safe] + [path for path in sizes if path in safe]
        left, held = len(sizes), sum(sizes.values())
        for path in going:
            if left < self._most_files and held + size_bytes <= self._most_bytes:
                return True
            path.unlink(missing_ok=True)
            left, held = left - 1, held - sizes[path]
        return True

    def protect(self, path: Path) -> Path | None:
        """Rename it so that it stays; None where the protected ones would then be more than half."""
        if path.name.endswith(PROTECTED):
            return path
        sizes = self._sizes(f"*{PROTECTED}") | {path: path.stat().st_size}
        if len(sizes) > self._most_files // 2 or sum(sizes.values()) > self._most_bytes // 2:
            return None
        return path.rename(path.with_name(path.name.removesuffix(".npz") + PROTECTED))

    def _sizes(self, *patterns: str) -> dict[Path, int]:
        """Bytes of each file, oldest first. What another process has just renamed or removed is left out."""
        found = []
        for pattern in patterns:
            for path in self.folder.glob(pattern):
                with suppress(FileNotFoundError):
                    stat = path.stat()
                    found.append((stat.st_mtime_ns, path, stat.st_size))
        return {path: size for _, path, size in sorted(found)}

    def _safe(self, sizes: dict[Path, int]) -> set[Path]:
        safe: set[Path] = set()
        held = 0
        for path, size in reversed(sizes.items()):
            if not path.name.endswith(PROTECTED):
                continue
            held += size
            if len(safe) == self._most_files // 2 or held > self._most_bytes // 2:
                break
            safe.add(path)
        return safe


def _is_readable(path: Path) -> bool:
    try:
        read_head(path)
    except RecordingError:
        return False
    return True
