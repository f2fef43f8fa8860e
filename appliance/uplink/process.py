"""The uplink process: one thread that drains the outbox to the broker and shows the machine's present state.

One turn of the loop: wait until a connection speaks or a part has something due; take in what came; send what
may leave. What joins the loop is a `Part` in `_Uplink._parts`.
"""

import logging
import math
import select
import threading
import time
from collections.abc import Callable
from typing import Protocol

import msgspec

from appliance.config import Config
from appliance.priority import HISTORY
from appliance.uplink import payloads
from appliance.uplink.anchors import Anchors
from appliance.uplink.broker import PACKET_TOO_LARGE, Broker
from appliance.uplink.commands import Commands
from appliance.uplink.drain import FIRST_ERROR, Drain
from appliance.uplink.feed import Feed
from appliance.uplink.history import History
from appliance.uplink.homeassistant import DISCOVERY, Discovery
from appliance.uplink.host import disk_free_mb
from appliance.uplink.live import Live
from appliance.uplink.outbox import Key, Outbox
from appliance.uplink.pace import Pace
from appliance.uplink.reasons import Lost, remedy
from appliance.uplink.samples import Samples
from appliance.uplink.sparkplug import Sparkplug
from appliance.uplink.sparkplug_backlog import Backlog

log = logging.getLogger(__name__)

_LONGEST_S = 4.0
_DISK_S = 5.0
_ALONE_S = 0.5
"""Without a guard nobody tells of new events: then the store is looked into this often."""


class Part(Protocol):
    """Something that the loop waits for."""

    @property
    def wants_write(self) -> bool:
        """Whether bytes wait for its socket to take them."""
        ...

    def fileno(self) -> int:
        """For select; -1 while there is no connection."""
        ...

    def patience_s(self, most_s: float) -> float:
        """How long the loop may wait on its account, at most `most_s`."""
        ...


def run(config: Config, stop: threading.Event, beat: Callable[[], None]) -> None:
    """Work until `stop` is set. `beat` is called once per turn of the loop.

    Raises:
        StoreError: the event store cannot be used. The process ends and is started again.
        ConfigError: the broker's password file, or one of TLS, cannot be used.
    """
    if not config.uplink.enabled:
        log.info("uplink.enabled is false: events stay on disk")
        while not stop.wait(_LONGEST_S):
            beat()
        return
    uplink = _Uplink(config)
    while not stop.is_set():
        uplink.turn()
        beat()
    uplink.close()


