"""Evidence: the waveform around an alarm, kept in memory and written when the guard asks for it."""

from collections import deque
from pathlib import Path

import numpy as np

from appliance.clock import WallClock
from appliance.records import Capture, SampleBlock
from hw import evidence as files
from hw.waveform import Gap

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
        """Keep a block; forget what is too old for any capture, and all of a clock that has started anew."""
        blocks = self._blocks.setdefault(block.sensor, deque())
        if blocks and block.t1_mono_ns <= blocks[-1].t0_mono_ns:
            blocks.clear()
        blocks.append(block)
        oldest_ns = block.t1_mono_ns - round((PRE_S + POST_S) * 1e9)
        while blocks[0].t1_mono_ns < oldest_ns:
            blocks.popleft()

    def order(self, capture: Capture) -> None:
        """Write this one once its seconds after the alarm are there."""
        self._waiting.append(capture)

    def due(self, *, last: bool = False) -> list[Path]:
        """Write the captures whose time has come, one file each with every sensor. Raises OSError.

        last: no more blocks will come; write those that wait with what is there.
        """
        if not self._blocks:
            return []
        newest_ns = max(blocks[-1].t1_mono_ns for blocks in self._blocks.values())
        post_ns = round(POST_S * 1e9)
        ready = [one for one in self._waiting if last or newest_ns >= one.at_mono_ns + post_ns]
        self._waiting = [one for one in self._waiting if one not in ready]
        return [self._write(capture) for capture in ready]

    def _write(self, capture: Capture) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{capture.name}.npz"
        tracks = [_track(list(blocks), self._clock) for blocks in self._blocks.values()]
        files.write_evidence(path, tracks, {"reason": capture.reason, "at_mono_ns": capture.at_mono_ns})
        by_age = sorted(self._folder.glob("*.npz"), key=lambda file: file.stat().st_mtime_ns)
        for stale in by_age[:-MOST_FILES]:
            stale.unlink(missing_ok=True)
        return path


def _track(blocks: list[SampleBlock], clock: WallClock) -> files.Track:
    """Consecutive blocks of one sensor as one track; holes in `seq` and lost samples stay visible."""
    lost: list[Gap] = []
    counts = []
    total = 0
    for before, block in zip([None, *blocks], blocks, strict=False):
        missing = block.lost if before else 0
        if before and block.seq != before.seq + 1:
            missing += round((block.t0_mono_ns - before.t1_mono_ns) * 1e-9 * block.rate_hz)
        if missing > 0:
            lost.append(Gap(total - 1, missing))
        counts.append(np.frombuffer(block.counts, "<i2").reshape(-1, block.axes))
        total += block.n
    first, last = blocks[0], blocks[-1]
    return files.Track(
        sensor=first.sensor,
        counts=np.concatenate(counts),
        scale_mps2=last.scale_mps2,
        rate_hz=last.rate_hz,
        t0_mono_ns=first.t0_mono_ns,
        t0_utc_ns=clock.utc_ns(first.t0_mono_ns),
        lost=tuple(lost),
    )
