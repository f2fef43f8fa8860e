"""Packages of a Debian release, unpacked into a folder: no root, nothing installed, fetched once and kept."""

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from kernel import RigError, cache

QEMU = ("trixie", "amd64", ("qemu-system-arm", "qemu-system-x86", "qemu-system-data"))
"""Debian 13's: the one of Debian 12 has no I2C on its Raspberry Pi."""


def place(release: str, architecture: str, packages: Sequence[str]) -> Path:
    """Where they are, or would be."""
    recipe = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:12]
    return cache() / f"{release}-{architecture}-{recipe}"


def unpacked(release: str, architecture: str, packages: Sequence[str]) -> Path:
    """The folder with these packages and all that they depend on; no maintainer script has run.

    Raises:
        RigError: mmdebstrap is missing or cannot have them.
    """
    root = place(release, architecture, packages)
    if root.exists():
        return root
    if shutil.which("mmdebstrap") is None:
        raise RigError(
            "mmdebstrap: not on this machine, needed to fetch packages; run: apt-get install mmdebstrap"
        )
    print(f"rig: fetching {', '.join(packages)} of {release} for {architecture}", flush=True)
    cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="unpack-", dir=cache()) as scratch:
        tarball, tree = Path(scratch, "root.tar"), Path(scratch, "root")
        tree.mkdir()
        options = ["--variant=extract", f"--architectures={architecture}", f"--include={','.join(packages)}"]
        for command in (
            ["mmdebstrap", *options, release, str(tarball)],
            ["tar", "-xf", str(tarball), "-C", str(tree), "--no-same-owner"],
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RigError(f"{command[0]} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        tree.rename(root)
    return root


def qemu(program: str) -> list[str]:
    """How to start it, without devices. Raises RigError."""
    root = unpacked(*QEMU)
    libraries = root / "usr/lib/x86_64-linux-gnu"
    return [
        str(libraries / "ld-linux-x86-64.so.2"), "--library-path", str(libraries),
        str(root / "usr/bin" / program),
        "-L", str(root / "usr/share/qemu"), "-L", str(root / "usr/share/seabios"),
        "-display", "none", "-nodefaults", "-no-user-config",
    ]  # fmt: skip
