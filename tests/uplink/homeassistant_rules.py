"""What Home Assistant demands of a discovery message, written from its documentation (MQTT: device discovery,
sensor, binary sensor; their device classes). Only what we use is known: anything else is a fault.
"""

import jinja2

ABBREVIATIONS = {
    "dev": "device", "o": "origin", "cmps": "components", "p": "platform", "stat_t": "state_topic",
    "val_tpl": "value_template", "avty_t": "availability_topic", "avty_tpl": "availability_template",
    "uniq_id": "unique_id", "dev_cla": "device_class", "stat_cla": "state_class", "ops": "options",
    "unit_of_meas": "unit_of_measurement", "exp_aft": "expire_after", "en": "enabled_by_default",
    "ent_cat": "entity_category",
}  # fmt: skip
DEVICE = {"ids": "identifiers", "mdl": "model", "sw": "sw_version", "mf": "manufacturer", "name": "name"}
SHARED = {
    "platform": str, "unique_id": str, "name": str, "state_topic": str, "value_template": str,
    "device_class": str, "expire_after": int, "enabled_by_default": bool, "entity_category": str,
}  # fmt: skip
PLATFORMS = {
    "sensor": SHARED | {"state_class": str, "unit_of_measurement": str, "options": list},
    "binary_sensor": SHARED,
}
UNITS = {
    "temperature": {"°C", "°F", "K"},
    "speed": {"mm/s", "m/s", "mm/d", "mm/h", "in/s", "km/h", "mph", "kn", "ft/s", "Beaufort"},
    "frequency": {"Hz", "kHz", "MHz", "GHz"},
    "duration": {"d", "h", "min", "s", "ms", "µs"},
    "data_size": {"bit", "B", "kB", "MB", "GB", "MiB"},
    "enum": {None},
    None: None,
}
BINARY_CLASSES = {"problem", "safety"}


def entities(payload: dict[str, object]) -> dict[str, dict[str, object]]:
    """The components with full names and what they inherit. Raises AssertionError for a fault."""
    whole = {ABBREVIATIONS.get(key, key): value for key, value in payload.items()}
    assert whole.keys() <= {
        "device",
        "origin",
        "components",
        "availability_topic",
        "availability_template",
        "qos",
    }
    device = {DEVICE[key]: value for key, value in whole["device"].items()}
    assert device["identifiers"]
    assert all(isinstance(one, str) for one in device["identifiers"])
    assert whole["origin"]["name"]
    assert whole["qos"] in (0, 1, 2)
    found = {}
    for key, short in whole["components"].items():
        one = {ABBREVIATIONS.get(name, name): value for name, value in short.items()}
        _entity(one)
        found[key] = one
    names = [one["unique_id"] for one in found.values()]
    assert len(set(names)) == len(names)
    return found


def _entity(one: dict[str, object]) -> None:
    known = PLATFORMS[one["platform"]]
    for name, value in one.items():
        assert isinstance(value, known[name]), (name, value)
    assert {"platform", "unique_id", "state_topic"} <= one.keys()
    assert "+" not in one["state_topic"]
    assert "#" not in one["state_topic"]
    jinja2.Environment(autoescape=True).parse(one["value_template"])
    assert one.get("entity_category") in (None, "diagnostic", "config")
    kind = one.get("device_class")
    if one["platform"] == "binary_sensor":
        assert kind in BINARY_CLASSES
        return
    assert one.get("state_class") in (None, "measurement")
    if UNITS[kind] is not None:
        assert one.get("unit_of_measurement") in UNITS[kind]
    if kind == "enum":
        assert one["options"]
        assert "state_class" not in one


def render(template: str, payload: dict[str, object]) -> str:
    """What Home Assistant makes of a message."""
    return jinja2.Environment(autoescape=False).from_string(template).render(value_json=payload)
