"""The digitizer's frames: the page's example, the C encoder, a million fuzzed bytes."""

import random
import re
import shutil
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw import cobs
from hw.frames import CLIP, LONGEST, OVERRUN, Frame, FrameError, Framer, decode, encode

DOCS = Path(__file__).resolve().parents[2] / "docs"
PROGRAM = """
#include <stdio.h>
#include "digitizer.h"
int main(void) {
    unsigned head[7];
    static int16_t counts[3 * 512];
    static uint8_t wire[DIGITIZER_LONGEST(512, 3)];
    while (fread(head, sizeof head, 1, stdin) == 1) {
        digitizer_frame frame = {.axes = head[0], .seq = head[2], .rate_mhz = head[3], .scale_nmps2 = head[4],
                                 .full_scale = head[5], .flags = head[6]};
        if (fread(counts, 2, head[0] * head[1], stdin) != head[0] * head[1]) return 1;
        size_t length = digitizer_encode(wire, &frame, counts, head[1]);
        if (length > sizeof wire) return 2;
        fwrite(wire, 1, length, stdout);
    }
    return 0;
}
"""


def same(one: Frame, other: Frame) -> bool:
    heads = [(f.seq, f.rate_mhz, f.scale_nmps2, f.full_scale_counts, f.flags) for f in (one, other)]
    return heads[0] == heads[1] and np.array_equal(one.counts, other.counts)


def make(rng: random.Random, samples: int, axes: int, seq: int) -> Frame:
    spread = rng.choice([0, 1, 300, 32767])
    counts = [[rng.randint(-spread, spread) for _ in range(axes)] for _ in range(samples)]
    flags = rng.choice([0, OVERRUN, CLIP, OVERRUN | CLIP])
    return Frame(np.array(counts, np.int16), seq, 25_600_000, 4_788_403, 32767, flags)


def stream(rng: random.Random, frames: int, samples: int = 64) -> list[Frame]:
    return [make(rng, samples, 3, at * samples) for at in range(frames)]


def test_the_example_of_the_page():
    page = (DOCS / "DIGITIZER.md").read_text()
    example = re.search(r"```\nbefore stuffing\n([0-9a-f\s]+)on the wire\n([0-9a-f\s]+)```", page)
    plain, wire = (bytes.fromhex(part) for part in example.groups())
    frame = Frame(np.array([[0, -1, 2048], [1, 0, 2049]], np.int16), 7, 25_600_000, 4_788_403)
    assert encode(frame) == wire
    assert cobs.decode(wire[:-1]) == plain
    assert same(decode(wire[:-1]), frame)


@given(st.integers(0, 2**32 - 1), st.integers(1, 512), st.integers(1, 3), st.integers(0, 2**32))
def test_there_and_back(seq, samples, axes, seed):
    counts = np.random.default_rng(seed).integers(-32768, 32768, (samples, axes)).astype(np.int16)
    frame = Frame(counts, seq, 1, 4_294_967_295, 2047, CLIP)
    wire = encode(frame)
    assert wire.count(0) == 1
    assert wire[-1] == 0
    assert len(wire) <= LONGEST
    assert same(decode(wire[:-1]), frame)


