"""An initial RAM disk: a cpio archive, and the kernel modules that go into it."""

import lzma
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

Entry = tuple[int, bytes]
"""(mode, content)"""


def executable(content: bytes) -> Entry:
    return stat.S_IFREG | 0o755, content


def link(target: str) -> Entry:
    return stat.S_IFLNK | 0o777, target.encode()


def folder() -> Entry:
    return stat.S_IFDIR | 0o755, b""


def tree(root: Path, wanted: Iterable[Path]) -> dict[str, Entry]:
    """These files of `root`, symbolic links kept, at the same place in the archive."""
    return {
        str(path.relative_to(root)): _entry(path) for path in wanted if path.is_file() or path.is_symlink()
    }


def _entry(path: Path) -> Entry:
    if path.is_symlink():
        return link(str(path.readlink()))
    return stat.S_IFREG | path.stat().st_mode & 0o755, path.read_bytes()


def archive(entries: Mapping[str, Entry]) -> bytes:
    """A "newc" archive, its folders made where they are needed.

    Source: Documentation/driver-api/early-userspace/buffer-format.rst of Linux.
    """
    whole = {str(parent): folder() for name in entries for parent in list(Path(name).parents)[-2::-1]} | dict(
        entries
    )
    parts = [_record(number, name, *entry) for number, (name, entry) in enumerate(whole.items(), 1)]
    return b"".join([*parts, _record(0, "TRAILER!!!", 0, b"")])


def _record(number: int, name: str, mode: int, content: bytes) -> bytes:
    named = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(named), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + named
    return head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)


def modules(folders: Iterable[Path], names: Iterable[str]) -> dict[str, bytes]:
    """Kernel modules by name, uncompressed, each after what it depends on. What is built in is left out.

    folders: searched in order; the first that has a module gives it.
    """
    files: dict[str, Path] = {}
    for place in folders:
        for file in sorted(place.rglob("*.ko*")):
            files.setdefault(file.name.split(".")[0].replace("-", "_"), file)
    ordered: dict[str, bytes] = {}

    def add(name: str) -> None:
        name = name.replace("-", "_")
        file = files.get(name)
        if file is None or name in ordered:
            return
        content = lzma.decompress(file.read_bytes()) if file.suffix == ".xz" else file.read_bytes()
        needs = re.search(rb"\0depends=([^\0]*)\0", content)
        for needed in needs[1].decode().split(",") if needs else ():
            add(needed)
        ordered[name] = content

    for name in names:
        add(name)
    return ordered
