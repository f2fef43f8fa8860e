"""The channel list of a configuration: what is watched on each sensor, in which unit, with which limit."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from appliance import preset, register_maps
from appliance.config import Config, Levels, Limit
from appliance.records import MachineState
from appliance.sensors import STANDARD_GRAVITY_MPS2, RecordedVibration, VibrationSensor
from appliance.severity import BAND_HZ, band_hz
from appliance.toml_lines import Keys

STATES = tuple(state for state in MachineState if state is not MachineState.UNKNOWN)
"""Those that may have setpoints of their own."""
DELAY_S = 3.0
"""Where the file does not say; racks offer 1 to 15 s."""
UNASKED_DELAY_S = 10.0
"""The same for a score whose model does not ask for a delay of its own, and for its Danger."""
_MULTIPLIED = ("m/s2", "mm/s")
"""Units of vibration, which trip multiply may raise; never a temperature, never a rate of change."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One channel, `{sensor}.{quantity}`.

    keys: where its limit stands in the file, or would. sensor: where its sensor stands. largest: most that it
    can measure, in `unit`. zone_edges: A/B, B/C, C/D in `unit`, empty where no zone may be named. learned: a
    model's opinion.
    """

    name: str
    unit: str
    limit: Limit
    keys: Keys
    sensor: Keys
    largest: float = math.inf
    zone_edges: tuple[float, ...] = ()
    learned: bool = False

    @property
    def own_delay(self) -> bool:
        """Whether its Alert waits as long as the model asks for: the file does not say how long."""
        return self.learned and self.limit.delay_s is None

    @property
    def alert_delay_s(self) -> float:
        """Time delay of its Alert; with `own_delay` only until a model asks for another."""
        usual_s = UNASKED_DELAY_S if self.learned else DELAY_S
        return usual_s if self.limit.delay_s is None else self.limit.delay_s

    @property
    def danger_delay_s(self) -> float:
        """Time delay of its Danger."""
        return self.alert_delay_s if self.limit.danger_delay_s is None else self.limit.danger_delay_s

    @property
    def multiplied(self) -> bool:
        """Whether trip multiply raises its setpoints."""
        return self.unit in _MULTIPLIED and self.limit.direction == "over"

    @property
    def levels(self) -> tuple[tuple[Keys, Limit | Levels], ...]:
        """Its usual levels, and those of single states of the machine, with their places in the file."""
        by_state = ((state.value, getattr(self.limit, state.value)) for state in STATES)
        return (
            (self.keys, self.limit),
            *(((*self.keys, name), levels) for name, levels in by_state if levels is not None),
        )


def listed(config: Config) -> tuple[Listed, ...]:
    """Every channel, in the order of the file. Raises ConfigError for a register map that cannot be had."""
    return tuple(_by_hand(config, one) for one in _usual(config))


def _usual(config: Config) -> Iterator[Listed]:
    limits = config.limits
    for n, vibration in enumerate(config.vibration):
        yield from _vibration(config, vibration, ("vibration", n))
    for n, thermometer in enumerate(config.temperature):
        name, sensor = thermometer.name, ("temperature", n)
        key = "temperature_slope_degc_per_min"
        yield Listed(
            f"{name}.temperature", "degC", limits.temperature_degc, ("limits", "temperature_degc"), sensor
        )
        yield Listed(
            f"{name}.slope", "degC/min", limits.temperature_slope_degc_per_min, ("limits", key), sensor
        )
    for n, transmitter in enumerate(config.transmitter):
        units = register_maps.units(transmitter.map)
        for quantity, limit in transmitter.limits.items():
            name, keys = f"{transmitter.name}.{quantity}", ("transmitter", n, "limits", quantity)
            yield Listed(name, units[quantity], limit, keys, ("transmitter", n))


def _vibration(config: Config, spec: VibrationSensor, sensor: Keys) -> Iterator[Listed]:
    limits, name = config.limits, spec.name
    most_mps2 = math.inf if isinstance(spec, RecordedVibration) else spec.range_g * STANDARD_GRAVITY_MPS2
    most_mms = most_mps2 / (2.0 * math.pi * BAND_HZ[0]) * 1e3  # all of it at the lowest frequency
    chosen = preset.find(config.machine.preset)
    edges = chosen.zones.edges_mms if chosen and carries_the_band(spec) else ()

    def one(quantity: str, unit: str, key: str, most: float = math.inf) -> Listed:
        return Listed(f"{name}.{quantity}", unit, getattr(limits, key), ("limits", key), sensor, most)

    yield one("peak", "m/s2", "peak_mps2", most_mps2)
    yield one("rms", "m/s2", "rms_mps2", most_mps2)
    yield replace(one("velocity", "mm/s", "velocity_mms", most_mms), zone_edges=edges)
    yield one("velocity-slope", "mm/s/min", "velocity_slope_mms_per_min")
    yield replace(one("score", "x threshold", "score_ratio"), learned=True)


def carries_the_band(spec: VibrationSensor) -> bool:
    """Whether its rate carries all of 10–1000 Hz; a recording that does not say its rate here may not."""
    return spec.rate_hz is not None and band_hz(spec.rate_hz) == BAND_HZ


def _by_hand(config: Config, usual: Listed) -> Listed:
    """With the limit of `[limits.channels]`, where there is one."""
    limit = config.limits.channels.get(usual.name)
    if limit is None:
        return usual
    keys: Keys = ("limits", "channels", usual.name)
    return replace(usual, limit=limit, keys=keys)
