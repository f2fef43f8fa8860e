"""The register map that a transmitter of the configuration names: a shipped one, or a user's own file."""

from importlib import import_module
from pathlib import Path

from appliance.errors import ConfigError
from appliance.toml_document import Document
from appliance.toml_values import nearest
from hw.register_map import RegisterMap

SHIPPED = {"qm30vt2": ("hw.qm30vt2", "QM30VT2"), "wtvb01": ("hw.wtvb01", "WTVB01_485")}

_UNITS = {"m/s²": "m/s2", "°C": "degC"}


def load(named: Path) -> RegisterMap:
    """The map: what ends in .toml is a file, anything else the name of a shipped one.

    Raises:
        ConfigError: no such map, or all faults of the file, one a line.
    """
    if named.suffix == ".toml":
        document = Document(named, RegisterMap)
        document.require_sound()
        return document.content
    if named.name not in SHIPPED:
        expected = f"one of {', '.join(SHIPPED)}, or a path that ends in .toml"
        raise ConfigError(f"{named.name!r} is no map; expected {expected}; {nearest(named.name, SHIPPED)}")
    module, name = SHIPPED[named.name]
    shipped: RegisterMap = getattr(import_module(module), name)
    return shipped


def units(named: Path) -> dict[str, str]:
    """The quantities of a map, in the units that channels have. Raises ConfigError as `load` does."""
    return {name: _UNITS.get(unit, unit) for name, unit in load(named).units.items()}
