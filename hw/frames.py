"""The frames of the streaming digitizer, as docs/DIGITIZER.md writes them down: COBS around CRC-32."""

import struct
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hw import cobs

VERSION = 1
HEADER = struct.Struct("<BBHIIIHH")
"""version, axes, samples, seq, rate mHz, scale nm/s², full scale in counts, flags."""
CRC = struct.Struct("<I")
OVERRUN, CLIP = 0x0001, 0x0002
MOST_AXES, MOST_SAMPLES = 3, 512
LONGEST = 3200
"""Bytes of the longest frame with its stuffing, and a little more: farther than that there is no end."""


class FrameError(ValueError):
    """The bytes between two zeros are not a frame of this version."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Consecutive samples of one digitizer.

    counts: shape (n, axes), 1 <= n <= 512, oldest first.
    seq: number of its first sample since the digitizer began, modulo 2^32.
    rate_mhz: nominal sample rate, mHz.
    scale_nmps2: acceleration of one count, nm/s².
    full_scale_counts: largest count.
    flags: OVERRUN: samples were lost in the digitizer before this frame (seq has them counted); CLIP: the
        front end was overdriven during it.
    """

    counts: NDArray[np.int16]
    seq: int
    rate_mhz: int
    scale_nmps2: int
    full_scale_counts: int = 32767
    flags: int = 0


def encode(frame: Frame) -> bytes:
    """A frame as it goes over the wire, with the zero that ends it."""
    samples, axes = frame.counts.shape
    head = HEADER.pack(
        VERSION,
        axes,
        samples,
        frame.seq,
        frame.rate_mhz,
        frame.scale_nmps2,
        frame.full_scale_counts,
        frame.flags,
    )
    body = head + frame.counts.astype("<i2", copy=False).tobytes()
    return cobs.encode(body + CRC.pack(zlib.crc32(body))) + b"\0"


def decode(stuffed: bytes) -> Frame:
    """The frame in the bytes between two zeros. Raises FrameError."""
    try:
        data = cobs.decode(stuffed)
    except cobs.CobsError as fault:
        raise FrameError(str(fault)) from fault
    if len(data) < HEADER.size + CRC.size:
        raise FrameError(f"{len(data)} bytes, expected at least {HEADER.size + CRC.size}")
    if zlib.crc32(data[: -CRC.size]) != CRC.unpack(data[-CRC.size :])[0]:
        raise FrameError("wrong CRC-32")
    version, axes, samples, seq, rate_mhz, scale_nmps2, full_scale, flags = HEADER.unpack_from(data)
    if version != VERSION:
        raise FrameError(f"version {version}, expected {VERSION}")
    if not (1 <= axes <= MOST_AXES and 1 <= samples <= MOST_SAMPLES):
        raise FrameError(
            f"{samples} samples of {axes} axes, expected 1 to {MOST_SAMPLES} of 1 to {MOST_AXES}"
        )
    if len(data) != HEADER.size + 2 * axes * samples + CRC.size:
        raise FrameError(f"{len(data)} bytes do not fit {samples} samples of {axes} axes")
    counts = np.frombuffer(data, "<i2", axes * samples, HEADER.size).reshape(samples, axes)
    return Frame(counts, seq, rate_mhz, scale_nmps2, full_scale, flags)


class Framer:
    """Cuts a stream of bytes into frames. What comes before the first zero is a frame cut short."""

    def __init__(self) -> None:
        self._rest = b""
        self._synchronous = False
        self.refused = 0
        """Frames that were not whole or not right, since it was made."""
        self.reason = "no frame yet"
        """Why the last one was refused."""

    def feed(self, data: bytes) -> list[Frame]:
        """The right frames that `data` completes; a wrong one is counted and left out."""
        *ended, rest = (self._rest + data).split(b"\0")
        self._rest = rest[-LONGEST:]
        if ended and not self._synchronous:
            self._synchronous = True
            del ended[0]
        frames = []
        for stuffed in filter(None, ended):  # two zeros in a row are an idle line
            try:
                frames.append(decode(stuffed))
            except FrameError as fault:
                self.refused += 1
                self.reason = str(fault)
        return frames