def test_the_c_header_says_the_same(tmp_path):
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed (apt-get install gcc)")
    (tmp_path / "encode.c").write_text(PROGRAM)
    flags = ["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", "-O1"]
    command = ["gcc", *flags, f"-I{DOCS}", "-o", tmp_path / "encode", tmp_path / "encode.c"]
    subprocess.run(command, check=True, timeout=60)
    rng = random.Random(1)
    sizes = (1, 2, 40, 42, 85, 256, 512)
    frames = [make(rng, rng.choice(sizes), rng.randint(1, 3), rng.getrandbits(32)) for _ in range(150)]
    questions = b"".join(
        np.array(
            [*f.counts.shape[::-1], f.seq, f.rate_mhz, f.scale_nmps2, f.full_scale_counts, f.flags], np.uint32
        ).tobytes()
        + f.counts.tobytes()
        for f in frames
    )
    done = subprocess.run([tmp_path / "encode"], input=questions, capture_output=True, check=True, timeout=20)
    answers = done.stdout.split(b"\0")[:-1]
    assert len(answers) == len(frames)
    assert all(same(decode(answer), frame) for answer, frame in zip(answers, frames, strict=True))
    mine = [cobs.decode(encode(frame)[:-1]) for frame in frames]
    assert [cobs.decode(answer) for answer in answers] == mine


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ((0, 2), "version 2"),
        ((1, 0), "0 axes"),
        ((1, 4), "4 axes"),
        ((1, 2), "do not fit"),
        ((2, 1), "do not fit"),
        ((2, 0), "0 samples"),
    ],
)
def test_a_frame_of_another_kind_is_refused(change, message):
    data = bytearray(cobs.decode(encode(Frame(np.zeros((2, 3), np.int16), 0, 1, 1))[:-1]))
    data[change[0]] = change[1]
    data[-4:] = zlib.crc32(data[:-4]).to_bytes(4, "little")
    with pytest.raises(FrameError, match=message):
        decode(cobs.encode(bytes(data)))


@pytest.mark.parametrize("chunk", [1, 7, 64, 4096, 10**6])
def test_the_first_frame_is_a_frame_cut_short_and_chunks_do_not_matter(chunk):
    frames = stream(random.Random(4), 20)
    wire = b"".join(map(encode, frames))[100:]
    framer = Framer()
    found = [f for at in range(0, len(wire), chunk) for f in framer.feed(wire[at : at + chunk])]
    assert [f.seq for f in found] == [f.seq for f in frames[1:]]
    assert framer.refused == 0


def test_idle_zeros_between_frames():
    framer = Framer()
    frames = stream(random.Random(5), 3)
    found = framer.feed(b"\0\0\0".join(encode(f) for f in frames))
    assert [f.seq for f in found] == [64, 128]
    assert framer.refused == 0


def test_noise_without_an_end_needs_no_memory():
    framer = Framer()
    for _ in range(100):
        assert framer.feed(b"\x55" * 65536) == []
    assert len(framer._rest) <= LONGEST
    (frame,) = stream(random.Random(6), 1)
    assert [f.seq for f in framer.feed(b"\0" + encode(frame))] == [0]


def test_a_million_fuzzed_bytes():
    """Bytes flipped, dropped, doubled, inserted, stretches gone: every frame that comes out was sent."""
    rng = random.Random(7)
    framer = Framer()
    fuzzed = kept = seq = 0
    while fuzzed < 1_200_000:
        frames = [make(rng, 32, 3, (seq + 32 * at) % 2**32) for at in range(40)]
        seq += 32 * len(frames)
        sent = {frame.seq: frame for frame in frames}
        wire = bytearray(b"\0" + b"".join(map(encode, frames)) + b"\0")
        for _ in range(rng.randint(0, 40)):
            place = rng.randrange(len(wire))
            match rng.randrange(5):
                case 0:
                    wire[place] ^= 1 << rng.randrange(8)
                case 1:
                    del wire[place : place + rng.choice([1, 1, 2, 300])]
                case 2:
                    wire[place:place] = wire[place : place + rng.randint(1, 20)]
                case 3:
                    wire[place:place] = rng.randbytes(rng.randint(1, 50))
                case _:
                    wire[place] = 0
        fuzzed += len(wire)
        while wire:
            cut = rng.randint(1, 3000)
            for frame in framer.feed(bytes(wire[:cut])):
                kept += 1
                assert same(frame, sent[frame.seq])
            del wire[:cut]
    assert kept > 1000
    assert framer.refused > 1000


def test_a_million_bytes_of_noise():
    framer, rng = Framer(), random.Random(8)
    for _ in range(300):
        assert framer.feed(rng.randbytes(4096)) == []
