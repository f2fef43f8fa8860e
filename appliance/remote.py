"""Configuration of commands: what the plant may ask of this appliance over MQTT."""

from typing import Literal

from msgspec import Struct

from appliance.records import Acknowledge, Learn, Offer, PlantAct, Reset, Shelve

Command = Literal["ack", "evidence", "learn", "model", "ping", "rebirth", "replay", "reset", "shelve"]


class Commands(Struct, forbid_unknown_fields=True, frozen=True):
    """What the plant may ask for over MQTT; nothing by default. See docs/PLANT.md, Commands."""

    allow: tuple[Command, ...] = ()
    """Commands that are obeyed, each by its name; all others are refused."""
    waveforms: bool = False
    """Whether `evidence` may send waveforms to the broker."""
    trip_reset: Literal["only at the machine", "from afar, nobody can reach the machine"] = (
        "only at the machine"
    )
    """The second key of `reset`: the relay may be energised by somebody who does not see the machine."""

    @property
    def requests(self) -> tuple[type, ...]:
        """What the guard takes from the uplink; it asks this itself, whatever the uplink says."""
        granted: dict[str, type] = {"ack": Acknowledge, "learn": Learn, "model": Offer, "shelve": Shelve}
        if self.trip_reset != "only at the machine":
            granted["reset"] = Reset
        return (PlantAct, *(granted[name] for name in self.allow if name in granted))
