"""Evidence for other tools: a WAV for each sensor, JSON of all the rest, the configuration."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from appliance.desk.evidence_file import Alarm
from appliance.errors import ApplianceError
from appliance.guard.trace import rack_of, steps_of
from appliance.records import Trace
from hw.evidence import Track
from hw.wav import write_wav
from hw.waveform import RecordingError


def write(alarm: Alarm, folder: Path) -> list[Path]:
    """Write `{sensor}.wav` (g), `alarm.json` and `config.toml`; the files. Raises ApplianceError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = [_wav(track, folder / f"{track.sensor}.wav") for track in alarm.tracks]
        for name, data in (("alarm.json", _json(alarm)), ("config.toml", alarm.config)):
            (folder / name).write_bytes(data)
            written.append(folder / name)
    except (OSError, RecordingError) as fault:
        raise ApplianceError(f"{folder}: {fault}; expected a folder that can be written") from fault
    return written


def _wav(track: Track, path: Path) -> Path:
    """A WAV holds whole Hz only, and no gaps: the rate as measured, and what is lost, is in the JSON."""
    accel = track.counts * np.float32(track.scale_mps2)
    write_wav(path, accel, float(round(track.rate_hz)))
    return path


def _json(alarm: Alarm) -> bytes:
    whole = {
        "head": alarm.meta,
        "waveform": [_figures(track) for track in alarm.tracks],
        "record": alarm.record,
        "trace": [_trace(alarm, trace) for trace in alarm.traces],
    }
    return msgspec.json.format(msgspec.json.encode(whole), indent=1)


def _figures(track: Track) -> dict[str, Any]:
    """All of a track but its samples."""
    names = () if track.blocks is None else track.blocks.dtype.names or ()
    return {
        "sensor": track.sensor,
        "samples": len(track.counts),
        "axes": track.axis_names,
        "scale_mps2": track.scale_mps2,
        "rate_hz": track.rate_hz,
        "t0_mono_ns": track.t0_mono_ns,
        "t0_utc_ns": track.t0_utc_ns,
        "lost": track.lost,
        "blocks": {} if track.blocks is None else {name: track.blocks[name].tolist() for name in names},
    }


def _trace(alarm: Alarm, trace: Trace) -> dict[str, Any]:
    try:
        steps = steps_of(trace)
        rack = rack_of(trace) if trace.snapshot else None
    except msgspec.DecodeError as fault:
        found = f"{alarm.path}: trace.msgpack: {fault}; expected a trace of this version"
        raise ApplianceError(f"{found}; export it with appliance {alarm.record.appliance}") from fault
    return {"seq": trace.seq, "steps": steps, "rack": rack.snapshot() if rack else None}
