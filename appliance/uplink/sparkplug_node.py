"""One Sparkplug edge node: what each metric is, and every message in its order. Pure: no clock, no socket.

The node is the appliance, each sensor a device of it. A metric or device that no birth has told makes births
due, because a DATA message may only carry what was born. Source: Sparkplug 3.0.0; docs/SPARKPLUG.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from appliance.uplink.sparkplug_codec import DataType, Metric, Value, encode

REBIRTH = "Node Control/Rebirth"
MOST_SAMPLES = 20
"""In one message of the past."""

_NODE = ""
_NULLABLE = {
    "since": DataType.DATETIME,
    "bypass_until": DataType.DATETIME,
    "bypass_who": DataType.STRING,
    "bypass_why": DataType.STRING,
}
"""What is unknown at times and is no float."""

Values = Mapping[str, Value | None]


class Message(NamedTuple):
    """To be published with QoS 0, not retained."""

    topic: str
    payload: bytes


class Sample(NamedTuple):
    """What a device said at one time, UTC milliseconds."""

    device: str
    at_ms: int
    values: Values


@dataclass(slots=True)
class _Tag:
    alias: int
    datatype: DataType
    value: Value | None
    at_ms: int


class Node:
    """The edge node `edge` of `group`. Times are UTC milliseconds.

    births_due: births must be published before anything else is.
    units: of metrics of devices, by name; told in births.
    tell_datatype: whether DATA messages repeat the data types of the births.
    """

    def __init__(self, group: str, edge: str, *, tell_datatype: bool) -> None:
        self._group = group
        self._edge = edge
        self._tell_datatype = tell_datatype
        self._tags: dict[str, dict[str, _Tag]] = {_NODE: {}}
        self._aliases = 0
        self._alive: set[str] = {_NODE}
        self._seq = 0
        self.births_due = True
        self.units: Mapping[str, str] = {}

    @property
    def devices(self) -> list[str]:
        """Those that are alive, in the order of their first sample."""
        return [device for device in self._tags if device and device in self._alive]

    def death(self, bdseq: int, now_ms: int) -> Message:
        """The NDEATH that belongs to the births with this bdSeq; births are due after it."""
        self.births_due = True
        metric = Metric("bdSeq", DataType.INT64, bdseq, now_ms)
        return Message(self._topic("NDEATH"), encode(now_ms, [metric], None))

    def births(self, bdseq: int, now_ms: int) -> list[Message]:
        """NBIRTH and the DBIRTH of each device that is alive."""
        self.births_due = False
        self._seq = 0
        first = [
            Metric("bdSeq", DataType.INT64, bdseq, now_ms, alias=0),
            Metric(REBIRTH, DataType.BOOLEAN, value=False, at_ms=now_ms),
        ]
        node = self._message("NBIRTH", _NODE, [*first, *self._born(_NODE, now_ms)], now_ms)
        born = [(device, self._born(device, now_ms)) for device in self.devices]
        return [node, *(self._message("DBIRTH", device, metrics, now_ms) for device, metrics in born)]

    def state(self, values: Values, at_ms: int, now_ms: int) -> list[Message]:
        """What holds for the whole appliance since `at_ms`: an NDATA with what has changed, or nothing."""
        return self._news(Sample(_NODE, at_ms, values), now_ms)

    def sample(self, sample: Sample, now_ms: int) -> list[Message]:
        """What a device says now: a DDATA with what has changed, or nothing."""
        if sample.device not in self._alive:
            self._alive.add(sample.device)
            self.births_due = True
        return self._news(sample, now_ms)

    def dead(self, device: str, now_ms: int) -> list[Message]:
        """The DDEATH of a device that has become silent, if it was alive."""
        if device not in self._alive:
            return []
        self._alive.discard(device)
        return [] if self.births_due else [self._message("DDEATH", device, [], now_ms)]

    def past(self, samples: Sequence[Sample], now_ms: int) -> list[Message]:
        """What devices said before, as DDATA with `is_historical`; nothing while births are due.

        samples: at most MOST_SAMPLES go into one message.
        """
        for sample in samples:
            if sample.device not in self._alive:
                self._alive.add(sample.device)
                self.births_due = True
            for name, value in sample.values.items():
                self._tag(sample.device, name, value)
        if self.births_due:
            return []
        messages: list[Message] = []
        for device in dict.fromkeys(sample.device for sample in samples):
            mine = [sample for sample in samples if sample.device == device]
            for first in range(0, len(mine), MOST_SAMPLES):
                told = [one for sample in mine[first : first + MOST_SAMPLES] for one in self._told(sample)]
                messages.append(self._message("DDATA", device, told, now_ms))
        return messages

    def _news(self, sample: Sample, now_ms: int) -> list[Message]:
        changed: list[str] = []
        for name, value in sample.values.items():
            tag = self._tag(sample.device, name, value)
            if tag.value != value:
                changed.append(name)
            tag.value, tag.at_ms = value, sample.at_ms
        if self.births_due or not changed:
            return []
        told = self._told(sample, changed, historical=False)
        return [self._message("DDATA" if sample.device else "NDATA", sample.device, told, now_ms)]

    def _tag(self, device: str, name: str, value: Value | None) -> _Tag:
        """The metric of this name; births are due where it is new. A new one is null until it is told."""
        tags = self._tags.setdefault(device, {})
        if name not in tags:
            self._aliases += 1
            tags[name] = _Tag(self._aliases, _datatype(name, value), None, 0)
            self.births_due = True
        return tags[name]

    def _born(self, device: str, now_ms: int) -> list[Metric]:
        units = self.units if device else {}
        return [
            Metric(name, tag.datatype, tag.value, tag.at_ms or now_ms, tag.alias, units.get(name, ""))
            for name, tag in self._tags[device].items()
        ]

    def _told(
        self, sample: Sample, names: Iterable[str] | None = None, *, historical: bool = True
    ) -> list[Metric]:
        tags = self._tags[sample.device]
        return [
            Metric(
                "",
                tags[name].datatype,
                sample.values[name],
                sample.at_ms,
                tags[name].alias,
                historical=historical,
                tell_datatype=self._tell_datatype,
            )
            for name in (sample.values if names is None else names)
        ]

    def _message(self, kind: str, device: str, metrics: Sequence[Metric], now_ms: int) -> Message:
        payload = encode(now_ms, metrics, self._seq)
        self._seq = (self._seq + 1) % 256
        return Message(self._topic(kind, device), payload)

    def _topic(self, kind: str, device: str = _NODE) -> str:
        return f"spBv1.0/{self._group}/{kind}/{self._edge}" + (f"/{device}" if device else "")


def _datatype(name: str, value: Value | None) -> DataType:
    if name in _NULLABLE:
        return _NULLABLE[name]
    match value:
        case bool():
            return DataType.BOOLEAN
        case int():
            return DataType.INT64
        case str():
            return DataType.STRING
        case _:
            return DataType.DOUBLE
