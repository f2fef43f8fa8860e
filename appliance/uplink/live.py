"""What the plant sees of the present: retained state, info and health, and the stream of telemetry."""

import statistics
import time
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import groupby

import msgspec

from appliance import __version__
from appliance.config import Config
from appliance.records import Event, GuardState, QuantityReading, Score
from appliance.uplink import host, payloads
from appliance.uplink.drain import Drain
from appliance.uplink.outbox import Outbox
from appliance.uplink.topics import Health

_SAMPLES_KEPT = 60
_LIVE_S = 30.0
_TIMES_KEPT = 200


class Live:
    """Turns what the guard says into messages; keeps nothing on disk. Times are monotonic seconds.

    dropped: telemetry samples that grew too old, or too many, before they could be sent.
    """

    def __init__(self, config: Config, start: int) -> None:
        self._config = config
        self._next_id = start << 32
        self._began_s = time.monotonic()
        self._state: GuardState | None = None
        self._samples: deque[tuple[float, bytes]] = deque()
        self._sample_keys: dict[str, None] = {}
        self._told_ns: dict[str, int] = {}
        self._compute_ms: deque[float] = deque(maxlen=_TIMES_KEPT)
        self._retained: dict[str, bytes] = {}
        self._shown_state: tuple[object, ...] = ()
        self._shown_info: tuple[object, ...] = ()
        self._state_due_s = self._health_due_s = 0.0
        self.dropped = 0

    def hear(self, scores: Sequence[Score], state: GuardState | None, now_s: float) -> None:
        """Take in the guard's latest state and new scores."""
        if self._state is None:
            self._health_due_s = 0.0  # it can tell the head of the event log now
        self._state = state
        if state is None:
            return
        for score in scores:
            self._add(payloads.telemetry(score, state, self._new_id()), now_s)
            self._compute_ms.append(score.compute_ms)
        for readings in self._news(state):
            self._add(payloads.transmitted(readings, state, self._new_id()), now_s)
        while len(self._samples) > _SAMPLES_KEPT:
            self._samples.popleft()
            self.dropped += 1

    def _news(self, state: GuardState) -> Iterator[tuple[QuantityReading, ...]]:
        """What transmitters have said, or that one is lost, since the last state."""
        for sensor, group in groupby(state.quantities, lambda one: one.sensor):
            readings = tuple(group)
            at_ns = readings[0].at_mono_ns
            if at_ns and at_ns != self._told_ns.get(sensor):
                self._told_ns[sensor] = at_ns
                yield readings

    def _new_id(self) -> int:
        self._next_id += 1
        return self._next_id

    def _add(self, sample: dict[str, object], now_s: float) -> None:
        self._sample_keys |= dict.fromkeys(sample)
        self._samples.append((now_s, msgspec.json.encode(sample)))

    def connected(self) -> None:
        """A new connection: everything retained is told again."""
        self._retained.clear()
        self._shown_state = self._shown_info = ()
        self._health_due_s = 0.0

    def refresh(self, drain: Drain, outbox: Outbox, reconnects: int, now_s: float) -> None:
        """Make the retained messages that are due: on change, or because their period is over."""
        self._refresh_info()
        self._refresh_state(drain, outbox, now_s)
        if now_s >= self._health_due_s:
            self._health_due_s = now_s + self._config.uplink.health_period_s
            self._retained["health"] = msgspec.json.encode(self._health(drain, outbox, reconnects, now_s))

    def next_retained(self) -> tuple[str, bytes] | None:
        """Take out the next retained message: topic suffix and payload."""
        suffix = next(iter(self._retained), None)
        return None if suffix is None else (suffix, self._retained.pop(suffix))

    def next_sample(self, now_s: float) -> bytes | None:
        """Take out the next telemetry payload that is still live."""
        while self._samples:
            came_s, sample = self._samples.popleft()
            if now_s - came_s < _LIVE_S:
                return sample
            self.dropped += 1
        return None

    def _refresh_info(self) -> None:
        state = self._state
        shown = (
            state and {s.model for s in state.scores},
            state and {c.sensor for c in state.clocks},
            tuple(self._sample_keys),
        )
        if shown != self._shown_info:
            self._shown_info = shown
            now_ms = time.time_ns() // 1_000_000
            about = payloads.info(self._config, state, self._sample_keys, __version__, now_ms)
            self._retained["info"] = msgspec.json.encode(about)

    def _refresh_state(self, drain: Drain, outbox: Outbox, now_s: float) -> None:
        state = self._state
        if state is None:
            return
        channels = tuple((c.channel, c.level, c.ok, c.acknowledged, c.shelved) for c in state.channels)
        protection = (state.reasons, state.bypass, state.groups, state.multiplying, state.proof_test_due)
        shown = (payloads.level(state), state.machine, state.relay_energised, channels, *protection)
        if shown != self._shown_state or now_s >= self._state_due_s:
            self._shown_state = shown
            self._state_due_s = now_s + self._config.uplink.state_period_s
            payload = payloads.state_payload(state, drain.backlog(), _oldest_s(outbox))
            self._retained["state"] = msgspec.json.encode(payload)

    def _health(self, drain: Drain, outbox: Outbox, reconnects: int, now_s: float) -> Health:
        times = sorted(self._compute_ms)
        return Health(
            ts=time.time_ns() // 1_000_000,
            up_s=int(now_s - self._began_s),
            backlog=drain.backlog(),
            oldest_s=_oldest_s(outbox),
            evicted_telemetry=self.dropped,
            evicted_events=0,
            refused=drain.refused,
            nobody_listening=drain.nobody_listening,
            reconnects=reconnects,
            infer_p50_ms=round(statistics.median(times), 3) if times else None,
            infer_p99_ms=round(times[int(0.99 * (len(times) - 1))], 3) if times else None,
            cpu_load=round(host.cpu_load(), 2),
            rss_mb=round(host.rss_mb(), 1),
            disk_free_mb=round(host.disk_free_mb(self._config.state_dir), 1),
            log_seq=self._state.log_seq if self._state else None,
            log_sha256=(self._state.log_sha256 or None) if self._state else None,
        )


def _oldest_s(outbox: Outbox) -> int:
    """Age of the oldest event in the outbox, whole seconds; 0 where it is damaged."""
    row = outbox.oldest()
    if row is None:
        return 0
    try:
        event = msgspec.json.decode(row.payload, type=Event)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return 0
    return max(0, (time.time_ns() - event.at_utc_ns) // 1_000_000_000)
