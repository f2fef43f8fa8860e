"""The appliance as a Sparkplug B 3.0 edge node, on an MQTT connection of its own: a connection has one will,
and the JSON topics need it too. Events go out on that other one, with QoS 1, in any case.
"""

import contextlib
import logging
import math
import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from appliance import disk
from appliance.config import Config
from appliance.errors import ConfigError
from appliance.uplink.backoff import Backoff
from appliance.uplink.barrier import Barrier
from appliance.uplink.broker import Broker
from appliance.uplink.credentials import Credentials
from appliance.uplink.mqtt import Connection
from appliance.uplink.packets import Received, TooLarge, Will
from appliance.uplink.primary_host import PrimaryHost
from appliance.uplink.reasons import Lost, Policy
from appliance.uplink.sparkplug_backlog import Backlog
from appliance.uplink.sparkplug_codec import Value, wishes
from appliance.uplink.sparkplug_node import REBIRTH, Message, Node, Sample
from appliance.uplink.topics import Info, State, prefix

log = logging.getLogger(__name__)

_REBIRTH_S = 1.0
_PAST_S = 0.2
_PROVEN_S = 10.0
_SILENT_S = 10.0
_PROTOBUF = "application/x-protobuf"
_NOT_METRICS = {"v", "id", "ts", "backfill", "sensor"}
_AT_TIMES = ("since", "bypass_who", "bypass_why", "bypass_until")
"""Keys of `state` that come and go; a metric is null instead."""


def next_bdseq(file: Path) -> int:
    """The bdSeq of the next CONNECT, 0–255, counted on disk; 0 where nothing was counted yet."""
    try:
        bdseq = (int(file.read_text("ascii")) + 1) % 256
    except (OSError, ValueError):
        bdseq = 0
    disk.replace(file, b"%d" % bdseq)
    return bdseq


