"""A simulated digitizer: streams the simulated machine's vibration over a real pseudo-terminal."""

import os
from pathlib import Path

from hw.frames import CLIP, MOST_SAMPLES, OVERRUN, Frame, encode
from hw.ports import PortError, Vibration
from hw.sim.serial_device import SerialDevice

MEMORY_BYTES = 65_536
"""What the microcontroller can hold back while nobody reads."""


class SimDigitizer(SerialDevice):
    """Samples a Vibration source and sends it as frames.

    A tty has no time but the real one: the source must run in real time.
    """

    def __init__(self, link: Path, source: Vibration, frame_samples: int = 256) -> None:
        """Power it.

        Args:
            link: see SerialDevice.
            source: what it samples, with its own wrong clock (hw.sim.accelerometer).
            frame_samples: of one frame, 1 to 512.
        """
        self.sent = 0
        """Samples sent or lost since it was made: the number of the next one."""
        self._source = source
        self._frame_samples = min(frame_samples, MOST_SAMPLES)
        self._waiting = bytearray()
        self._overrun = False
        super().__init__(link)

    def plug_in(self) -> None:
        """Appear, and go on counting: its own power did not fail."""
        self._waiting.clear()
        super().plug_in()

    def disturb(self, data: bytes) -> None:
        """Put foreign bytes on the wire."""
        self._waiting += data

    def _live(self) -> None:
        os.set_blocking(self._wire, False)
        self._source.start()
        while not self._unplugged.is_set():
            try:
                samples = self._source.read()
            except PortError:
                continue  # its sensor does not answer: nothing to send, and the source counts what is lost
            if samples.lost:
                self.sent += samples.lost
                self._overrun = True
            for at in range(0, len(samples.counts), self._frame_samples):
                counts = samples.counts[at : at + self._frame_samples]
                clipped = abs(counts.astype(int)).max() >= self._source.full_scale_counts
                self._send(
                    Frame(
                        counts,
                        self.sent % 2**32,
                        round(self._source.rate_hz * 1e3),
                        round(self._source.scale_mps2 * 1e9),
                        self._source.full_scale_counts,
                        OVERRUN * self._overrun | CLIP * clipped,
                    )
                )
                self.sent += len(counts)
            self._write()
        self._source.stop()

    def _send(self, frame: Frame) -> None:
        """Queue it, or drop it where there is no room."""
        data = encode(frame)
        self._overrun = len(self._waiting) + len(data) > MEMORY_BYTES
        if not self._overrun:
            self._waiting += data
        self._write()

    def _write(self) -> None:
        try:
            while self._waiting:
                del self._waiting[: os.write(self._wire, self._waiting)]
        except BlockingIOError:
            return
