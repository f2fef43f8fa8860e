"""Whether the Sparkplug primary host is online, by its STATE messages. Pure."""

import msgspec


class _State(msgspec.Struct):
    online: bool
    timestamp: int


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

    def hear(self, topic: str, payload: bytes) -> str:
        """Take in a message; one of another host, or older than the newest, does not count.

        Returns what is wrong with it; "" for one in form.
        """
        if topic not in self.filters:
            return ""
        try:
            state = msgspec.json.decode(payload, type=_State)
        except (msgspec.DecodeError, UnicodeDecodeError) as fault:
            return f'{fault}; expected {{"online":…,"timestamp":…}}'
        if self._newest_ms is None or state.timestamp >= self._newest_ms:
            self._newest_ms = state.timestamp
            self.online = state.online
        return ""
