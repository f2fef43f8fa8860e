"""Configuration of what the uplink says beside the contract: Sparkplug B and Home Assistant discovery."""

from typing import Annotated

from msgspec import Meta, Struct

from appliance.sensors import Token

SparkplugId = Annotated[
    str, Meta(pattern=r"^[^+/#\x00-\x1f]{0,64}$", description="64 characters at most, without + / #")
]


class Sparkplug(Struct, forbid_unknown_fields=True, frozen=True):
    """Sparkplug B 3.0 on a connection of its own, beside the JSON topics. See docs/PLANT.md, Sparkplug."""

    enabled: bool = False
    """Whether to be a Sparkplug edge node too."""
    group: SparkplugId = ""
    """Group ID; empty: machine.site. The Edge Node ID is machine.device."""
    primary_host: SparkplugId = ""
    """Host ID of the primary host, whose STATE births wait for; empty: born at once."""
    datatype_in_data: bool = True
    """Whether DATA messages repeat the data type: the standard advises against it, some decoders need it."""
    keep_mb: Annotated[float, Meta(ge=1, le=10_000)] = 32.0
    """Most that may wait on disk for the host, MB; the oldest gives way."""


class HomeAssistant(Struct, forbid_unknown_fields=True, frozen=True):
    """MQTT discovery for Home Assistant. See docs/PLANT.md, Home Assistant."""

    enabled: bool = False
    """Whether to announce the appliance as a device; when set back it is withdrawn."""
    prefix: Token = "homeassistant"
    """Discovery prefix, as set in Home Assistant."""
