"""The channels of a configuration: which quantity of which sensor is watched, and with which limits."""

from appliance.config import Config, Limit
from appliance.guard import quantities
from appliance.guard.alarm import Channel
from appliance.records import Level

_NOT_OK_LEVEL = {"alert": Level.ALERT, "danger": Level.DANGER, "ignore": Level.NORMAL}


def of(config: Config) -> tuple[Channel, ...]:
    """`.peak`, `.rms`, `.score` of each vibration sensor; `.temperature`, `.slope` of each thermometer;
    each quantity of a transmitter that has a limit.
    """
    limits = config.limits
    found: list[Channel] = []
    for vibration in config.vibration:
        found.append(_channel(config, f"{vibration.name}.peak", "m/s2", limits.peak_mps2))
        found.append(_channel(config, f"{vibration.name}.rms", "m/s2", limits.rms_mps2))
        found.append(_channel(config, f"{vibration.name}.score", "x threshold", limits.score_ratio))
    for thermometer in config.temperature:
        found.append(_channel(config, f"{thermometer.name}.temperature", "degC", limits.temperature_degc))
        slope = limits.temperature_slope_degc_per_min
        found.append(_channel(config, f"{thermometer.name}.slope", "degC/min", slope))
    readings = quantities.unheard(config)
    for transmitter in config.transmitter:
        units = {one.quantity: one.unit for one in readings[transmitter.name]}
        for quantity, limit in transmitter.limits.items():
            found.append(_channel(config, f"{transmitter.name}.{quantity}", units[quantity], limit))
    return tuple(found)


def _channel(config: Config, name: str, unit: str, limit: Limit) -> Channel:
    not_ok = _NOT_OK_LEVEL[config.limits.not_ok]
    if name.endswith(".score"):  # a silent model never trips; the absolute limits still protect
        not_ok = min(not_ok, Level.ALERT)
    return Channel(
        name=name,
        unit=unit,
        alert=limit.alert,
        danger=limit.danger,
        delay_ns=round(limit.delay_s * 1e9),
        not_ok_level=not_ok,
        not_ok_delay_ns=round(config.limits.not_ok_delay_s * 1e9),
    )
