"""What a quantity is shown in, and what UCUM calls that unit (https://ucum.org, case sensitive). Pure.

Display units appear only here: acceleration in g, velocity in mm/s, temperature in °C.
"""

from typing import NamedTuple

from appliance.sensors import STANDARD_GRAVITY_MPS2
from appliance.uplink.topics import ChannelKind


class Shown(NamedTuple):
    """How a quantity is shown: end of its key, factor, unit, and what kind of channel it is."""

    suffix: str
    factor: float
    unit: str
    kind: ChannelKind


_OF_UNIT = {
    "m/s2": Shown("_g", 1 / STANDARD_GRAVITY_MPS2, "g", "acceleration"),
    "mm/s": Shown("_mm_s", 1.0, "mm/s", "velocity"),
    "degC": Shown("_c", 1.0, "°C", "temperature"),
    "Hz": Shown("_hz", 1.0, "Hz", "other"),
}
_OF_KEY = {"_mps2": _OF_UNIT["m/s2"], "_mms": _OF_UNIT["mm/s"], "_degc": _OF_UNIT["degC"]}
_BY_END = {**{shown.suffix: shown.unit for shown in _OF_UNIT.values()}, "_s": "s"}
_UCUM = {
    "g": "[g]",
    "°C": "Cel",
    "degC": "Cel",
    "degC/min": "Cel/min",
    "x threshold": "1",
    "µm": "um",
    "rpm": "{rev}/min",
    **{same: same for same in ("1", "%", "A", "Hz", "V", "W", "bar", "l/s", "m/s2", "mm/s", "mm/s/min", "s")},
}


def shown_unit(unit: str) -> Shown:
    """How a quantity in `unit`, as channels have it, is shown; an unknown one stays as it is."""
    return _OF_UNIT.get(unit, Shown("", 1.0, unit, "other"))


def shown_key(key: str) -> tuple[str, float]:
    """A metric's key outside, and the factor of its value: `vib_rms_mps2` is shown as `vib_rms_g`."""
    end, shown = next(((end, one) for end, one in _OF_KEY.items() if key.endswith(end)), ("", None))
    return (key.removesuffix(end) + shown.suffix, shown.factor) if shown else (key, 1.0)


def unit_of(key: str) -> str:
    """The unit that the end of a key outside tells; "1" where it tells none."""
    return next((unit for end, unit in _BY_END.items() if key.endswith(end)), "1")


def ucum(unit: str) -> str | None:
    """The UCUM code of a unit; None for one that we do not know."""
    return _UCUM.get(unit)
