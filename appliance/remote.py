"""Configuration of commands: what the plant may ask of this appliance over MQTT."""

from typing import Final, Literal

from msgspec import Struct

from appliance.requests import Acknowledge, Learn, Offer, PlantAct, Reset, Shelve

Command = Literal["ack", "evidence", "learn", "model", "ping", "rebirth", "replay", "reset", "shelve"]

_LOCAL: Final = "only at the machine"


class Commands(Struct, forbid_unknown_fields=True, frozen=True):
    """What the plant may ask for over MQTT; nothing by default. See docs/PLANT.md, Commands."""

    allow: tuple[Command, ...] = ()
    """Commands that are obeyed, each by its name; all others are refused."""
    waveforms: bool = False
    """Whether `evidence` may send waveforms to the broker."""
    trip_reset: Literal["only at the machine", "from afar, nobody can reach the machine"] = _LOCAL
    """The second key of `reset`: the relay may be energised by somebody who does not see the machine."""

    @property
    def in_words(self) -> str:
        """What may be asked: `ack, reset (refused: trip_reset is "only at the machine")`; `nothing`."""
        lacking = {
            "evidence": "" if self.waveforms else "waveforms is false",
            "reset": f'trip_reset is "{self.trip_reset}"' if self.trip_reset == _LOCAL else "",
        }
        listed = sorted(set(self.allow))
        named = (f"{name} (refused: {lacking[name]})" if lacking.get(name) else name for name in listed)
        return ", ".join(named) or "nothing"

    @property
    def requests(self) -> tuple[type, ...]:
        """What the guard takes from the uplink; it asks this itself, not the uplink."""
        granted: dict[str, type] = {"ack": Acknowledge, "learn": Learn, "model": Offer, "shelve": Shelve}
        if self.trip_reset != _LOCAL:
            granted["reset"] = Reset
        return (PlantAct, *(granted[name] for name in self.allow if name in granted))
