"""One boot of the rig's machine: the host's files read-only, one command inside, then off."""

import contextlib
import json
import os
import secrets
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kernel import HERE, RigError

ROOT = HERE.parents[1]
CRASHES = 2
"""QEMU 10.0 now and then aborts while the firmware sets its devices up (asserts in msix.c and physmem.c)."""


class Machine(Protocol):
    """What can be booted; see kernel.Kernel, which is level 1. Level 2 is vm.Pc."""

    def shared(self, scratch: Path) -> tuple[str, str, str]: ...
    @property
    def modules(self) -> list[tuple[str, str]]: ...
    def command(self, init: Path, options: Sequence[str], *, resets: bool) -> list[str]: ...


@dataclass(frozen=True)
class Outcome:
    """status: of the command, None when the machine went down without one; boots: how often it came up."""

    status: int | None
    boots: int
    output: str


def boot(
    machine: Machine,
    argv: Sequence[str],
    environment: Mapping[str, str],
    limit_s: float,
    hear: Callable[[str], None] = lambda _: None,
    resets: int = 0,
    options: Sequence[str] = (),
) -> Outcome:
    """Boot, run `argv` inside in the project's folder, power off.

    Args:
        machine: see kernel.build and vm.build.
        argv: the command; paths are the host's.
        environment: added to the machine's small environment; APPLIANCE_RIG there is the number of the boot.
        limit_s: the machine is cut off after this long.
        hear: called with every line of the console.
        resets: how often a machine that went down by itself is started again, as a board does after a reset;
            User Mode Linux only dies of it.
        options: added to the kernel's command line.

    Raises:
        RigError: the machine had to be cut off; with the end of its console.
    """
    with tempfile.TemporaryDirectory(prefix="rig-") as scratch:
        shared = Path(scratch)
        order = {
            "argv": list(argv),
            "folder": str(ROOT),
            "shared": machine.shared(shared),
            "modules": machine.modules,
            "seed": secrets.token_hex(64),
            "environment": {"PYTHONDONTWRITEBYTECODE": "1", **environment},
        }
        (shared / "command.json").write_text(json.dumps(order))
        init = shared / "init"
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        init.write_text(
            f"#!/bin/sh\nexport PATH={path} HOME=/run PYTHONDONTWRITEBYTECODE=1\n"
            f"exec {shlex.join([sys.executable, '-u', str(HERE / 'guest.py'), scratch])}\n"
        )
        init.chmod(0o755)
        command = machine.command(init, options, resets=resets > 0)
        status, starts, output = shared / "status", 0, ""
        log, crashes = shared / "boots", 0
        while not status.exists() and starts <= resets:
            words, cut, code = _run(command, limit_s, hear)
            output += words
            if cut:
                raise RigError(f"still up after {limit_s:.0f} s, cut off; its last words:\n{output[-2000:]}")
            if code == -signal.SIGABRT and not log.exists() and crashes < CRASHES:
                crashes += 1
                continue
            starts += 1
        boots = len(log.read_text().splitlines()) if log.exists() else 0
        return Outcome(int(status.read_text()) if status.exists() else None, boots, output)


def _run(command: Sequence[str], limit_s: float, hear: Callable[[str], None]) -> tuple[str, bool, int]:
    """Console output, whether it had to be cut off, exit status. Its processes are one group, all ours."""
    lines: list[str] = []
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as machine:
        assert machine.stdout is not None
        timer = threading.Timer(limit_s, _kill, (machine.pid,))
        timer.start()
        try:
            for line in machine.stdout:
                lines.append(line)
                hear(line.rstrip("\r\n"))
        finally:
            cut = not timer.is_alive()
            timer.cancel()
            _kill(machine.pid)
    return "".join(lines), cut, machine.returncode


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