class Sparkplug:
    """One edge node, with a device for each sensor. Times are monotonic seconds.

    broker: the other connection. This one is attempted while that one stands, with the same MQTT version.
    backlog: closed by `stop`.
    """

    def __init__(self, config: Config, broker: Broker, backlog: Backlog) -> None:
        options, site = config.uplink.sparkplug, config.machine
        group = options.group or site.site
        self._config = config
        self._broker = broker
        self._node = Node(group, site.device, tell_datatype=options.datatype_in_data)
        self._host = PrimaryHost(options.primary_host)
        self._backlog = backlog
        self._barrier = Barrier(backlog)
        self._commands = f"spBv1.0/{group}/NCMD/{site.device}"
        self._credentials = Credentials(config.uplink)
        self._backoff = Backoff(config.uplink.backoff_s, config.uplink.backoff_max_s)
        self._connection: Connection | None = None
        self._attempt_s = self._born_s = -math.inf
        self._ready_s = 0.0
        self._bdseq = 0
        self._born = False
        periods_s = [one.period_s for one in config.transmitter]
        self._silent_s = max(_SILENT_S, *(3 * one for one in (config.analysis.window_s, *periods_s)))
        self._heard_s: dict[str, float] = {}
        self._state: State | None = None
        self._info: Info | None = None
        self._complained_s = -math.inf

    @property
    def wants_write(self) -> bool:
        """Whether bytes wait for the socket to take them."""
        return self._connection is not None and self._connection.wants_write

    def fileno(self) -> int:
        """For select; -1 while there is no connection."""
        return self._connection.fileno() if self._connection else -1

    def patience_s(self, most_s: float) -> float:
        """How long the loop may wait."""
        if self._connection:
            return self._connection.patience_s(min(most_s, _PAST_S if len(self._backlog) else _REBIRTH_S))
        if not self._broker.connected:
            return most_s
        return min(most_s, max(0.0, self._attempt_s - time.monotonic()))

    def turn(self, *, readable: bool, writable: bool, now_s: float) -> None:
        """Move the connection on, or attempt one when due, and publish what is due."""
        try:
            if self._connection is None:
                if self._broker.connected and now_s >= self._attempt_s:
                    self._connect()
                return
            was_ready = self._connection.ready
            self._connection.turn(readable=readable, writable=writable)
            if self._connection.ready:
                if not was_ready:
                    self._welcome(self._connection, now_s)
                self._exchange(self._connection, now_s)
        except Lost as fault:
            self._lost(fault, now_s)

    def hear(
        self, samples: Sequence[Mapping[str, object]], state: State | None, info: Info | None, now_s: float
    ) -> None:
        """Take in what goes to the JSON topics: new telemetry, and the present state and info."""
        if info is not None and info is not self._info:
            self._info = info
            told = info.metrics.items()
            self._node.units = {key: metric.unit for key, metric in told if isinstance(metric.unit, str)}
        if state is not None and state is not self._state:
            self._state = state
            self._say(self._node.state(self._appliance(state), state.ts, _now_ms()), now_s)
        for one in samples:
            self._heard_s[str(one["sensor"])] = now_s
            self._sample(_sample(one), now_s)

    def give_way(self, needed_bytes: int) -> None:
        """The disk is wanted for something more important."""
        self._backlog.give_way(needed_bytes)

    def stop(self) -> None:
        """Say the NDEATH if somebody listens, and disconnect; what is uncovered waits for the next start."""
        if self._connection:
            with contextlib.suppress(Lost):
                self._leave(self._connection)
            self._connection.close()
        self._connection = None
        self._barrier.lost(time.monotonic())
        self._backlog.close()

    def _connect(self) -> None:
        try:
            shown = self._credentials.read()
        except ConfigError as fault:
            raise Lost(str(fault), Policy.NEEDS_CHANGE) from fault
        try:
            self._bdseq = next_bdseq(self._config.state_dir / "sparkplug.bdseq")
        except OSError as fault:
            raise Lost(f"bdSeq cannot be counted: {fault}; expected room in state_dir") from fault
        death = self._node.death(self._bdseq, _now_ms())
        self._connection = Connection(
            self._config.uplink,
            f"{self._config.machine.device}-spb",
            Will(death.topic, death.payload, retain=False, delay_s=0, content_type=_PROTOBUF),
            shown=shown,
            version5=self._broker.version5,
        )

    def _welcome(self, connection: Connection, now_s: float) -> None:
        self._ready_s = now_s
        self._host.unknown()
        connection.subscribe([self._commands, *self._host.filters])
        log.info("Sparkplug: connected, bdSeq %d%s", self._bdseq, "" if self._host.online else ", waiting")

    def _exchange(self, connection: Connection, now_s: float) -> None:
        while connection.answers:
            mid, reason = connection.answers.popleft()
            if not self._barrier.answered(mid, reason, now_s):
                log.warning("Sparkplug: barrier refused with 0x%02x; see the broker's access list", reason)
        while connection.deaf:
            log.warning("Sparkplug: may not listen to %s (0x%02x)", *connection.deaf.pop())
        while connection.received:
            self._hear_from_host(connection.received.popleft(), now_s)
        if self._barrier.stalled(now_s):
            raise Lost("no PUBACK for the barrier")
        if self._born and not self._host.online:
            self._leave(connection)
            raise Lost("the primary host went offline")
        if self._host.online and (not self._born or self._node.births_due):
            self._give_birth(now_s)
        if self._born and not self._node.births_due:
            self._bury_the_silent(now_s)
            self._tell_past(now_s)
        if self._barrier.due(now_s):
            topic = f"{prefix(self._config.machine)}/barrier"
            self._barrier.asked(connection.publish(topic, b"{}", retain=False), now_s)

    def _hear_from_host(self, message: Received, now_s: float) -> None:
        if message.topic != self._commands:
            if fault := self._host.hear(message.topic, message.payload):
                self._complain(f"{message.topic}: {fault}", now_s)
            return
        try:
            asked = wishes(message.payload)
        except ValueError as fault:
            self._complain(f"an NCMD that cannot be read: {fault}", now_s)
            return
        if asked.get(REBIRTH):
            self._node.births_due = True
        elif asked:
            self._complain(f"an NCMD for {', '.join(asked)[:200]!r}; only {REBIRTH} is obeyed", now_s)

    def _complain(self, words: str, now_s: float) -> None:
        """Once a second at most: a flood shall not fill the log."""
        if now_s - self._complained_s >= 1.0:
            self._complained_s = now_s
            log.warning("Sparkplug: %s", words)

    def _give_birth(self, now_s: float) -> None:
        """Not more than once a second, however often it is asked for."""
        if self._born and now_s - self._born_s < _REBIRTH_S:
            return
        if not self._born:
            self._barrier.rest(now_s + random.uniform(0, self._config.uplink.spread_s))
        self._born, self._born_s = True, now_s
        self._send(self._node.births(self._bdseq, _now_ms()))

    def _bury_the_silent(self, now_s: float) -> None:
        for device in self._node.devices:
            if now_s - self._heard_s.setdefault(device, now_s) > self._silent_s:
                self._send(self._node.dead(device, _now_ms()))

    def _tell_past(self, now_s: float) -> None:
        """What needs births first is told after them."""
        samples = self._barrier.past(now_s)
        self._heard_s |= dict.fromkeys((sample.device for sample in samples), now_s)
        messages = self._node.past(samples, _now_ms())
        if messages:
            self._barrier.told(now_s)
            self._send(messages)
        elif samples:
            self._barrier.not_told()

    def _sample(self, sample: Sample, now_s: float) -> None:
        messages = self._node.sample(sample, _now_ms())
        if self._born and not self._node.births_due:
            self._barrier.sent(sample)
            self._say(messages, now_s)
        else:
            self._barrier.missed(sample, now_s)

    def _appliance(self, state: State) -> dict[str, Value | None]:
        shown = {key: value for key, value in msgspec.to_builtins(state).items() if key not in _NOT_METRICS}
        site, info = self._config.machine, self._info
        return {
            **dict.fromkeys(_AT_TIMES),
            **shown,
            "Properties/Machine": f"{site.site}/{site.area}/{site.asset}",
            "Properties/Firmware": info.fw if info else "",
            "Properties/Model": info.model if info else "",
            "Buffer/Samples": len(self._backlog),
            "Buffer/Evicted": self._backlog.evicted,
        }

    def _say(self, messages: Sequence[Message], now_s: float) -> None:
        """Send, if there is a connection; one that breaks meanwhile is given up."""
        try:
            self._send(messages)
        except Lost as fault:
            self._lost(fault, now_s)

    def _send(self, messages: Sequence[Message]) -> None:
        if self._connection is None:
            return
        for message in messages:
            try:
                self._connection.publish(
                    message.topic, message.payload, retain=False, qos=0, content_type=_PROTOBUF
                )
            except TooLarge as fault:
                log.warning("Sparkplug: not sent: %s", fault)

    def _leave(self, connection: Connection) -> None:
        """The NDEATH is said as a message and, with MQTT 5, once more as the will."""
        if self._born:
            death = self._node.death(self._bdseq, _now_ms())
            connection.publish(death.topic, death.payload, retain=False, content_type=_PROTOBUF)
        connection.disconnect(with_will=True)

    def _lost(self, fault: Lost, now_s: float) -> None:
        if self._connection and self._connection.ready and now_s - self._ready_s >= _PROVEN_S:
            self._backoff.reset()
        if self._connection:
            self._connection.close()
        self._connection = None
        self._born = False
        self._barrier.lost(now_s)
        self._attempt_s = now_s + self._backoff.next_s(fault.policy)
        log.warning("Sparkplug: %s; next attempt in %.1f s", fault, self._attempt_s - now_s)


def _sample(telemetry: Mapping[str, object]) -> Sample:
    """From the payload of `telemetry`."""
    values = {key: value for key, value in telemetry.items() if key not in _NOT_METRICS}
    return Sample(str(telemetry["sensor"]), telemetry["ts"], values)  # type: ignore[arg-type]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
