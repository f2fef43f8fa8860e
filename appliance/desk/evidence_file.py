"""An evidence file of an alarm, opened: waveform, record, trace. Every fault names the file and the part."""

import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from appliance.analysis.alarm_record import ALARM, CONFIG, TRACE, AlarmRecord
from appliance.errors import ApplianceError
from appliance.records import Event, SampleBlock, Trace, Validity
from hw.evidence import Track
from hw.evidence_read import read_evidence
from hw.waveform import RecordingError


class Alarm(NamedTuple):
    """All that is known of an alarm. meta: what a list shows of it."""

    path: Path
    tracks: tuple[Track, ...]
    meta: dict[str, Any]
    record: AlarmRecord
    traces: tuple[Trace, ...]
    config: bytes

    @property
    def main(self) -> Event | None:
        """The event that the evidence is named after; None: it never came."""
        at_ns, channel = self.meta.get("at_mono_ns"), self.meta.get("channel")
        events = (one for one in self.record.events if one.evidence in self.record.names)
        return next((one for one in events if (one.at_mono_ns, one.channel) == (at_ns, channel)), None)


def holds_alarm(path: Path) -> bool:
    """Whether the file is evidence of an alarm, and not a plain recording."""
    try:
        with zipfile.ZipFile(path) as archive:
            return ALARM in archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return False


def read(path: Path) -> Alarm:
    """The evidence, its sums verified. Raises ApplianceError."""
    try:
        tracks, meta, members = read_evidence(path, sealed=True)
    except (RecordingError, OSError) as fault:
        raise ApplianceError(str(fault)) from fault
    missing = [name for name in (ALARM, TRACE, CONFIG) if name not in members]
    if missing:
        raise ApplianceError(
            f"{path}: no {missing[0]}; expected evidence of an alarm; `appliance score` reads it"
        )
    try:
        record = msgspec.json.decode(members[ALARM], type=AlarmRecord)
    except msgspec.DecodeError as fault:
        raise _foreign(path, ALARM, fault) from fault
    try:
        traces = msgspec.msgpack.decode(members[TRACE], type=tuple[Trace, ...])
    except msgspec.DecodeError as fault:
        raise _foreign(path, TRACE, fault) from fault
    return Alarm(path, tracks, meta, record, traces, members[CONFIG])


def blocks(track: Track) -> list[SampleBlock]:
    """The blocks of a sensor as the guard made them; none where the file does not say how they came."""
    if track.blocks is None:
        return []
    made, begin = [], 0
    for row in track.blocks:
        end = begin + int(row["n"])
        mean_counts = row["mean_counts"].tolist()
        made.append(
            SampleBlock(
                sensor=track.sensor,
                seq=int(row["seq"]),
                t0_mono_ns=int(row["t0_mono_ns"]),
                rate_hz=float(row["rate_hz"]),
                axes=track.counts.shape[1],
                scale_mps2=track.scale_mps2,
                counts=track.counts[begin:end].astype("<i2", copy=False).tobytes(),
                lost=int(row["lost"]),
                validity=Validity(int(row["validity"])),
                nominal_hz=float(row["nominal_hz"]),
                mean_counts=tuple(None if np.isnan(mean) else mean for mean in mean_counts),
            )
        )
        begin = end
    return made


def _foreign(path: Path, part: str, fault: Exception) -> ApplianceError:
    return ApplianceError(
        f"{path}: {part}: {fault}; expected evidence of this version; read it with the one that wrote it"
    )
