"""What transmitters say, as records with the units that channels have."""

import msgspec

from appliance import register_maps
from appliance.config import Config
from appliance.records import QuantityReading, Validity
from hw.ports import Quantities

Readings = tuple[QuantityReading, ...]


def unheard(config: Config) -> dict[str, Readings]:
    """Every quantity of each transmitter's map, before its first answer. Raises ConfigError."""
    return {
        spec.name: tuple(
            QuantityReading(spec.name, name, unit, 0, None, Validity.LOST)
            for name, unit in register_maps.units(spec.map).items()
        )
        for spec in config.transmitter
    }


def heard(readings: Readings, quantities: Quantities) -> Readings:
    """The same quantities with what was answered now."""
    by_name, at_ns = quantities.by_name, quantities.host_ns
    return tuple(
        msgspec.structs.replace(
            one, at_mono_ns=at_ns, value=by_name[one.quantity].value, validity=Validity.OK
        )
        for one in readings
    )


def lost(readings: Readings, at_mono_ns: int) -> Readings:
    """The same quantities of a transmitter that does not answer, with the time at which it was lost."""
    return tuple(
        one
        if one.validity is Validity.LOST and one.at_mono_ns
        else msgspec.structs.replace(one, at_mono_ns=at_mono_ns, value=None, validity=Validity.LOST)
        for one in readings
    )
