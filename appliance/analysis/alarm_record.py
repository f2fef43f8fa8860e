"""What evidence holds beside the waveform. docs/RECORDINGS.md describes the file."""

import msgspec

from appliance.records import Event, GuardState, Score, TemperatureReading

ALARM, TRACE, CONFIG = "alarm.json", "trace.msgpack", "config.toml"
"""Files inside an evidence file: an AlarmRecord, a list of Trace, the configuration as it was written."""


class ModelRecord(msgspec.Struct, frozen=True):
    """The model of one sensor. features: names, in the order of WindowRecord.features."""

    sensor: str
    id: str
    sha256: str
    features: tuple[str, ...]


class WindowRecord(msgspec.Struct, frozen=True):
    """One window as it was judged. features: none where the window was not usable."""

    score: Score
    features: tuple[float, ...] = ()


class AlarmRecord(msgspec.Struct, frozen=True):
    """One alarm, or several of the same second.

    names: as events call this evidence. at_mono_ns: of the first. states: what the guard said of itself once
    a second: relay, channels, clocks, transmitters. events: every one of these seconds.
    """

    names: tuple[str, ...]
    at_mono_ns: int
    pre_s: float
    post_s: float
    appliance: str
    config_sha256: str
    models: tuple[ModelRecord, ...] = ()
    windows: tuple[WindowRecord, ...] = ()
    temperatures: tuple[TemperatureReading, ...] = ()
    states: tuple[GuardState, ...] = ()
    events: tuple[Event, ...] = ()
