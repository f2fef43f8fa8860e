"""Whether the Sparkplug primary host is online, by its STATE messages. Pure."""

from typing import NamedTuple

import msgspec


class _State(msgspec.Struct):
    online: bool
    timestamp: int


class Verdict(NamedTuple):
    """What a STATE message was worth. fault: why it was none; "" for one in form."""

    counts: bool
    fault: str = ""


class PrimaryHost:
    """host: its Host ID; "" for none, and then it counts as online.

    online: whether births may be published.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        self._newest_ms: int | None = None
        self.online = not host

    @property
    def filters(self) -> list[str]:
        """What must be subscribed to."""
        return [f"spBv1.0/STATE/{self._host}"] if self._host else []

    def unknown(self) -> None:
        """A new connection: nothing is known before its STATE has come."""
        self.online = not self._host

    def hear(self, topic: str, payload: bytes) -> Verdict:
        """Take in a message; one of another host, or older than the newest, does not count."""
        if topic not in self.filters:
            return Verdict(counts=False)
        try:
            state = msgspec.json.decode(payload, type=_State)
        except (msgspec.DecodeError, UnicodeDecodeError) as fault:
            return Verdict(counts=False, fault=f'{fault}; expected {{"online":…,"timestamp":…}}')
        if self._newest_ms is not None and state.timestamp < self._newest_ms:
            return Verdict(counts=False)
        self._newest_ms = state.timestamp
        self.online = state.online
        return Verdict(counts=True)
