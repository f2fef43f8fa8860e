"""A person at a terminal of 80 columns: a command on a pty, what it shows, what is typed."""

import fcntl
import os
import pty
import select
import subprocess
import termios
import time
from pathlib import Path


class Terminal:
    """One command on a pty of its own. `heard` is all that it has sent."""

    def __init__(self, command: list[str], folder: Path, environment: dict[str, str]) -> None:
        """Start it in `folder`."""
        self._ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (24, 80))
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, env=environment,
            start_new_session=True, preexec_fn=_take_terminal,  # noqa: PLW1509 - no threads in the tool
        )  # fmt: skip
        os.close(theirs)
        self.heard = ""
        self._waited = 0

    def until(self, words: str, within_s: float) -> None:
        """Read on until it shows these words after those waited for last. Raises TimeoutError, EOFError."""
        end_s = time.monotonic() + within_s
        while (at := self.heard.find(words, self._waited)) < 0:
            self._read(end_s, words)
        self._waited = at + len(words)

    def type(self, text: str) -> None:
        """As if on the keyboard; \\x03 is Ctrl-C."""
        os.write(self._ours, text.encode())

    def end(self, within_s: float) -> int:
        """Read to its end; its exit status. Raises TimeoutError."""
        end_s = time.monotonic() + within_s
        try:
            while True:
                self._read(end_s, "its end")
        except EOFError:
            return self.process.wait(5.0)

    def close(self) -> None:
        """End it, if it has not ended."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)

    def shown(self) -> list[str]:
        """The lines as they stand on the screen in the end."""
        return [_drawn(line).rstrip() for line in self.heard.replace("\r\n", "\n").split("\n")]

    def _read(self, end_s: float, wanted: str) -> None:
        readable, _, _ = select.select([self._ours], [], [], max(0.0, end_s - time.monotonic()))
        if not readable:
            raise TimeoutError(f"no {wanted!r} in time; it has shown:\n{self.heard}")
        try:
            data = os.read(self._ours, 65536)
        except OSError:  # how a pty says that the other side is closed
            data = b""
        if not data:
            raise EOFError(f"ended without {wanted!r}; it has shown:\n{self.heard}")
        self.heard += data.decode(errors="replace")


def _take_terminal() -> None:
    """Make the pty the controlling terminal, so that Ctrl-C is a signal."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _drawn(line: str) -> str:
    """What a line shows after all that was drawn over it."""
    cells: list[str] = []
    for part in line.split("\r"):
        cells[: len(part)] = part
    return "".join(cells)
