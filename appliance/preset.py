"""Presets of `[machine] preset`: kind, power and support of a machine, and the limits that follow."""

from collections.abc import Mapping
from typing import NamedTuple

from appliance import severity
from appliance.toml_lines import Keys
from appliance.toml_values import nearest

LONGEST_START_S = {"pump": 15.0, "motor": 15.0, "compressor": 30.0, "fan": 60.0, "generator": 60.0}
"""How long trip multiply may last at most, by kind of machine, s. Our choice: no standard states one. A pump
is up to speed within seconds, a fan's inertia may take more than 30 s, a generator waits for its prime mover.
"""
TRIP_MULTIPLY = 2.0
"""The smaller of the two factors that protection racks offer (x2, x3). Which one is our choice."""
PEAK_MPS2 = {"alert": 50.0, "danger": 75.0}
"""Our choice: twice the Danger is still inside ±16 g, so a peak can trip while the machine starts."""


class Preset(NamedTuple):
    """One kind of machine with the zones of its group and support, or of its class."""

    kind: str
    zones: severity.Zones

    def tables(self) -> dict[str, object]:
        """What it says where the file says nothing, as TOML tables."""
        _, alert_mms, danger_mms = self.zones.edges_mms
        return {
            "limits": {
                "velocity_mms": {"alert": alert_mms, "danger": danger_mms},
                "peak_mps2": {**PEAK_MPS2, "delay_s": 1.0},
            },
            "protection": {
                "trip_multiply": TRIP_MULTIPLY,
                "trip_multiply_longest_s": LONGEST_START_S[self.kind],
            },
        }

    def says(self, keys: Keys) -> bool:
        """Whether it has a value for this place of the file."""
        node: object = self.tables()
        for key in keys:
            if not isinstance(node, Mapping) or key not in node:
                return False
            node = node[key]
        return True


def find(text: str) -> Preset | None:
    """The preset of `pump, 15-300 kW, rigid` or `fan, class II`; None if it is none."""
    kind, machine = _parts(text)
    for zones in severity.table():
        if zones.machine.lower() == machine and kind in LONGEST_START_S:
            return Preset(kind, zones)
    return None


def fault(text: str) -> str:
    """Why it is no preset: found; expected; what to do."""
    kind, machine = _parts(text)
    machines = [zones.machine for zones in severity.table()]
    if kind not in LONGEST_START_S:
        expected, remedy = f"one of {', '.join(LONGEST_START_S)}", nearest(kind, LONGEST_START_S)
        return f"{kind!r} is no kind of machine; expected {expected}; {remedy}"
    found = f"{machine!r} is no power with its support, and no class" if machine else "only a kind of machine"
    shown = " | ".join(f"{kind}, {name}" for name in machines)
    return f"{found}; expected one of {shown}; choose the one on the nameplate and under the feet"


def _parts(text: str) -> tuple[str, str]:
    kind, _, machine = " ".join(text.lower().replace("–", "-").split()).partition(",")
    return kind.strip(), machine.strip()
