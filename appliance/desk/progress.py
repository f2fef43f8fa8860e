"""Progress on a terminal: one line that grows, or silence where nobody looks."""

import sys


class Progress:
    """Shows a share done with a text; on anything but a terminal it stays quiet until `done`."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._shown = -1
        self._live = sys.stderr.isatty()

    def __call__(self, share: float) -> None:
        """Show this share, 0–1."""
        percent = int(100 * min(1.0, share))
        if self._live and percent != self._shown:
            print(f"\r{self._text} {percent:3d} %", end="", file=sys.stderr, flush=True)
            self._shown = percent

    def done(self, text: str = "done") -> None:
        """Close the line."""
        start = "\r" if self._live else ""
        print(f"{start}{self._text} {text}".ljust(78 if self._live else 0), file=sys.stderr, flush=True)
