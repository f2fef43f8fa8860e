"""Home Assistant's MQTT device discovery: one retained message makes the appliance a device with entities.

Source: home-assistant.io, MQTT, "Discovery messages and availability" (device discovery, abbreviated keys).
"""

import logging
import math
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from appliance.config import Config, Site
from appliance.priority import HISTORY
from appliance.uplink.broker import Broker
from appliance.uplink.outbox import Key
from appliance.uplink.topics import Info, Metric, prefix

log = logging.getLogger(__name__)

DISCOVERY: Key = (HISTORY + 2, 0)
"""Key of our messages among the broker's answers."""
_FIRST_ERROR = 0x80
_REFUSED_S = 3600.0
_STALE_S = 300
_MARKER = "homeassistant.topic"
_CLASS = {"°C": "temperature", "mm/s": "speed", "Hz": "frequency", "s": "duration"}
_LEVELS = ("normal", "learning", "warning", "alarm", "tripped")
_MACHINE = ("off", "starting", "running", "stopping", "transient", "unknown")

Entity = dict[str, object]


def discovery(site: Site, info: Info) -> dict[str, object]:
    """The payload: device, origin, entities (`cmps`) from `state`, `telemetry` and `health`."""
    base, root = f"{site.site}-{site.area}-{site.asset}-{site.device}", prefix(site)
    entities = {**_states(root), **_telemetry(root, info), **_health(root)}
    return {
        "dev": {"ids": [base], "name": f"{site.asset} {site.device}", "mdl": "appliance", "sw": info.fw},
        "o": {"name": "appliance", "sw": info.fw},
        "avty_t": f"{root}/status",
        "avty_tpl": "{{ 'online' if value_json.online else 'offline' }}",
        "qos": 1,
        "cmps": {key: {**entity, "uniq_id": f"{base}-{key}"} for key, entity in entities.items()},
    }


def _states(root: str) -> dict[str, Entity]:
    topic = f"{root}/state"
    return {
        "level": _text("Level", topic, "level_name", _LEVELS),
        "machine": _text("Machine", topic, "machine", _MACHINE),
        "zone": _text("Zone", topic, "zone"),
        "reasons": _text("Why the relay is open", topic, "reasons"),
        "score": {**_number("Score", topic, "score"), "stat_cla": "measurement"},
        "tripped": _either("Tripped", topic, "value_json.tripped", "safety"),
        "alarm": _either("Alarm", topic, "value_json.alarm", "problem"),
        "fault": _either("Sensor fault", topic, "not value_json.ok", "problem"),
        "unacknowledged": _either("Not acknowledged", topic, "not value_json.acknowledged", "problem"),
        "bypassed": _either("Bypassed", topic, "value_json.bypassed", "problem"),
    }


def _telemetry(root: str, info: Info) -> dict[str, Entity]:
    """Each figure of each sensor; those without a unit are there, but off until somebody wants them."""
    found: dict[str, Entity] = {}
    for sensor, key, metric in _figures(info):
        unit = metric.unit if isinstance(metric.unit, str) else ""
        told = f"value_json.sensor == '{sensor}' and '{key}' in value_json"
        entity: Entity = {
            "p": "sensor",
            "name": f"{sensor} {key.replace('_', ' ')}",
            "stat_t": f"{root}/telemetry",
            "val_tpl": f"{{% if {told} %}}{{{{ value_json.{key} }}}}{{% endif %}}",
            "stat_cla": "measurement",
            "exp_aft": _STALE_S,
            "en": bool(unit),
        }
        entity |= {"unit_of_meas": unit} if unit else {}
        entity |= {"dev_cla": _CLASS[unit]} if unit in _CLASS else {}
        found[f"{sensor}-{key}"] = entity
    return found


def _figures(info: Info) -> Iterator[tuple[str, str, Metric]]:
    """(sensor, key, what it is): a transmitter's keys begin with `tx_`."""
    sensors = dict.fromkeys(one.name.partition(".")[0] for one in info.channels if "." in one.name)
    vibration = [one.name for one in info.channels if one.kind == "acceleration" and "." not in one.name]
    for key, metric in info.metrics.items():
        if metric.type == "float":
            for sensor in sensors if key.startswith("tx_") else vibration:
                yield sensor, key, metric


def _health(root: str) -> dict[str, Entity]:
    topic = f"{root}/health"
    diagnostic = {"ent_cat": "diagnostic", "stat_cla": "measurement"}
    return {
        "backlog": {**_number("Events not delivered", topic, "backlog"), **diagnostic},
        "disk": {
            **_number("Free disk", topic, "disk_free_mb"),
            **diagnostic,
            "unit_of_meas": "MB",
            "dev_cla": "data_size",
        },
    }


def _number(name: str, topic: str, key: str) -> Entity:
    return {"p": "sensor", "name": name, "stat_t": topic, "val_tpl": f"{{{{ value_json.{key} }}}}"}


def _text(name: str, topic: str, key: str, options: tuple[str, ...] = ()) -> Entity:
    enum: Entity = {"dev_cla": "enum", "ops": list(options)} if options else {}
    return {**_number(name, topic, key), **enum}


def _either(name: str, topic: str, condition: str, device_class: str) -> Entity:
    template = f"{{{{ 'ON' if {condition} else 'OFF' }}}}"
    return {"p": "binary_sensor", "name": name, "stat_t": topic, "val_tpl": template, "dev_cla": device_class}


def _told_before(marker: Path) -> str:
    """The topic in this file; "" where there is none, or the file is not what was written."""
    try:
        topic = marker.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
    return topic if re.fullmatch(r"[a-z0-9-]+/device/[a-z0-9-]+/config", topic) else ""


class Discovery:
    """Tells it once per connection and on change, and withdraws what was told before it was switched off.

    Which topic was told is kept in a file until an empty message there has been acknowledged.
    """

    def __init__(self, config: Config) -> None:
        options, self._site = config.uplink.homeassistant, config.machine
        self._topic = f"{options.prefix}/device/{self._site.device}/config" if options.enabled else ""
        self._marker = config.state_dir / _MARKER
        self._told = _told_before(self._marker)
        self._info: Info | None = None
        self._withdrawn = ""
        self._again_s = -math.inf

    def connected(self) -> None:
        """A new connection: it is told again."""
        self._info = None
        self._withdrawn = ""

    def exchange(self, broker: Broker, info: Info | None, now_s: float) -> None:
        """Publish what is due. Raises Lost."""
        if now_s < self._again_s:
            return
        if self._told and self._told != self._topic:
            if not self._withdrawn:
                self._withdrawn = self._told
                broker.announce(self._told, b"", DISCOVERY)
        elif self._topic and info is not None and info is not self._info:
            self._info = info
            if self._noted():
                broker.announce(self._topic, msgspec.json.encode(discovery(self._site, info)), DISCOVERY)

    def _noted(self) -> bool:
        """Nothing is told that could not be withdrawn later."""
        if not self._told:
            try:
                self._marker.write_text(self._topic, "utf-8")
            except OSError as fault:
                log.warning("Home Assistant: not told: %s; expected room in state_dir", fault)
                return False
            self._told = self._topic
        return True

    def answered(self, reason: int, now_s: float) -> None:
        """The PUBACK of such a message."""
        if reason >= _FIRST_ERROR:
            self._again_s = now_s + _REFUSED_S
            log.warning("Home Assistant: refused with 0x%02x; see the broker's access list", reason)
        elif self._withdrawn:
            self._marker.unlink(missing_ok=True)
            self._told = self._withdrawn = ""
