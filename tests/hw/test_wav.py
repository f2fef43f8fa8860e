"""WAV files, against scipy.io.wavfile and against damage."""

import struct

import numpy as np
import pytest
from scipy.io import wavfile

from hw.ports import STANDARD_GRAVITY_MPS2
from hw.recording import RecordingError, load
from hw.wav import write_wav

G = STANDARD_GRAVITY_MPS2
RATE_HZ = 8000


def noise(axes=3, n=500):
    return np.random.default_rng(1).uniform(-1, 1, (n, axes))


def wav(form: bytes, data: bytes, *, head=b"RIFF", kind=b"WAVE", data_size=None, extra=b"") -> bytes:
    chunks = struct.pack("<4sI", b"fmt ", len(form)) + form + extra
    chunks += struct.pack("<4sI", b"data", len(data) if data_size is None else data_size) + data
    return head + struct.pack("<I", 4 + len(chunks)) + kind + chunks


def fmt(code=1, channels=3, rate=RATE_HZ, bits=16, frame=None):
    frame = channels * bits // 8 if frame is None else frame
    return struct.pack("<HHIIHH", code, channels, rate, rate * frame, frame, bits)


GOOD = (noise() * 32767).astype("<i2").tobytes()


@pytest.mark.parametrize(
    ("dtype", "step"),
    [("u1", 1 / 128), ("<i2", 1 / 32768), ("<i4", 2**-31), ("<f4", 1e-7), ("<f8", 1e-7)],
)
def test_reads_what_scipy_writes(tmp_path, dtype, step):
    x = noise()
    stored = {
        "u1": np.rint(x * 127 + 128),
        "<i2": np.rint(x * 32767),
        "<i4": np.rint(x * (2**31 - 1)),
    }.get(dtype, x).astype(dtype)
    wavfile.write(tmp_path / "a.wav", RATE_HZ, stored)
    got = load(tmp_path / "a.wav")
    assert (got.rate_hz, got.axis_names, got.gaps, got.name) == (RATE_HZ, ("x", "y", "z"), (), "a")
    assert got.accel.dtype == np.float32
    assert np.abs(got.accel / G - x).max() < 1.6 * step + 1e-6
    assert (got.counts is not None) == (dtype == "<i2")
    if got.counts is not None:
        assert np.array_equal(got.counts, stored)
        assert got.scale_mps2 == G / 32768


def test_reads_24_bits_in_an_extensible_header(tmp_path):
    steps = np.rint(noise() * (2**23 - 1)).astype("<i4")
    data = steps.reshape(-1).view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    guid = struct.pack("<H", 1) + bytes.fromhex("000000001000800000aa00389b71")
    form = fmt(0xFFFE, 3, RATE_HZ, 24) + struct.pack("<HHI", 22, 24, 7) + guid
    path = tmp_path / "deep.wav"
    path.write_bytes(wav(form, data, extra=struct.pack("<4sI4s", b"LIST", 3, b"abc\0")))
    got = load(path, units="m/s2")
    assert got.accel == pytest.approx(steps / 2**23, abs=1e-6)
    rate, other = wavfile.read(path)
    assert rate == RATE_HZ
    assert np.array_equal(other >> 8, steps)


@pytest.mark.parametrize("units", ["g", "m/s2"])
def test_round_trip_and_scipy_reads_what_we_write(tmp_path, units):
    accel = (noise(2) * 50).astype(np.float32)
    accel[7, 1] = np.nan
    write_wav(tmp_path / "a.wav", accel, RATE_HZ, units)
    got = load(tmp_path / "a.wav", RATE_HZ, units)
    assert got.accel == pytest.approx(accel, rel=1e-6, nan_ok=True)
    rate, other = wavfile.read(tmp_path / "a.wav")
    assert rate == RATE_HZ
    assert other == pytest.approx(accel / (G if units == "g" else 1), rel=1e-6, nan_ok=True)


