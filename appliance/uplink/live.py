"""What the plant sees of the present: retained state, info and health."""

import statistics
import time

import msgspec

from appliance import __version__
from appliance.clock import BOOT, boottime_ns
from appliance.config import Config
from appliance.records import Event, GuardState
from appliance.uplink import host, payloads
from appliance.uplink.drain import Drain
from appliance.uplink.outbox import Outbox
from appliance.uplink.samples import Samples
from appliance.uplink.topics import Health, Info, State
from appliance.uplink.written import Written


class Live:
    """Turns the present into retained messages; keeps nothing on disk. Times are monotonic seconds.

    info, state: as last told; None before.
    """

    def __init__(self, config: Config, samples: Samples) -> None:
        self._config = config
        self._samples = samples
        self._written = Written(config.state_dir)
        self._began_s = time.monotonic()
        self._state: GuardState | None = None
        self.info: Info | None = None
        self.state: State | None = None
        self._retained: dict[str, bytes] = {}
        self._shown_state: tuple[object, ...] = ()
        self._shown_info: tuple[object, ...] = ()
        self._state_due_s = self._health_due_s = 0.0

    def hear(self, state: GuardState | None, now_s: float) -> None:
        """Take in the guard's latest state."""
        if self._state is None and state is not None:
            self._health_due_s = 0.0  # it can tell the head of the event log now
        self._state = state
        self._written.look(state, now_s)

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

    def _refresh_info(self) -> None:
        state = self._state
        shown = (
            state and {s.model for s in state.scores},
            state and {c.sensor for c in state.clocks},
            tuple(self._samples.keys),
        )
        if shown != self._shown_info:
            self._shown_info = shown
            now_ms = time.time_ns() // 1_000_000
            self.info = payloads.info(self._config, state, self._samples.keys, __version__, now_ms)
            self._retained["info"] = msgspec.json.encode(self.info)

    def _refresh_state(self, drain: Drain, outbox: Outbox, now_s: float) -> None:
        state = self._state
        if state is None:
            return
        channels = tuple((c.channel, c.level, c.ok, c.acknowledged, c.shelved) for c in state.channels)
        protection = (
            state.reasons,
            state.bypass,
            state.groups,
            state.multiplying,
            state.proof_test_due,
            state.relay_fault,
        )
        shown = (payloads.level(state), state.machine, state.relay_energised, channels, *protection)
        if shown != self._shown_state or now_s >= self._state_due_s:
            self._shown_state = shown
            self._state_due_s = now_s + self._config.uplink.state_period_s
            self.state = payloads.state_payload(state, drain.backlog(), _oldest_s(outbox))
            self._retained["state"] = msgspec.json.encode(self.state)

    def _health(self, drain: Drain, outbox: Outbox, reconnects: int, now_s: float) -> Health:
        times = sorted(self._samples.compute_ms)
        written = self._written.mb_per_day
        return Health(
            ts=time.time_ns() // 1_000_000,
            up_s=int(now_s - self._began_s),
            backlog=drain.backlog(),
            oldest_s=_oldest_s(outbox),
            backlog_history=self._samples.backlog,
            evicted_telemetry=self._samples.evicted,
            evicted_events=outbox.evicted(),
            refused=drain.refused + self._samples.refused,
            nobody_listening=drain.nobody_listening,
            reconnects=reconnects,
            infer_p50_ms=round(statistics.median(times), 3) if times else None,
            infer_p99_ms=round(times[int(0.99 * (len(times) - 1))], 3) if times else None,
            cpu_load=round(host.cpu_load(), 2),
            rss_mb=round(host.rss_mb(), 1),
            disk_free_mb=round(host.disk_free_mb(self._config.state_dir), 1),
            written_mb_per_day=_rounded(written),
            written_kb_per_event=_rounded(self._written.kb_per_event(self._state)),
            disk_written_mb_per_day=_rounded(self._written.disk_mb_per_day),
            over_write_budget=written is not None and written > self._config.storage.written_mb_per_day,
            log_seq=self._state.log_seq if self._state else None,
            log_sha256=(self._state.log_sha256 or None) if self._state else None,
        )


def _oldest_s(outbox: Outbox) -> int:
    """Age of the oldest event in the outbox, whole seconds; 0 where it is damaged. Of an earlier boot by the
    wall clock.
    """
    row = outbox.oldest()
    if row is None:
        return 0
    try:
        event = msgspec.json.decode(row.payload, type=Event)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return 0
    if event.boot == BOOT:
        return max(0, boottime_ns() - event.at_boot_ns) // 1_000_000_000
    return max(0, time.time_ns() - event.at_utc_ns) // 1_000_000_000


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
