"""One life of one MQTT connection, driven by the caller's thread: no thread of paho's, no hidden reconnect.

paho's call-backs only append to queues, so an exception is always ours and always seen. What paho ignores is
honoured here: Receive Maximum, Maximum Packet Size, TCP_NODELAY, a time limit for the CONNACK.
"""

import ssl
import struct
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from paho.mqtt.client import (
    MQTT_CLEAN_START_FIRST_ONLY,
    Client,
    ConnectFlags,
    DisconnectFlags,
    MQTTMessage,
    MQTTv5,
    MQTTv311,
)
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.exception import MQTTException
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from appliance.config import Uplink
from appliance.uplink.credentials import NOTHING, Shown
from appliance.uplink.dial import Dial
from appliance.uplink.mqtt_client import SocketClient
from appliance.uplink.packets import (
    Received,
    TooLarge,
    Will,
    connect_properties,
    framed_bytes,
    publish_properties,
    received,
    will_properties,
)
from appliance.uplink.reasons import Lost, policy, remedy
from appliance.uplink.tls import explained

_CONNECT_S = 3.0
_DIAL_S = 30.0
_UNSUPPORTED_VERSION = 0x84
_SESSION_EXPIRY_S = 60
_WITH_WILL = 0x04
_KEEP_ALIVE_TIMEOUT = 0x8D
_PROTOCOL_MOST_BYTES = 268_435_455
_RECEIVED_MOST = 200
_FIRST_ERROR = 0x80
_PACKETS_PER_TURN = 200


