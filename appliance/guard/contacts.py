"""Contacts of the machine and its panel: what their changes mean to the rack."""

from appliance.guard.rack import BypassKey, Input, Machine, StartUp
from appliance.records import MachineState
from appliance.requests import Reset

RESET_BUTTON = "reset button"


_MACHINE = {True: MachineState.RUNNING, False: MachineState.OFF, None: MachineState.UNKNOWN}


class Contacts:
    """Remembers how each contact stands; a contact that was not read yet counts as open.

    One that cannot be read (None) is open too, and the machine's state is not known from it. Bypass key and
    start-up contact must then be seen open before they ask anew, so that a loose wire renews neither. A key
    that is found turned at the start keeps its bypass and begins none; a button counts as pressed only after
    it was seen open.
    Without a contact for it, the machine's state and its start-up come from the models.
    """

    def __init__(self, names: frozenset[str]) -> None:
        """names: the contacts of `[inputs]`."""
        self._names = names
        self._active: dict[str, bool | None] = {}
        self._machine = MachineState.UNKNOWN

    def changed(self, name: str, *, active: bool | None) -> tuple[Input, ...]:
        """What the rack must be told; nothing where it stands as before. active: None, not readable."""
        known, before = name in self._active, self._active.get(name)
        self._active[name] = active
        if known and before is active:
            return ()
        if name == "running":
            return (Machine(_MACHINE[active]),)
        if name == "reset":
            return (Reset(RESET_BUTTON, "pressed"),) if active and before is False else ()
        if active and before is None and (known or name == "bypass_key"):
            return ()
        if name == "bypass_key":  # turned back while nobody looked, it ends the bypass that was kept
            return (BypassKey(bool(active)),)
        return (StartUp(bool(active)),) if active or before else ()

    def machine(self, state: MachineState) -> tuple[Input, ...]:
        """What the models say of the machine, where no contact says it."""
        if state is self._machine:
            return ()
        self._machine = state
        given: tuple[Input, ...] = ()
        if "running" not in self._names:
            given += (Machine(state),)
        if "startup" not in self._names:
            given += (StartUp(state is MachineState.STARTING),)
        return given
