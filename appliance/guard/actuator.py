"""The relay as the guard drives it: written only on a change, and read back after each."""

import time
from collections.abc import Callable

from appliance.records import Action
from hw.ports import PortError, Relay

_RELAY_SETTLES_S = 0.2

Fault = Callable[[str], None]


class Actuator:
    """One relay, and where it stands."""

    def __init__(self, relay: Relay, fault: Fault) -> None:
        """fault: hears in words what is wrong with the relay."""
        self._relay = relay
        self._fault = fault
        self.energised = False

    def drive(self, *, energise: bool) -> Action:
        """Put the relay there; what it did. Raises PortError."""
        if energise is self.energised:
            return "none"
        self._relay.write(energise)
        self.energised = energise
        return "relay_closed" if energise else "relay_opened"

    def check(self) -> bool:
        """Whether the read-back agrees; tells where it does not. May wait for nothing."""
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

    def settled(self) -> bool:
        """`check`, after a contact has had the time to move."""
        time.sleep(_RELAY_SETTLES_S)
        return self.check()
