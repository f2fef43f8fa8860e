"""What the plant saw of a month without the broker against what the guard's stand-in told; see month.py."""

import json
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from appliance.priority import PRIORITY
from appliance.records import EventKind
from appliance.storage import Storage
from tools import delivery

MEMORY_MB = 35.0
GROWTH_MB = 3.0
WRITTEN_MB = Storage().written_mb_per_day
TELEMETRY = ("telemetry", "history")
ROUNDED_MS = 1.5


class Told(NamedTuple):
    """By the guard's stand-in: id of an event, number of a sample -> true time, ns."""

    events: dict[int, int]
    samples: dict[int, int]


class Seen(NamedTuple):
    """By the subscriber, in the order of coming."""

    suffix: str
    payload: dict[str, Any]

    @property
    def kind(self) -> str:
        """Of an event; "" of anything else."""
        return self.suffix.partition("event/")[2]

    @property
    def order(self) -> tuple[int, int]:
        """Of an event: its class, then its id."""
        return PRIORITY[EventKind(self.kind)], self.payload["id"]

    @property
    def number(self) -> int:
        """Of a sample: its score."""
        return int(self.payload["score"])


def proven(folder: Path) -> bool:
    """Print all counts; whether everything that must hold holds."""
    told = _told(folder / "told")
    before, after = ((folder / f"log-{part}").read_bytes().splitlines() for part in ("before", "after"))
    reports = [json.loads(line) for line in (folder / "reports").read_text().splitlines()]
    (device,) = delivery.seen([*before, *after]).values()
    print("tools/verify:", *device.lines(), sep="\n  ")
    seen, since = [_seen(line) for line in [*before, *after]], [_seen(line) for line in after]
    judged = (
        _events(told, seen, since),
        _samples(told, seen),
        _times(told, seen),
        _spent(reports),
    )
    return device.sound and all(judged)


def _told(file: Path) -> Told:
    told = Told({}, {})
    for line in file.read_text().splitlines():
        what, number, true_ns = line.split()
        (told.events if what == "event" else told.samples)[int(number)] = int(true_ns)
    return told


def _seen(line: bytes) -> Seen:
    topic, _, payload = line.partition(b" ")
    return Seen(delivery.split(topic.decode())[1], json.loads(payload))


def _events(told: Told, seen: list[Seen], since: list[Seen]) -> bool:
    """All came; those that had waited: trips, then alarms, then the rest, in each the oldest first."""
    came = {one.payload["id"] for one in seen if one.kind}
    late = list(dict.fromkeys(one.order for one in since if one.kind and one.payload["backfill"]))
    counts = [sum(class_ == n for class_, _ in late) for n in range(3)]
    ordered = late == sorted(late)
    print(
        f"events      accepted {len(told.events)}, delivered {len(came)}; late {counts[0]} trips, then "
        f"{counts[1]} alarms, then {counts[2]} others, {'in' if ordered else 'NOT in'} order"
    )
    return came == told.events.keys() and ordered and all(counts)


def _samples(told: Told, seen: list[Seen]) -> bool:
    """All came but the oldest that had waited, as many as the device says."""
    live, late = ([one.number for one in seen if one.suffix == name] for name in TELEMETRY)
    gone = told.samples.keys() - {*live, *late}
    evicted = [one.payload["evicted_telemetry"] for one in seen if one.suffix == "health"][-1]
    oldest, ordered = all(n < late[0] for n in gone), late == sorted(late)
    print(
        f"samples     told {len(told.samples)}, live {len(live)}, late {len(late)} "
        f"{'in' if ordered else 'NOT in'} order; missing {len(gone)}, {'' if oldest else 'NOT '}the oldest; "
        f"the device says that it evicted {evicted}"
    )
    return {*live, *late} <= told.samples.keys() and ordered and oldest and len(gone) == evicted > 0


def _times(told: Told, seen: list[Seen]) -> bool:
    """Each is as near to the truth as it says."""
    counts: Counter[str] = Counter()
    worst_ms = beyond = 0.0
    for one in seen:
        if not one.kind and one.suffix not in TELEMETRY:
            continue
        true_ns = told.events[one.payload["id"]] if one.kind else told.samples[one.number]
        quality = one.payload["tsq"]
        counts[quality + (", found out later" if "ts_device" in one.payload else "")] += 1
        if quality != "none":
            off_ms = abs(one.payload["ts"] - true_ns / 1e6)
            worst_ms = max(worst_ms, off_ms)
            beyond += off_ms > one.payload["ts_err_ms"] + ROUNDED_MS
    print(f"times       {dict(counts)}; worst error {worst_ms:.0f} ms, {beyond:.0f} beyond what was stated")
    return not beyond and any("later" in quality for quality in counts)


def _spent(reports: list[dict[str, Any]]) -> bool:
    """What was written a day, and the memory of the uplink."""
    *days, last = reports
    written_mb = [sum(day["written_mb"]) for day in days]
    memory_mb = [day["memory_mb"] for day in days]
    grown_mb, peak_mb = memory_mb[-1] - memory_mb[0], max(last["memory_mb"], *memory_mb)
    print(
        f"written     {min(written_mb):.1f} to {max(written_mb):.1f} MB a day by guard and uplink; "
        f"{sum(last['written_mb']):.1f} MB by the end of the last day, after all was told\n"
        f"memory      of the uplink {memory_mb[0]:.1f} MB on the first day, {memory_mb[-1]:.1f} MB on the "
        f"last, {peak_mb:.1f} MB at its peak"
    )
    return bool(0.0 < max(written_mb) <= WRITTEN_MB and grown_mb <= GROWTH_MB and peak_mb <= MEMORY_MB)
