"""The relay as the guard drives it: written only on a change, and read back when each has had its effect."""

import math
import time
from collections.abc import Callable

from appliance.records import Action
from hw.ports import PortError, Relay

RELAY_SETTLES_S = 0.2
"""Coil, contact and an interposing relay take some 10 ms each: read back earlier, all seem to stick."""

Fault = Callable[[str], None]


class Actuator:
    """One relay, and where it stands."""

    def __init__(self, relay: Relay, fault: Fault, monotonic_s: Callable[[], float]) -> None:
        """fault: hears in words what is wrong with the relay."""
        self._relay = relay
        self._fault = fault
        self._monotonic_s = monotonic_s
        self._settled_s = math.inf
        self.energised = False

    def drive(self, *, energise: bool) -> Action:
        """Put the relay there; what it did. Raises PortError."""
        if energise is self.energised:
            return "none"
        self._relay.write(energise)
        self.energised = energise
        self._settled_s = self._monotonic_s() + RELAY_SETTLES_S
        return "relay_closed" if energise else "relay_opened"

    def check(self) -> None:
        """Call often, not beside `drive`: looks at the read-back once, when a change has had its time."""
        if self._monotonic_s() >= self._settled_s:
            self._agrees()

    def settled(self) -> bool:
        """Wait until a contact has had the time to move; whether the read-back agrees."""
        self._settled_s = math.inf
        time.sleep(RELAY_SETTLES_S)
        return self._agrees()

    def _agrees(self) -> bool:
        """Tells where it does not."""
        self._settled_s = math.inf
        try:
            seen = self._relay.read()
        except PortError as fault:
            self._fault(f"relay read-back failed: {fault}")
            return False
        if seen is self.energised:
            return True
        words = {True: "energised", False: "de-energised"}
        self._fault(f"relay reads {words[seen]}, expected {words[self.energised]}; check its wiring")
        return False
