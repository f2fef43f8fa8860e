"""Recordings: CSV, WAV and the appliance's own evidence, read into one type."""

from pathlib import Path

from hw import evidence_read
from hw.csvfile import read_csv
from hw.wav import read_wav
from hw.waveform import Gap, Recording, RecordingError, Units

__all__ = ["SUFFIXES", "Gap", "Recording", "RecordingError", "Units", "load"]

SUFFIXES = (".wav", ".csv", ".txt", ".tsv", ".npz")


def load(
    path: Path,
    rate_hz: float | None = None,
    units: Units = "g",
    axes: int | None = None,
    sensor: str | None = None,
) -> Recording:
    """Read a recording; the suffix says what it is. The rules of each format are in docs/RECORDINGS.md.

    Args:
        path: a file with one of SUFFIXES.
        rate_hz: samples per second, needed where the file does not say; must agree where it does.
        units: of the numbers in the file, where it does not say. Evidence knows its own.
        axes: how many axes to take, 1 to 3; None = all.
        sensor: which sensor of an evidence file that holds several.

    Raises:
        RecordingError: whatever is wrong with the file, with line and column where there are any.
    """
    suffix = path.suffix.lower()
    try:
        if suffix == ".wav":
            return read_wav(path, rate_hz, units, axes)
        if suffix in {".csv", ".txt", ".tsv"}:
            return read_csv(path, rate_hz, units, axes)
        if suffix == ".npz":
            return evidence_read.recording(path, rate_hz, axes, sensor)
    except OSError as fault:
        raise RecordingError(
            f"{path}: {fault.strerror}; expected a readable recording; check the path"
        ) from fault
    raise RecordingError(
        f"{path}: suffix {suffix!r}; expected one of {', '.join(SUFFIXES)}; rename or convert it"
    )
