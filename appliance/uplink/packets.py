"""What goes over the MQTT connection, in our words and in paho's."""

from collections.abc import Sequence
from typing import NamedTuple

from paho.mqtt.client import MQTTMessage
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from appliance.uplink.varint import varint

_HEADER_BYTES = 64
_RECEIVE_MAXIMUM = 20
_PACKET_MOST_BYTES = 131_072


class TooLarge(Exception):  # noqa: N818 - a verdict about one message
    """The broker's Maximum Packet Size forbids this message."""


class Will(NamedTuple):
    """What the broker says for us once we are gone, with QoS 1.

    delay_s: how long it waits for us to come back (MQTT 5); with 0 the session ends with the connection.
    """

    topic: str
    payload: bytes
    retain: bool = True
    delay_s: int = 10
    content_type: str = "application/json"


class Received(NamedTuple):
    """A message from the broker. What MQTT 3.1.1 has no word for is empty or None.

    retained: the publisher asked to keep it, or it was kept from before we subscribed.
    expiry_s: seconds it had left to live when the broker sent it; None: for ever.
    response_topic, correlation: where the answer is wanted, and what is to stand in it.
    """

    topic: str
    payload: bytes
    retained: bool
    qos: int
    expiry_s: int | None
    response_topic: str
    correlation: bytes | None


def received(message: MQTTMessage) -> Received:
    """Paho's message in our words. Raises UnicodeDecodeError: the topic is no text."""
    said = message.properties
    return Received(
        topic=message.topic,
        payload=bytes(message.payload),
        retained=message.retain,
        qos=message.qos,
        expiry_s=getattr(said, "MessageExpiryInterval", None),
        response_topic=getattr(said, "ResponseTopic", ""),
        correlation=getattr(said, "CorrelationData", None),
    )


def framed_bytes(
    topic: str, size: int, attributes: Sequence[tuple[str, str]] = (), correlation: bytes | None = None
) -> int:
    """How large a packet with `size` bytes of payload can become."""
    said = sum(len(name.encode()) + len(value.encode()) + 5 for name, value in attributes)
    return len(topic.encode()) + size + said + len(correlation or b"") + _HEADER_BYTES


def connect_properties(session_s: int) -> Properties:
    """Of our CONNECT: how long the session outlives the connection, and how much may come at once."""
    made = _properties(PacketTypes.CONNECT)
    made.SessionExpiryInterval = session_s
    made.ReceiveMaximum = _RECEIVE_MAXIMUM
    made.MaximumPacketSize = _PACKET_MOST_BYTES
    return made


def will_properties(will: Will) -> Properties:
    """Of our last will."""
    made = _properties(PacketTypes.WILLMESSAGE)
    made.WillDelayInterval = will.delay_s
    made.ContentType = will.content_type
    return made


class Written(Properties):
    """Properties of a PUBLISH, as bytes. Paho's own way of writing them takes half the work of a message."""

    _data: bytes

    def __init__(self, data: bytes) -> None:
        object.__setattr__(self, "_data", data)  # paho's makes tables, and takes known names alone

    def pack(self) -> bytes:
        """What stands in the packet, with its length before it."""
        return self._data


def publish_properties(
    content_type: str,
    expiry_s: int | None,
    attributes: Sequence[tuple[str, str]],
    correlation: bytes | None,
) -> Properties:
    """Of a message. attributes: User Properties. Source: MQTT 5.0, 2.2.2 and 3.3.2.3."""
    said = b"\x03" + _counted(content_type.encode())
    if expiry_s is not None:
        said += b"\x02" + expiry_s.to_bytes(4, "big")
    for name, value in attributes:
        said += b"\x26" + _counted(name.encode()) + _counted(value.encode())
    if correlation is not None:
        said += b"\x09" + _counted(correlation)
    return Written(varint(len(said)) + said)


def _counted(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def _properties(packet: int) -> Properties:
    return Properties(packet)  # type: ignore[no-untyped-call]
