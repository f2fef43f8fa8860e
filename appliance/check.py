"""Reads the configuration file and lists all of its faults with their lines: found; expected; what to do."""

from pathlib import Path

from appliance.config import Config, Limit
from appliance.plausible import implausible
from appliance.sensors import RecordedVibration, driver
from appliance.toml_document import Document


def load(path: Path) -> Config:
    """The configuration in the TOML file `path`; relative paths in it begin at the file's folder.

    Raises:
        ConfigError: all faults, one a line, in the order of the file:
            `file:line: key: found; expected; what to do`. Items of arrays are numbered from 0.
    """
    document = Document(path, Config)
    document.require_sound(implausible(document.content))
    return document.content


def describe(config: Config) -> str:
    """What a sound configuration asks for, a line each: sensors, limits, broker, folders."""
    vibration = (
        f"{s.name} (recording {s.path})"
        if isinstance(s, RecordedVibration)
        else f"{s.name} ({driver(s)}, {s.rate_hz:g} Hz × {s.axes}, ±{s.range_g:.3g} g)"
        for s in config.vibration
    )
    temperature = (f"{s.name} ({driver(s)}, every {s.period_s:g} s)" for s in config.temperature)
    transmitters = (
        f"{s.name} ({s.map.name}, slave {s.slave} on {s.port}, every {s.period_s:g} s)"
        for s in config.transmitter
    )
    site, up = config.machine, config.uplink
    limits = {name: getattr(config.limits, name) for name in config.limits.__struct_fields__}
    return "\n".join(
        (
            f"machine: {site.site}/{site.area}/{site.asset}/{site.device}",
            f"vibration: {', '.join(vibration)}",
            f"temperature: {', '.join(temperature) or 'none'}",
            *(f"transmitter: {one}" for one in transmitters),
            *(
                f"limit {name}: {_levels(limit)}"
                for name, limit in limits.items()
                if isinstance(limit, Limit)
            ),
            *(
                f"limit {s.name}.{quantity}: {_levels(limit)}"
                for s in config.transmitter
                for quantity, limit in s.limits.items()
            ),
            f"NOT OK: {config.limits.not_ok} after {config.limits.not_ok_delay_s:g} s",
            f"broker: {f'{up.host}:{up.port}' if up.enabled else 'none (uplink off)'}",
            f"state: {config.state_dir}, run: {config.run_dir}, on stop: {config.on_stop}",
        )
    )


def _levels(limit: Limit) -> str:
    levels = [
        f"{name} {value:g}" for name, value in (("Alert", limit.alert), ("Danger", limit.danger)) if value
    ]
    return f"{', '.join(levels)} after {limit.delay_s:g} s" if levels else "not watched"
