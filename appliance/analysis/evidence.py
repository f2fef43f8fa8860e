"""Evidence: the waveform around an alarm, kept in memory and written when the guard asks for it."""

from collections import deque
from pathlib import Path

from appliance.clock import WallClock
from appliance.records import Capture, SampleBlock
from hw import evidence as files

PRE_S = 10.0
POST_S = 2.0
MOST_FILES = 50


class EvidenceRing:
    """The last seconds of every sensor, and the captures that wait for their seconds after the alarm."""

    def __init__(self, folder: Path, clock: WallClock) -> None:
        """Write to `folder`; utc times by `clock`."""
        self._folder = folder
        self._clock = clock
        self._blocks: dict[str, deque[SampleBlock]] = {}
        self._waiting: list[Capture] = []

    def push(self, block: SampleBlock) -> None:
        """Keep a block; forget what is too old for any capture."""
        blocks = self._blocks.setdefault(block.sensor, deque())
        blocks.append(block)
        oldest_ns = block.t1_mono_ns - round((PRE_S + POST_S) * 1e9)
        while blocks[0].t1_mono_ns < oldest_ns:
            blocks.popleft()

    def order(self, capture: Capture) -> None:
        """Write this one once its seconds after the alarm are there."""
        self._waiting.append(capture)

    def due(self) -> list[Path]:
        """Write the captures whose time has come; returns the files. Raises OSError."""
        newest_ns = max((blocks[-1].t1_mono_ns for blocks in self._blocks.values() if blocks), default=0)
        ready = [
            capture for capture in self._waiting if newest_ns >= capture.at_mono_ns + round(POST_S * 1e9)
        ]
        self._waiting = [capture for capture in self._waiting if capture not in ready]
        return [path for capture in ready for path in self._write(capture)]

    def _write(self, capture: Capture) -> list[Path]:
        written = []
        for sensor, blocks in self._blocks.items():
            path = self._folder / f"{capture.name}-{sensor}.npz"
            path.parent.mkdir(parents=True, exist_ok=True)
            files.write_evidence(
                path, [_trace(sensor, list(blocks), self._clock)], {"reason": capture.reason}
            )
            written.append(path)
        stale = sorted(self._folder.glob("*.npz"), key=lambda path: path.stat().st_mtime_ns)[:-MOST_FILES]
        for path in stale:
            path.unlink(missing_ok=True)
        return written
