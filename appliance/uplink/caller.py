"""Who sent a command, and where the answer goes."""

import time
from typing import NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from appliance.requests import Reply
from appliance.uplink.broker import Broker
from appliance.uplink.command import COMMANDS, Answer, Unfit, id_of
from appliance.uplink.packets import Received
from appliance.uplink.topics import TOPICS

_RSP = "rsp/{name}"
_EXPIRY_S = TOPICS[_RSP].expiry_s or 0
_TOPIC_BYTES = 200
_CORRELATION_BYTES = 256
_NOT_FOR_ANSWERS = ("$", "pdm/", "spBv1.0/")
"""Where somebody could take an answer for something else."""


class Caller(NamedTuple):
    """name: of the command; "" where it is none of ours. id: "" where none can be read."""

    name: str
    id: str
    response_topic: str
    correlation: bytes | None

    @classmethod
    def of(cls, one: Received) -> "Caller":
        """Who is to be answered for this message, whatever is in it."""
        name = one.topic.rpartition("/")[2]
        return cls(name if name in COMMANDS else "", id_of(one.payload), one.response_topic, one.correlation)

    def require_answerable(self) -> None:
        """Raises Unfit: its Correlation Data is longer than we send back."""
        if len(self.correlation or b"") > _CORRELATION_BYTES:
            raise Unfit(
                f"Correlation Data is too long; expected {_CORRELATION_BYTES} bytes at most; shorten it"
            )

    def answer(self, broker: Broker, prefix: str, answer: Answer) -> None:
        """On `rsp/{name}`, and on the Response Topic where one is named that is fit for it. Raises Lost.

        The latter with QoS 0: a broker that forbids it drops it, where QoS 1 would end the connection
        (Mosquitto 2.0.11).
        """
        payload = msgspec.json.encode(answer)
        correlation = None if len(self.correlation or b"") > _CORRELATION_BYTES else self.correlation
        own, other = f"{prefix}/{_RSP.format(name=self.name)}", self.response_topic
        if self.name:
            broker.answer(own, payload, correlation=correlation, expiry_s=_EXPIRY_S)
        if other != own and is_fit(other, prefix):
            broker.answer(other, payload, qos=0, correlation=correlation, expiry_s=_EXPIRY_S)


def answer(caller: Caller, reply: Reply, upload: str | UnsetType = UNSET) -> Answer:
    """What the caller is told, now."""
    now_ms = max(0, time.time_ns() // 1_000_000)
    return Answer(id=caller.id, ok=reply.ok, message=reply.message, ts=now_ms, upload=upload)


def is_fit(topic: str, prefix: str) -> bool:
    """Whether nobody can take an answer on this topic for something else."""
    foreign = topic.startswith(_NOT_FOR_ANSWERS) and not topic.startswith(f"{prefix}/rsp/")
    wild = any(one in topic for one in "+#\0")
    return bool(topic) and not foreign and not wild and len(topic.encode()) <= _TOPIC_BYTES