def test_takes_the_first_axes(tmp_path):
    (tmp_path / "a.wav").write_bytes(wav(fmt(channels=6), GOOD))
    assert load(tmp_path / "a.wav", axes=2).counts.shape == (250, 2)


def test_a_rate_within_a_thousandth_agrees(tmp_path):
    (tmp_path / "a.wav").write_bytes(wav(fmt(), GOOD))
    assert load(tmp_path / "a.wav", rate_hz=8004.0).rate_hz == 8000.0


def test_cut_anywhere_is_an_error(tmp_path):
    whole = wav(fmt(), GOOD)
    path = tmp_path / "cut.wav"
    for length in [*range(60), 61, 500, len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(RecordingError, match=r"cut\.wav: .*; expected .*; "):
            load(path)


BROKEN = {
    "not RIFF": (wav(fmt(), GOOD, head=b"RIFX"), "no RIFF WAVE"),
    "not WAVE": (wav(fmt(), GOOD, kind=b"AVI "), "no RIFF WAVE"),
    "data longer than the file": (wav(fmt(), GOOD, data_size=len(GOOD) + 1), "3001 bytes, 3000 there"),
    "size never filled in": (wav(fmt(), GOOD, data_size=0xFFFFFFFF), "4294967295"),
    "half a frame": (wav(fmt(), GOOD[:-2]), "multiple of 6"),
    "no samples": (wav(fmt(), b""), "0 samples"),
    "one sample": (wav(fmt(), GOOD[:6]), "1 samples"),
    "compressed": (wav(fmt(code=2, bits=4), GOOD), "format 2"),
    "PCM of 12 bits": (wav(fmt(bits=12), GOOD), "12 bits"),
    "float of 16 bits": (wav(fmt(code=3), GOOD), "format 3"),
    "no channel": (wav(fmt(channels=0), GOOD), "0 channels"),
    "wrong frame": (wav(fmt(frame=4), GOOD), "frames of 4 bytes"),
    "too many channels": (wav(fmt(channels=4), GOOD), "4 data columns"),
    "slow": (wav(fmt(rate=49), GOOD), "rate 49 Hz"),
    "no rate": (wav(fmt(rate=0), GOOD), "rate 0 Hz"),
    "absurd rate": (wav(fmt(rate=10**8), GOOD), "rate 1e"),
    "short format": (wav(fmt()[:14], GOOD), "14 bytes"),
    "data before format": (b"RIFF\0\0\0\0WAVE" + struct.pack("<4sI", b"data", 0), "before the format"),
    "no data": (b"RIFF\0\0\0\0WAVE" + struct.pack("<4sI", b"fmt ", 16) + fmt(), "no 'data' chunk"),
    "infinite": (wav(fmt(3, 1, bits=32), np.array([1, np.inf], "<f4").tobytes()), "beyond"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken(tmp_path, case):
    content, found = BROKEN[case]
    path = tmp_path / "b.wav"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=found) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert "; expected " in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "found"),
    [({"rate_hz": 8009.0}, "8000 Hz, 8009 Hz was given"), ({"axes": 4}, "1 to 3"), ({"axes": 0}, "1 to 3")],
)
def test_contradicted(tmp_path, asked, found):
    (tmp_path / "a.wav").write_bytes(wav(fmt(), GOOD))
    with pytest.raises(RecordingError, match=found):
        load(tmp_path / "a.wav", **asked)


def test_too_few_channels(tmp_path):
    (tmp_path / "a.wav").write_bytes(wav(fmt(channels=1), GOOD))
    with pytest.raises(RecordingError, match="1 data columns; expected 2"):
        load(tmp_path / "a.wav", axes=2)


def test_a_rate_that_wav_cannot_hold(tmp_path):
    with pytest.raises(RecordingError, match="whole Hz"):
        write_wav(tmp_path / "a.wav", noise().astype(np.float32), 3332.5)
    assert not (tmp_path / "a.wav").exists()
