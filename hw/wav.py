"""WAV files: PCM of 8 to 32 bits and IEEE float, plain or WAVE_FORMAT_EXTENSIBLE.

Source: Microsoft & IBM, Multimedia Programming Interface and Data Specifications 1.0 (1991); mmreg.h.
"""

import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hw.waveform import (
    DEFAULT_AXES,
    F32,
    I16,
    MOST_BYTES,
    MOST_MPS2,
    RATE_SLACK,
    UNIT_MPS2,
    Recording,
    RecordingError,
    Units,
    agreed_rate_hz,
    chosen_axes,
)

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
_SUPPORTED = {(PCM, 8), (PCM, 16), (PCM, 24), (PCM, 32), (FLOAT, 32), (FLOAT, 64)}


class _Format(NamedTuple):
    code: int
    channels: int
    rate_hz: int
    frame_bytes: int
    bits: int


def read_wav(
    path: Path, rate_hz: float | None = None, units: Units = "g", axes: int | None = None
) -> Recording:
    """Read a WAV file; full scale (±1.0) is 1 `units`.

    Args:
        path: the file.
        rate_hz: must agree with the file's within 0.1 %, if given.
        units: what ±1.0 means.
        axes: take the first so many channels; None = all, at most 3.

    Raises:
        RecordingError: not a WAV file, truncated, of a kind not listed above, or contradicted by an argument.
    """
    if path.stat().st_size > MOST_BYTES:
        raise RecordingError(
            f"{path}: {path.stat().st_size} bytes; expected at most {MOST_BYTES}; cut the file"
        )
    raw = path.read_bytes()
    form, data = _chunks(path, raw)
    _check_format(path, form)
    if len(data) % form.frame_bytes:
        raise RecordingError(
            f"{path}: data of {len(data)} bytes; expected a multiple of {form.frame_bytes}; it is truncated"
        )
    if len(data) < 2 * form.frame_bytes:
        raise RecordingError(
            f"{path}: {len(data) // form.frame_bytes} samples; expected at least 2; record longer"
        )
    rate = agreed_rate_hz(path, float(form.rate_hz), rate_hz, RATE_SLACK)
    count = chosen_axes(path, form.channels, axes)
    unit_mps2 = UNIT_MPS2[units]
    counts: I16 | None = None
    if (form.code, form.bits) == (PCM, 16):
        counts = np.frombuffer(data, "<i2").reshape(-1, form.channels)[:, :count].astype(np.int16)
    accel = _decode(data, form)[:, :count] * np.float64(unit_mps2)
    if (np.abs(accel) > MOST_MPS2).any():
        raise RecordingError(
            f"{path}: samples beyond {MOST_MPS2:g} m/s²; expected an acceleration; write it again"
        )
    return Recording(
        name=path.stem,
        rate_hz=rate,
        accel=accel.astype(np.float32),
        axis_names=DEFAULT_AXES[:count],
        counts=counts,
        scale_mps2=None if counts is None else unit_mps2 / 32768.0,
    )


def _chunks(path: Path, raw: bytes) -> tuple[_Format, memoryview]:
    """The format and the sample data of a RIFF file."""
    if len(raw) < 12 or raw[:4] != b"RIFF" or raw[8:12] != b"WAVE":
        raise RecordingError(
            f"{path}: {len(raw)} bytes that are no RIFF WAVE; expected a .wav file; check the file"
        )
    form: _Format | None = None
    at = 12
    while at + 8 <= len(raw):
        name, size = raw[at : at + 4], struct.unpack_from("<I", raw, at + 4)[0]
        at += 8
        if at + size > len(raw):
            raise RecordingError(
                f"{path}: chunk {name!r} of {size} bytes, {len(raw) - at} there; expected all; copy it again"
            )
        if name == b"fmt ":
            form = _parse_format(path, raw[at : at + size])
        if name == b"data":
            if form is None:
                raise RecordingError(
                    f"{path}: sample data before the format; expected 'fmt ' first; write it again"
                )
            return form, memoryview(raw)[at : at + size]
        at += size + size % 2
    missing = "fmt " if form is None else "data"
    raise RecordingError(
        f"{path}: no {missing!r} chunk; expected one; the file is truncated or not a recording"
    )


def _parse_format(path: Path, body: bytes) -> _Format:
    if len(body) < 16:
        raise RecordingError(
            f"{path}: format chunk of {len(body)} bytes; expected at least 16; write the file again"
        )
    code, channels, rate_hz, _, frame_bytes, bits = struct.unpack_from("<HHIIHH", body)
    if code == EXTENSIBLE and len(body) >= 26:
        code = struct.unpack_from("<H", body, 24)[0]
    return _Format(code, channels, rate_hz, frame_bytes, bits)


def _check_format(path: Path, form: _Format) -> None:
    if (form.code, form.bits) not in _SUPPORTED:
        raise RecordingError(
            f"{path}: WAV format {form.code} with {form.bits} bits; "
            "expected PCM of 8, 16, 24, 32 bits or float of 32, 64; convert it"
        )
    if form.channels == 0 or form.frame_bytes != form.channels * form.bits // 8:
        raise RecordingError(
            f"{path}: {form.channels} channels in frames of {form.frame_bytes} bytes; "
            f"expected {form.channels * form.bits // 8} bytes a frame, a channel or more; write it again"
        )


def _decode(data: memoryview, form: _Format) -> NDArray[np.float64]:
    """Samples as a share of full scale, shape (n, channels)."""
    if form.code == FLOAT:
        with np.errstate(invalid="ignore"):  # a signalling NaN is a missing sample like any other
            flat = np.frombuffer(data, f"<f{form.bits // 8}").astype(np.float64)
    elif form.bits == 8:
        flat = (np.frombuffer(data, np.uint8).astype(np.float64) - 128.0) / 128.0
    elif form.bits == 24:
        padded = np.zeros((len(data) // 3, 4), np.uint8)
        padded[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        flat = padded.view("<i4")[:, 0] / 2.0**31
    else:
        flat = np.frombuffer(data, f"<i{form.bits // 8}") / 2.0 ** (form.bits - 1)
    return flat.reshape(-1, form.channels)


def write_wav(path: Path, accel: F32, rate_hz: float, units: Units = "g") -> None:
    """Write accel, shape (n, axes), m/s², as 32-bit float WAV in `units`; rate_hz must be whole.

    Raises:
        RecordingError: WAV cannot hold this rate, or so much data.
    """
    if rate_hz != round(rate_hz):
        raise RecordingError(f"{path}: rate {rate_hz} Hz; WAV holds whole Hz only; write a .csv")
    data = (accel / np.float32(UNIT_MPS2[units])).astype("<f4").tobytes()
    if len(data) > MOST_BYTES:
        raise RecordingError(f"{path}: {len(data)} bytes; expected at most {MOST_BYTES}; split the recording")
    axes = accel.shape[1]
    form = struct.pack("<HHIIHHH", FLOAT, axes, round(rate_hz), round(rate_hz) * axes * 4, axes * 4, 32, 0)
    fact = struct.pack("<4sII", b"fact", 4, len(accel))
    head = struct.pack("<4sI", b"fmt ", len(form)) + form + fact + struct.pack("<4sI", b"data", len(data))
    path.write_bytes(struct.pack("<4sI4s", b"RIFF", 4 + len(head) + len(data), b"WAVE") + head + data)
