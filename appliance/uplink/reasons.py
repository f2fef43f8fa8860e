"""Why a connection was refused or ended, and what follows from it: three policies for MQTT's reason codes."""

from enum import Enum


class Policy(Enum):
    """What to do after a connection that did not come about or did not last."""

    BACK_OFF = "back off"
    """The network or the broker is away: soon again, with growing waits."""
    WAIT_LONG = "wait long"
    """The broker is there and does not want us now: a minute or two."""
    NEEDS_CHANGE = "needs a change"
    """The same would be refused again: waits grow to a quarter of an hour, and end when a file changes."""


class Lost(Exception):  # noqa: N818 - an ordinary end, not a fault
    """The connection is gone or was refused; the message says why."""

    def __init__(self, words: str, policy: Policy = Policy.BACK_OFF) -> None:
        super().__init__(words)
        self.policy = policy


_ACCESS = "look at the broker's access list and at uplink.username, or at the name in our certificate"
_LOGIN = "look at uplink.username and uplink.password_file"
_WAIT_LONG = {
    0x8A: "the broker has banned this device",
    0x8E: "another client uses the same id: is there a second appliance with this machine.device?",
    0x97: "the plant's quota on the broker is used up",
    0x98: "the broker's operator has closed the connection",
    0x9F: "the broker takes no more connections for now",
}
_NEEDS_CHANGE = {
    0x81: "the broker does not understand us",
    0x82: "the broker does not understand us",
    0x84: "the broker speaks neither MQTT 5 nor 3.1.1",
    0x85: "the broker does not take machine.device as client id",
    0x86: _LOGIN,
    0x87: _ACCESS,
    0x8C: _LOGIN,
    0x90: "the broker does not allow our topics: look at its access list",
    0x95: "a packet of ours is too large for the broker",
    0x99: "the broker does not take our payloads",
    0x9A: "the broker must be set to keep retained messages",
    0x9B: "the broker must be set to allow QoS 1",
    0x9C: "the broker sends us to another: change uplink.host",
    0x9D: "the broker has moved: change uplink.host",
}


def policy(code: int) -> Policy:
    """The policy for a reason code of CONNACK or DISCONNECT."""
    if code in _WAIT_LONG:
        return Policy.WAIT_LONG
    return Policy.NEEDS_CHANGE if code in _NEEDS_CHANGE else Policy.BACK_OFF


def remedy(code: int) -> str:
    """What to look at, as `; …`; empty where waiting is all that can be done."""
    words = _WAIT_LONG.get(code) or _NEEDS_CHANGE.get(code)
    return f"; {words}" if words else ""