class Connection:
    """A connection with a last will.

    answers: (mid, reason code) of each PUBACK, oldest first; the caller takes them out.
    received: messages, oldest first, 200 at most; the caller takes them out.
    overflow: messages dropped because nobody did.
    deaf: what the broker will not let us listen to: (filter, reason code).
    window: how many messages may be unanswered at once, known when `ready`.
    heard_s: monotonic time after which the broker has spoken: of the turn before, so that bytes which waited
        while we stood still do not make the broker look alive for longer than it was.

    It is not there yet when it is made: `turn` it until it is `ready`.
    """

    def __init__(
        self,
        config: Uplink,
        client_id: str,
        will: Will,
        *,
        shown: Shown = NOTHING,
        version5: bool = True,
    ) -> None:
        self._config = config
        self.version5 = version5
        self.ready = False
        self.window = config.window
        self.answers: deque[tuple[int, int]] = deque()
        self.received: deque[Received] = deque()
        self.overflow = 0
        self.deaf: list[tuple[str, int]] = []
        self._subscribed: dict[int, tuple[str, ...]] = {}
        self._largest_bytes = 0
        self._ended: Lost | None = None
        self._refusal = 0
        self._session_s = _SESSION_EXPIRY_S if will.delay_s else 0
        self._client = self._made(client_id, will)
        if config.username:
            self._client.username_pw_set(config.username, shown.password)
        self._dial: Dial | None = Dial(config.host, config.port, shown.context)
        self._began_s = self._turned_s = self.heard_s = time.monotonic()

    @property
    def version_refused(self) -> bool:
        """Whether the broker said that it does not speak MQTT 5."""
        return self._refusal == _UNSUPPORTED_VERSION

    @property
    def silent(self) -> bool:
        """Whether nothing answered the CONNECT; some brokers refuse MQTT 5 like this (amqtt 0.12)."""
        return self._dial is None and not self._client.greeted and self._client.fault is None

    @property
    def wants_write(self) -> bool:
        """Whether bytes wait for the socket to take them."""
        return self._client.want_write()

    @property
    def wants_read(self) -> bool:
        """Whether the last turn left something unread, which select may not know of (TLS)."""
        return not self._client.read_to_end

    def fileno(self) -> int:
        """For select."""
        if self._dial:
            return self._dial.fileno()
        sock = self._client.socket()
        return -1 if sock is None else sock.fileno()

    def patience_s(self, most_s: float) -> float:
        """How long nobody need turn it if nothing comes, at most `most_s`."""
        if not self.ready:
            return min(most_s, _CONNECT_S / 4)
        return 0.0 if self.wants_read else min(most_s, self._client.keepalive / 4)

    def turn(self, *, readable: bool, writable: bool) -> None:
        """Do what select said can be done, and keep the connection alive. Raises Lost."""
        now_s = time.monotonic()
        if self._dial:
            self._take_socket(self._dial, now_s)
            return
        code = MQTTErrorCode.MQTT_ERR_SUCCESS
        if readable or self.wants_read:
            code = self._read()
            self.heard_s = self._turned_s
        self._turned_s = now_s
        if not code and writable and self._client.want_write():
            code = self._client.loop_write()
        if not code:
            code = self._client.loop_misc()
        if code or self._ended or self._client.socket() is None:
            raise self._why(code)
        if not self.ready and now_s - self._began_s > _CONNECT_S:
            raise Lost(f"{self._where} took the connection and gave no CONNACK within {_CONNECT_S:.0f} s")

    @property
    def _where(self) -> str:
        return f"{self._config.host}:{self._config.port}"

    def _take_socket(self, dial: Dial, now_s: float) -> None:
        """Begin to speak MQTT once the way is open."""
        sock = dial.take()
        if sock is None:
            if now_s - self._began_s > _DIAL_S:
                raise Lost(f"no way to {self._where} within {_DIAL_S:.0f} s; does the name server answer?")
            return
        dial.close()
        self._dial = None
        self._client.given = sock
        self._begin()
        self._began_s = self._turned_s = self.heard_s = now_s

    def _why(self, code: MQTTErrorCode) -> Lost:
        """The best that is known of why the connection is gone."""
        fault = self._client.fault
        if self._refusal and self._ended:
            return self._ended
        if isinstance(fault, ssl.SSLError) and not self._client.greeted:
            words, what = explained(fault, self._config.host)
            return Lost(f"{self._where}: {words}", what)
        if not self._client.greeted and isinstance(fault, None | ConnectionResetError | BrokenPipeError):
            found = f"{self._where} closed the connection without a CONNACK"
            return Lost(f"{found}; expected an MQTT broker; is TLS wanted there, or none?")
        if fault:
            return Lost(f"{self._where}: {fault}")
        if code == MQTTErrorCode.MQTT_ERR_PROTOCOL:
            return Lost(f"{self._where} sent what is not MQTT")
        return self._ended or Lost(f"the connection to {self._where} was cut")

    def _read(self) -> MQTTErrorCode:
        """Take in what has come; not for ever, because a flood is no reason to stand still."""
        self._client.read_to_end = False
        try:
            for _ in range(_PACKETS_PER_TURN):
                if (code := self._client.loop_read()) or self._client.read_to_end:
                    return code
        except (MQTTException, ValueError, LookupError, struct.error) as fault:
            raise Lost(f"{self._where} sent what is not MQTT: {fault}") from fault
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def most_bytes(self, topic: str) -> int:
        """Largest payload to this topic that the broker takes."""
        return (self._largest_bytes or _PROTOCOL_MOST_BYTES) - framed_bytes(topic, 0)

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        retain: bool,
        qos: int = 1,
        expiry_s: int | None = None,
        attributes: Sequence[tuple[str, str]] = (),
        correlation: bytes | None = None,
        content_type: str = "application/json",
    ) -> int:
        """Send; returns the mid that will stand in `answers` (QoS 0: once it has left).

        Raises:
            Lost: the connection is gone.
            TooLarge: the broker does not take it.
            ValueError: `topic` is none to publish to.
        """
        size = framed_bytes(topic, len(payload), attributes, correlation)
        if self._largest_bytes and size > self._largest_bytes:
            raise TooLarge(f"{topic}: {size} bytes; the broker takes {self._largest_bytes}")
        properties = None
        if self.version5:
            properties = publish_properties(content_type, expiry_s, attributes, correlation)
        sent = self._client.publish(topic, payload, qos=qos, retain=retain, properties=properties)
        if sent.rc:
            raise Lost(f"{topic}: not sent: {sent.rc.name}")
        return sent.mid

    def subscribe(self, filters: Sequence[str]) -> None:
        """Ask for what is published under `filters`, QoS 1 at most. Raises Lost."""
        how = SubscribeOptions(qos=1, retainAsPublished=True)
        code, mid = self._client.subscribe(
            [(one, how) for one in filters] if self.version5 else [(one, 1) for one in filters]
        )
        if code or mid is None:
            raise Lost(f"{', '.join(filters)}: not subscribed: {code.name}")
        self._subscribed[mid] = tuple(filters)

    def disconnect(self, *, with_will: bool = False) -> None:
        """Say goodbye and close: the broker drops the will, or publishes it if that is asked (MQTT 5)."""
        reason = ReasonCode(PacketTypes.DISCONNECT, identifier=_WITH_WILL) if with_will else None
        self._client.disconnect(reason if self.version5 else None)
        self.close()

    def close(self) -> None:
        """Close the socket, and let paho's client go."""
        if self._dial:
            self._dial.close()
            self._dial = None
        sock = self._client.socket()
        if sock is not None:
            sock.close()
        self._client.on_connect = self._client.on_disconnect = self._client.on_publish = None
        self._client.on_message = self._client.on_subscribe = None

    def _made(self, client_id: str, will: Will) -> SocketClient:
        client = SocketClient(
            CallbackAPIVersion.VERSION2,
            client_id,
            clean_session=None if self.version5 else True,
            protocol=MQTTv5 if self.version5 else MQTTv311,
            reconnect_on_failure=False,
        )
        client.connect_timeout = _CONNECT_S
        client.max_inflight_messages_set(0)
        said = will_properties(will) if self.version5 else None
        client.will_set(will.topic, will.payload, qos=1, retain=will.retain, properties=said)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe
        return client

    def _begin(self) -> None:
        config = self._config
        session = connect_properties(self._session_s) if self.version5 else None
        start = True if self.version5 else MQTT_CLEAN_START_FIRST_ONLY
        self._client.connect(
            config.host, config.port, config.keepalive_s, clean_start=start, properties=session
        )

    def _on_connect(
        self,
        _client: Client,
        _data: Any,
        _flags: ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._refusal = reason.value
            self._ended = self._said("refused the connection", reason)
            return
        self.window = min(self.window, getattr(properties, "ReceiveMaximum", self.window))
        self._largest_bytes = getattr(properties, "MaximumPacketSize", 0)
        self.ready = True

    def _on_disconnect(
        self, _client: Client, _data: Any, flags: DisconnectFlags, reason: ReasonCode, _properties: Any
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self._ended = self._said("ended the connection", reason)
        elif reason.value == _KEEP_ALIVE_TIMEOUT:
            words = f"{self._where} did not answer for {self._client.keepalive} s"
            self._ended = Lost(f"{words}; is the network cut, or does the broker hang?")

    def _said(self, what: str, reason: ReasonCode) -> Lost:
        words = f"{self._where} {what}: {reason} (0x{reason.value:02x}){remedy(reason.value)}"
        return Lost(words, policy(reason.value))

    def _on_publish(
        self, _client: Client, _data: Any, mid: int, reason: ReasonCode, _properties: Any
    ) -> None:
        self.answers.append((mid, reason.value))

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        if len(self.received) == _RECEIVED_MOST:
            self.overflow += 1
        else:
            self.received.append(received(message))

    def _on_subscribe(
        self, _client: Client, _data: Any, mid: int, reasons: list[ReasonCode], _properties: Any
    ) -> None:
        asked = self._subscribed.pop(mid, ())
        self.deaf += [
            (one, r.value) for one, r in zip(asked, reasons, strict=False) if r.value >= _FIRST_ERROR
        ]
