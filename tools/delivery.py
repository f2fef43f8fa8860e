"""Proves from what a subscriber has seen that nothing was lost and nothing told twice; run by tools/verify.

A line of the log is a topic, a blank and the payload, as `mosquitto_sub -v -t 'pdm/#'` writes it. What is
counted, for each device:

* repeated: an id seen again with the same content, which a consumer drops. Another content is a fault.
* missing: holes in `seq` between the first and the last event; of telemetry, holes in the ids of a start.
* given up: as many as the device says that it evicted (`health.evicted_…`); skipped: where `seq` jumps to the
  next thousand beside a `store.damaged`. The rest is lost.
"""

import itertools
import operator
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

STAMPS = ("backfill", "ts", "tsq", "ts_err_ms", "ts_device")
"""May differ where an event is told again."""
SEQ_GAP = 1000
_WITHDRAWN = b"(null)"
"""How `mosquitto_sub` prints the empty payload that takes a retained message back."""
_WHOLE = {"id", "seq", "evicted_events", "evicted_telemetry"}


@dataclass
class Device:
    """What was seen of one device."""

    events: dict[int, int] = field(default_factory=dict)
    contents: dict[int, int] = field(default_factory=dict)
    samples: set[int] = field(default_factory=set)
    damages: set[int] = field(default_factory=set)
    repeated: int = 0
    repeated_samples: int = 0
    differing: int = 0
    health: list[dict[str, Any]] = field(default_factory=list)

    def take(self, suffix: str, payload: dict[str, Any]) -> None:
        if suffix == "health":
            self.health = [*self.health[:1], payload]
        elif suffix in ("telemetry", "history"):
            self.repeated_samples += payload["id"] in self.samples
            self.samples.add(payload["id"])
        else:
            self._event(payload)

    def _event(self, payload: dict[str, Any]) -> None:
        content = hash(msgspec.json.encode({k: v for k, v in payload.items() if k not in STAMPS}))
        if payload["id"] in self.events:
            self.repeated += 1
            self.differing += self.contents[payload["id"]] != content
        self.events[payload["id"]] = payload["seq"]
        self.contents[payload["id"]] = content
        if payload["type"] == "store.damaged":
            self.damages.add(payload["seq"])

    @property
    def whole(self) -> bool:
        """Whether the log goes back to the device's first event."""
        return 1 in self.events.values()

    def missing(self) -> tuple[int, int]:
        """Events of which there is a hole in seq: unexplained, and skipped after damage."""
        seqs = sorted(set(self.events.values()))
        skipped = total = 0
        for before, after in itertools.pairwise(seqs):
            hole = after - before - 1
            total += hole
            jump = -(-before // SEQ_GAP) * SEQ_GAP - before  # damage: seq went on behind the next thousand
            if 0 < jump <= hole and any(0 < seq - before - jump <= 10 for seq in self.damages):
                skipped += jump
        return total - skipped, skipped

    def reused(self) -> int:
        """Events that share their seq with another id."""
        return len(self.events) - len(set(self.events.values()))

    def missing_samples(self) -> int:
        starts: dict[int, list[int]] = {}
        for id_ in self.samples:
            starts.setdefault(id_ >> 32, []).append(id_ & 0xFFFFFFFF)
        first = 0 if self.whole or not starts else min(starts[min(starts)]) - 1
        return sum(max(ns) - len(ns) for ns in starts.values()) - first

    def given_up(self, key: str) -> int:
        """By the device's own count, while the log was written."""
        first = 0 if self.whole or not self.health else self.health[0].get(key, 0)
        return int(self.health[-1].get(key, 0) - first) if self.health else 0

    @property
    def lost(self) -> int:
        return max(0, self.missing()[0] - self.given_up("evicted_events"))

    @property
    def lost_samples(self) -> int:
        return max(0, self.missing_samples() - self.given_up("evicted_telemetry"))

    @property
    def sound(self) -> bool:
        return not (self.lost or self.lost_samples or self.differing or self.reused())

    def lines(self) -> Iterator[str]:
        seqs = self.events.values()
        missing, skipped = self.missing()
        span = f", seq {min(seqs)} to {max(seqs)}" if seqs else ""
        yield f"events      {len(self.events)}{span}"
        alike = self.repeated - self.differing
        yield f"repeated    {self.repeated}  (by their id, {alike} with the same content)"
        gone = self.given_up("evicted_events")
        yield f"missing     {missing}  (the device gave up {gone}), skipped {skipped}"
        yield f"seq reused  {self.reused()}"
        yield f"lost        {self.lost}"
        yield f"samples     {len(self.samples)}, repeated {self.repeated_samples}"
        yield (
            f"missing     {self.missing_samples()} samples "
            f"(the device gave up {self.given_up('evicted_telemetry')})"
        )
        yield f"lost        {self.lost_samples} samples"


def seen(log: Iterable[bytes]) -> dict[str, Device]:
    """Prefix of each device -> what was seen of it. Raises ValueError on a line that is none of a log."""
    devices: dict[str, Device] = {}
    for number, line in enumerate(log, 1):
        topic, _, payload = line.rstrip(b"\n").partition(b" ")
        prefix, suffix = split(topic.decode("utf-8", "replace"))
        if not suffix or payload == _WITHDRAWN:
            continue
        try:
            content = msgspec.json.decode(payload, type=dict[str, Any])
            for key in _WHOLE & content.keys():
                operator.index(content[key])
            devices.setdefault(prefix, Device()).take(suffix, content)
        except (msgspec.DecodeError, KeyError, TypeError, AttributeError) as fault:
            raise ValueError(
                f"line {number}: {fault!r}; expected a topic, a blank and its JSON payload, as "
                "`mosquitto_sub -v -t 'pdm/#'` writes them"
            ) from fault
    return devices


def split(topic: str) -> tuple[str, str]:
    """Prefix of the device, and the suffix if it is one that counts."""
    prefix, _, last = topic.rpartition("/")
    if prefix.endswith("/event"):
        return prefix.removesuffix("/event"), f"event/{last}"
    return (prefix, last) if last in ("health", "telemetry", "history") else (prefix, "")


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: tools/verify LOG   (a file written by `mosquitto_sub -v -t 'pdm/#'`)", file=sys.stderr)
        return 2
    try:
        with open(arguments[0], "rb") as log:
            devices = seen(log)
    except (OSError, ValueError) as fault:
        print(f"{arguments[0]}: {fault}", file=sys.stderr)
        return 2
    for prefix, device in devices.items():
        print(prefix, *device.lines(), sep="\n  ")
    if not any(device.events or device.samples for device in devices.values()):
        print(f"{arguments[0]}: no events in it; is the subscription `pdm/#`?", file=sys.stderr)
        return 2
    sound = all(device.sound for device in devices.values())
    print("0 lost, 0 told twice" if sound else "NOT PROVEN: see above")
    return int(not sound)
