"""The plant's broker as the uplink sees it: back-off, birth and will, the window of unanswered messages."""

import logging
import math
import time
from collections.abc import Sequence

import msgspec

from appliance.config import Config
from appliance.errors import ApplianceError
from appliance.records import Event
from appliance.uplink import plant_link
from appliance.uplink.anchors import Anchors
from appliance.uplink.backoff import Backoff
from appliance.uplink.credentials import Credentials
from appliance.uplink.mqtt import Connection
from appliance.uplink.outbox import Key, Row
from appliance.uplink.packets import Received, TooLarge, Will
from appliance.uplink.payloads import cloud_event, event_payload
from appliance.uplink.reasons import Lost, Policy, remedy
from appliance.uplink.topics import TOPICS, Status, prefix

log = logging.getLogger(__name__)

PACKET_TOO_LARGE = 0x95
PAYLOAD_INVALID = 0x99
_FIRST_ERROR = 0x80
_PROVEN_S = 10.0
_STALL_S = 30.0
_SILENCES = 2
_FAREWELL_S = 0.8
_OVERFLOW_S = 60.0
_BRIEF_OFTEN = 3
_BRIEF_WORDS = "is there a second appliance with this machine.device, or a topic that the access list denies?"
_WILL_DELAY_S = 10


class Broker:
    """Keeps one connection to the broker.

    start: the start counter, so that a consumer recognises the will of an earlier run.
    anchors: true times for events from before the clock was right.
    filters: what to listen to, relative to the prefix, as `cmd/+`; `received` gives what comes.
    Times are monotonic seconds.

    Raises:
        ConfigError: the password file or one of TLS cannot be used.
    """

    def __init__(
        self, config: Config, start: int, anchors: Anchors | None = None, *, filters: Sequence[str] = ()
    ) -> None:
        self._config = config.uplink
        self._run_dir = config.run_dir
        self._credentials = Credentials(config.uplink)
        self._credentials.read()
        self._device = config.machine.device
        self._prefix = prefix(config.machine)
        self._start = start
        self._anchors = anchors or Anchors(config.anchors_path)
        self._filters = [f"{self._prefix}/{one}" for one in filters]
        self._backoff = Backoff(self._config.backoff_s, self._config.backoff_max_s)
        self._connection: Connection | None = None
        self._version5 = True
        self._silences = 0
        self._attempt_s = time.monotonic() + self._backoff.first_s()
        self._expiry = ""
        self._brief = 0
        self._overflow_told_s = -math.inf
        self._refused_with: tuple[int, ...] | None = None
        self._ready_s = 0.0
        self._unanswered: dict[int, tuple[float, Key | None]] = {}
        self._decode = msgspec.json.Decoder(Event).decode
        self._connections = 0

    @property
    def reconnects(self) -> int:
        """How many connections were made after the first."""
        return max(0, self._connections - 1)

    @property
    def connected(self) -> bool:
        """Whether the broker has said yes."""
        return self._connection is not None and self._connection.ready

    @property
    def wants_write(self) -> bool:
        """Whether bytes wait for the socket to take them."""
        return self._connection is not None and self._connection.wants_write

    @property
    def room(self) -> int:
        """Messages that may leave now: the window is refilled one for one."""
        return self._connection.window - len(self._unanswered) if self._connection else 0

    @property
    def spare(self) -> int:
        """Messages that may leave without being in the way of others: half of the window stays free."""
        return self.room - self._connection.window // 2 if self._connection else 0

    @property
    def version5(self) -> bool:
        """Whether the connection speaks MQTT 5."""
        return self._connection is not None and self._connection.version5

    @property
    def heard_s(self) -> float:
        """When the broker last spoke."""
        return self._connection.heard_s if self._connection else -math.inf

    def fileno(self) -> int:
        """For select; -1 while there is no connection."""
        return self._connection.fileno() if self._connection else -1

    def patience_s(self, most_s: float) -> float:
        """How long the loop may wait: until the next attempt, at most `most_s`."""
        if self._connection:
            return self._connection.patience_s(most_s)
        return min(most_s, max(0.0, self._attempt_s - time.monotonic()))

    def turn(self, *, readable: bool, writable: bool, now_s: float) -> bool:
        """Move the connection on, or attempt one when due; True if it has just become ready. Raises Lost."""
        if self._connection is None:
            changed = self._refused_with and self._refused_with != self._credentials.stamp()
            if changed or now_s >= self._attempt_s:
                self._connect()
            return False
        was_ready = self._connection.ready
        self._connection.turn(readable=readable, writable=writable)
        if self._connection.ready and not was_ready:
            self._welcome(now_s)
            return True
        while self._connection.deaf:
            log.warning(
                "broker: may not listen to %s (0x%02x); see its access list", *self._connection.deaf.pop()
            )
        oldest = next(iter(self._unanswered.values()), None)
        if oldest and now_s - oldest[0] > _STALL_S:
            raise Lost(f"no PUBACK for {_STALL_S:.0f} s")
        return False

    def lost(self, fault: Lost, now_s: float) -> None:
        """Give the connection up and plan the next attempt."""
        words, at_once = str(fault), False
        if self._connection:
            if self._connection.ready and now_s - self._ready_s >= _PROVEN_S:
                self._backoff.reset()
                self._brief = 0
            elif self._connection.ready:
                self._brief += 1
            self._version5 = not self._refuses_version5(self._connection)
            at_once = not self._version5
            self._connection.close()
            self._connection = None
        wait_s = 0.0 if at_once else self._backoff.next_s(fault.policy)
        self._unanswered.clear()
        self._attempt_s = now_s + wait_s
        self._refused_with = self._credentials.stamp() if fault.policy is Policy.NEEDS_CHANGE else None
        if self._brief >= _BRIEF_OFTEN:  # Mosquitto 2.0 does not say why
            words += f"; {self._brief} times in a row, soon after it began: {_BRIEF_WORDS}"
        self._tell(words, connected=False)
        log.warning("broker: %s; next attempt in %.1f s", words, wait_s)

    def publish(self, suffix: str, payload: bytes, key: Key | None = None) -> int:
        """Send what is not in the outbox. Raises Lost.

        key: stands in `answers` once it is answered; None: nobody asks.
        Returns what `waits_for` takes; 0: it is too large, dropped and logged.
        """
        try:
            return self._send(suffix, payload, key, [])
        except TooLarge as fault:
            log.warning("not sent: %s", fault)
            return 0

    def announce(self, topic: str, payload: bytes, key: Key) -> None:
        """Send a retained message outside the contract's topics; an empty one withdraws it. Raises Lost.

        key: stands in `answers` once it is answered.
        """
        if self._connection is None:
            raise Lost("no connection")
        try:
            mid = self._connection.publish(topic, payload, retain=True)
        except TooLarge as fault:
            log.warning("not sent: %s", fault)
            return
        self._unanswered[mid] = (time.monotonic(), key)

    def waits_for(self, mid: int) -> bool:
        """Whether the broker has not answered this message on this connection yet."""
        return mid in self._unanswered

    def most_bytes(self, suffix: str) -> int:
        """Largest payload under `suffix` that the broker takes."""
        return self._connection.most_bytes(f"{self._prefix}/{suffix}") if self._connection else 0

    def birth(self) -> None:
        """Tell that the appliance is there. Raises Lost."""
        self.publish("status", self._status(online=True, reason="connected"))

    def answer(
        self, topic: str, payload: bytes, *, qos: int = 1, correlation: bytes | None, expiry_s: int
    ) -> None:
        """Send to a topic that somebody named as Response Topic; what cannot be is logged. Raises Lost."""
        if self._connection is None:
            raise Lost("no connection")
        try:
            mid = self._connection.publish(
                topic, payload, retain=False, qos=qos, expiry_s=expiry_s, correlation=correlation
            )
        except (TooLarge, ValueError) as fault:
            log.warning("not answered: %s: %s", topic, fault)
            return
        self._unanswered[mid] = (time.monotonic(), None)

    def received(self) -> list[Received]:
        """Take out what came under `filters`, oldest first, 200 at most; more than that was dropped."""
        if self._connection is None:
            return []
        found = list(self._connection.received)
        self._connection.received.clear()
        if self._connection.overflow and time.monotonic() - self._overflow_told_s > _OVERFLOW_S:
            log.warning("broker: %d messages came too fast and were dropped", self._connection.overflow)
            self._connection.overflow = 0
            self._overflow_told_s = time.monotonic()
        return found

    def publish_event(self, row: Row, *, late: bool, again: bool = False) -> int:
        """Send an event; 0, or the reason code why it cannot be sent to this broker. Raises Lost.

        again: it has left the outbox; its PUBACK changes nothing.
        """
        try:
            event = self._decode(row.payload)
        except (msgspec.DecodeError, UnicodeDecodeError) as fault:
            log.warning("not sent: event %d is damaged in the store: %s", row.key[1], fault)
            return PAYLOAD_INVALID
        when = self._anchors.told(
            event.boot, event.at_boot_ns, event.at_utc_ns, event.time_quality, event.time_error_ms
        )
        told = event_payload(event, backfill=late, when=when)
        try:
            key = None if again else row.key
            attributes = cloud_event(event, self._prefix, told.ts)
            self._send(f"event/{event.kind.value}", msgspec.json.encode(told), key, attributes)
        except TooLarge as fault:
            log.warning("not sent: %s", fault)
            return PACKET_TOO_LARGE
        return 0

    def answers(self) -> list[tuple[Key, int]]:
        """Take out the PUBACKs of events: (key, reason code)."""
        found: list[tuple[Key, int]] = []
        while self._connection and self._connection.answers:
            mid, reason = self._connection.answers.popleft()
            _, key = self._unanswered.pop(mid, (0.0, None))
            if key:
                found.append((key, reason))
            elif reason >= _FIRST_ERROR:
                log.warning("broker: a message was refused with 0x%02x%s", reason, remedy(reason))
        return found

    def forget_events(self) -> None:
        """PUBACKs still to come belong to a store that has been set aside."""
        self._unanswered = {mid: (at, None) for mid, (at, _) in self._unanswered.items()}

    def stop(self) -> None:
        """Tell the plant that this stop is meant, if it listens within a moment, and disconnect."""
        if self._connection is None:
            return
        try:
            if self.connected and self._settled():
                self.publish("status", self._status(online=False, reason="stopped"))
                self._settled()
            self._connection.disconnect()
        except Lost:
            self._connection.close()
        self._connection = None

    def _refuses_version5(self, connection: Connection) -> bool:
        """MQTT 5 is offered first, always; 3.1.1 follows where 5 was refused, or met with silence again."""
        if not connection.version5:
            return False
        self._silences = 0 if connection.ready else self._silences + connection.silent
        return connection.version_refused or (connection.silent and self._silences >= _SILENCES)

    def _connect(self) -> None:
        will = Will(
            f"{self._prefix}/status", self._status(online=False, reason="lost"), delay_s=_WILL_DELAY_S
        )
        try:
            shown = self._credentials.read()
            self._expiry = self._credentials.expiry()
        except ApplianceError as fault:
            raise Lost(str(fault), Policy.NEEDS_CHANGE) from fault
        self._connection = Connection(self._config, self._device, will, shown=shown, version5=self._version5)

    def _tell(self, words: str, *, connected: bool) -> None:
        try:
            plant_link.tell(self._run_dir, words, connected=connected)
        except OSError as fault:
            log.warning("`appliance status` cannot know: %s", fault)

    def _welcome(self, now_s: float) -> None:
        self._ready_s = now_s
        self._connections += 1
        if self._connection and self._filters:
            self._connection.subscribe(self._filters)
        self.birth()
        version = "5" if self._version5 else "3.1.1, where a refused event looks delivered"
        words = f"{self._config.host}:{self._config.port} with MQTT {version}{self._expiry}"
        self._tell(words, connected=True)
        log.info("broker: connected to %s", words)

    def _settled(self) -> bool:
        """Wait a moment until nothing is unanswered."""
        end_s = time.monotonic() + _FAREWELL_S
        while self._connection and self._unanswered and time.monotonic() < end_s:
            self._connection.turn(readable=True, writable=True)
            self.answers()
            time.sleep(0.005)
        return not self._unanswered

    def _send(self, suffix: str, payload: bytes, key: Key | None, attributes: list[tuple[str, str]]) -> int:
        if self._connection is None:
            raise Lost("no connection")
        topic = TOPICS[suffix]
        mid = self._connection.publish(
            f"{self._prefix}/{suffix}",
            payload,
            retain=topic.retain,
            expiry_s=topic.expiry_s,
            attributes=attributes,
            content_type=topic.content_type,
        )
        self._unanswered[mid] = (time.monotonic(), key)
        return mid

    def _status(self, *, online: bool, reason: str) -> bytes:
        status = Status(online=online, start=self._start, reason=reason)  # type: ignore[arg-type]
        return msgspec.json.encode(status)
