"""The relay as the guard drives it: written only on a change, and read back once each has had its effect."""

import math
import time
from collections.abc import Callable

from appliance.records import Action
from hw.ports import PortError, Relay

RELAY_SETTLES_S = 0.2
"""Coil, contact and an interposing relay take some 10 ms each: read back earlier, all seem to stick."""

_SOUND_S = 60.0
"""A read-back that agrees for so long is trusted again: a loose wire is one fault, not hundreds."""


class Actuator:
    """One relay, and where it stands.

    fault: what its read-back says otherwise, or said in the last minute, in words; "" where it agrees.
    """

    def __init__(self, relay: Relay, tell: Callable[[str], None], monotonic_s: Callable[[], float]) -> None:
        """tell: hears each fault as it begins."""
        self._relay = relay
        self._tell = tell
        self._monotonic_s = monotonic_s
        self._settled_s = self._sound_s = math.inf
        self.energised = False
        self.fault = ""

    def drive(self, *, energise: bool) -> Action:
        """Put the relay there; what it did. Raises PortError."""
        if energise is self.energised:
            return "none"
        self._relay.write(energise)
        self.energised = energise
        self.fault = ""
        self._settled_s = self._monotonic_s() + RELAY_SETTLES_S
        return "relay_closed" if energise else "relay_opened"

    def check(self) -> None:
        """Call often, not beside `drive`: looks at the read-back, once a change has had its time."""
        if self._monotonic_s() >= self._settled_s:
            self._look()

    def settled(self) -> bool:
        """Wait until a contact has had the time to move; whether the read-back agrees."""
        time.sleep(RELAY_SETTLES_S)
        return self._look()

    def _look(self) -> bool:
        """Whether the read-back agrees now."""
        found, now_s = self._found(), self._monotonic_s()
        if found:
            self._sound_s = now_s + _SOUND_S
            before, self.fault = self.fault, found
            if not before:
                self._tell(found)
        elif now_s >= self._sound_s:
            self.fault = ""
        return not found

    def _found(self) -> str:
        try:
            seen = self._relay.read()
        except PortError as fault:
            return f"relay read-back failed: {fault}"
        if seen is self.energised:
            return ""
        words = {True: "energised", False: "de-energised"}
        return f"relay reads {words[seen]}, expected {words[self.energised]}; check its wiring"