class _Uplink:
    """The parts of the process and their common turn."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._outbox = Outbox(config.store_path)
        self._pace = Pace(config.uplink.drain_rate_hz, config.uplink.spread_s)
        self._drain = Drain(self._outbox, config.uplink.settle_s, self._pace)
        self._anchors = Anchors(config.anchors_path)
        self._feed = Feed(config.socket_path)
        self._samples = Samples(
            self._outbox.start,
            History(config.history_path, config.storage.history_bytes),
            self._anchors,
            self._pace,
        )
        self._live = Live(config, self._samples)
        self._disk_s = 0.0
        self._away_since_s = -math.inf
        self._commands = Commands(config, self._feed, self._live.connected)
        self._broker = Broker(config, self._outbox.start, self._anchors, filters=self._commands.filters)
        self._discovery = Discovery(config)
        self._sparkplug = self._made_sparkplug() if config.uplink.sparkplug.enabled else None

    def turn(self) -> None:
        """One turn of the loop; 4 s at most."""
        ready = self._wait()
        now_s = time.monotonic()
        self._follow_store(now_s)
        self._anchors.look(now_s)
        fresh = self._samples.hear(self._feed.receive(now_s), self._feed.state, now_s)
        self._live.hear(self._feed.state, now_s)
        try:
            readable, writable = (self._broker.fileno() in fds for fds in ready)
            if self._broker.turn(readable=readable, writable=writable, now_s=now_s):
                self._pace.connected(now_s, now_s - self._away_since_s)
                self._drain.connected(now_s)
                self._samples.connected(now_s)
                self._live.connected()
                self._discovery.connected()
            if self._broker.connected:
                self._exchange(now_s)
        except Lost as fault:
            self._take_answers(now_s)
            if self._broker.connected:
                self._away_since_s = now_s
            self._broker.lost(fault, time.monotonic())
            self._samples.lost()
            self._commands.lost()
        self._samples.keep(now_s, connected=self._broker.connected)
        if self._sparkplug:
            readable, writable = (self._sparkplug.fileno() in fds for fds in ready)
            self._sparkplug.turn(readable=readable, writable=writable, now_s=now_s)
            self._sparkplug.hear(fresh, self._live.state, self._live.info, now_s)
        self._spare_disk(now_s)

    def _made_sparkplug(self) -> Sparkplug:
        options = self._config.uplink.sparkplug
        history = History(self._config.state_dir / "sparkplug.db", int(options.keep_mb * 1e6))
        backlog = Backlog(history, self._anchors, self._outbox.start)
        return Sparkplug(self._config, self._broker, backlog)

    def close(self) -> None:
        """Say `stopped` to the plant if it can be reached, and close everything."""
        if self._sparkplug:
            self._sparkplug.stop()
        self._broker.stop()
        self._samples.close()
        self._feed.close()
        self._outbox.close()

    @property
    def _parts(self) -> tuple[Part, ...]:
        return (self._broker, self._feed, *([self._sparkplug] if self._sparkplug else []))

    def _wait(self) -> tuple[list[int], list[int]]:
        """Returns the files that can be read and those that can be written."""
        connected = [part for part in self._parts if part.fileno() >= 0]
        writes = [part.fileno() for part in connected if part.wants_write]
        patience_s = self._commands.patience_s(_LONGEST_S if self._feed.fileno() >= 0 else _ALONE_S)
        if self._broker.connected and self._broker.room:
            now_s = time.monotonic()
            patience_s = self._drain.patience_s(patience_s, now_s)
            patience_s = self._samples.patience_s(patience_s, now_s)
        for part in self._parts:
            patience_s = part.patience_s(patience_s)
        readable, writable, _ = select.select([part.fileno() for part in connected], writes, [], patience_s)
        return readable, writable

    def _exchange(self, now_s: float) -> None:
        self._take_answers(now_s)
        self._drain.settle(self._broker.heard_s, now_s)
        self._live.refresh(self._drain, self._outbox, self._broker.reconnects, now_s)
        self._send_retained()
        self._discovery.exchange(self._broker, self._live.info, now_s)
        self._send_events(now_s)
        self._send_telemetry(now_s)
        self._send_spectra()
        self._commands.exchange(self._broker, self._outbox, now_s)

    def _send_retained(self) -> None:
        while self._broker.room and (retained := self._live.next_retained()):
            self._broker.publish(*retained)

    def _send_events(self, now_s: float) -> None:
        for row in self._drain.take(self._broker.room, now_s):
            refusal = self._broker.publish_event(row, late=self._drain.is_late(row.key))
            if refusal:
                self._drain.answered(row.key, refusal, now_s)

    def _send_telemetry(self, now_s: float) -> None:
        while self._broker.room and (sample := self._samples.next_live(now_s)):
            self._publish_sample("telemetry", *sample)
        while self._broker.room and not self._drain.late_left and (sample := self._samples.next_late(now_s)):
            self._publish_sample("history", *sample)

    def _publish_sample(self, suffix: str, key: Key, payload: bytes) -> None:
        if not self._broker.publish(suffix, payload, key):
            self._samples.answered(key, PACKET_TOO_LARGE, time.monotonic())

    def _send_spectra(self) -> None:
        spectra, state = self._feed.spectra, self._feed.state
        while self._broker.room and spectra and state:
            told = payloads.spectrum(spectra.popleft(), state)
            self._broker.publish("spectrum", msgspec.json.encode(told))

    def _take_answers(self, now_s: float) -> None:
        for key, reason in self._broker.answers():
            if key == DISCOVERY:
                self._discovery.answered(reason, now_s)
                continue
            if key[0] >= HISTORY:
                self._samples.answered(key, reason, now_s)
                continue
            if reason >= FIRST_ERROR:
                words = "broker: event %d refused with 0x%02x%s: kept, offered again later"
                log.warning(words, key[1], reason, remedy(reason))
            self._drain.answered(key, reason, now_s)

    def _spare_disk(self, now_s: float) -> None:
        """Where the disk runs full, history gives way before anybody else feels it."""
        if now_s < self._disk_s:
            return
        self._disk_s = now_s + _DISK_S
        lacking_mb = self._config.storage.reserve_mb - disk_free_mb(self._config.state_dir)
        if lacking_mb <= 0.0 or self._samples.give_way(int(lacking_mb * 1e6)):
            return
        if self._sparkplug:
            self._sparkplug.give_way(int(lacking_mb * 1e6))

    def _follow_store(self, now_s: float) -> None:
        """Change over to the file that the guard has begun after setting a damaged one aside."""
        if not self._outbox.replaced:
            return
        log.warning("the guard has begun a new event store: following it")
        self._outbox.close()
        self._outbox = Outbox(self._config.store_path)
        self._drain = Drain(self._outbox, self._config.uplink.settle_s, self._pace)
        self._drain.connected(now_s)
        self._broker.forget_events()
