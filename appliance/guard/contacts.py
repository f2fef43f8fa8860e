"""Contacts of the machine and its panel: what their changes mean to the rack."""

from appliance.guard.rack import BypassKey, Input, Machine, StartUp
from appliance.records import MachineState, Reset

RESET_BUTTON = "reset button"


class Contacts:
    """Remembers how each contact stands; a contact that was not read yet counts as open.

    Without a contact for it, the machine's state and its start-up come from the models.
    """

    def __init__(self, names: frozenset[str]) -> None:
        """names: the contacts of `[inputs]`."""
        self._names = names
        self._active: dict[str, bool] = {}
        self._machine = MachineState.UNKNOWN

    def changed(self, name: str, *, active: bool) -> tuple[Input, ...]:
        """What the rack must be told; nothing where the contact stands as before."""
        before = self._active.get(name, False)
        known = name in self._active
        self._active[name] = active
        if known and before is active:
            return ()
        if name == "running":
            return (Machine(MachineState.RUNNING if active else MachineState.OFF),)
        if name == "bypass_key":  # turned back while nobody looked, it ends the bypass that was kept
            return (BypassKey(active),)
        if before is active:
            return ()
        if name == "startup":
            return (StartUp(active),)
        return (Reset(RESET_BUTTON, "pressed"),) if active else ()

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
