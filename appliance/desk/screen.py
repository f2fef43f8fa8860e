"""Lines for a terminal of 80 columns: what has changed is a new line, what only counts is drawn in place."""

import re
import sys
import textwrap

COLUMNS = 79
_NUMBERS = re.compile(r"[\d.]+")


class Screen:
    """Standard output. On anything but a terminal nothing is drawn in place."""

    def __init__(self) -> None:
        self._live = sys.stdout.isatty()
        self._drawn = ""
        self._told: dict[str, str] = {}

    def line(self, text: str, indent: int = 2) -> None:
        """A line that stays, wrapped."""
        self._wipe()
        print(textwrap.fill(text, COLUMNS, initial_indent=" " * indent, subsequent_indent=" " * (indent + 4)))
        sys.stdout.flush()

    def heading(self, text: str) -> None:
        """A step begins."""
        self._wipe()
        print(f"\n{text}", flush=True)

    def follow(self, key: str, stamp: str, text: str) -> None:
        """What `key` is like now: a new line if its words have changed, in place if its numbers have."""
        words = _NUMBERS.sub("#", text)
        if self._told.get(key) != words:
            self._told[key] = words
            self.line(f"{stamp}  {text}")
        elif self._live:
            self._wipe()
            self._drawn = f"  {stamp}  {text}"[:COLUMNS]
            print(self._drawn, end="", flush=True)

    def _wipe(self) -> None:
        if self._drawn:
            print(f"\r{' ' * len(self._drawn)}\r", end="")
            self._drawn = ""
