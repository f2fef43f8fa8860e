"""Setpoints that make no sense: in the wrong order, of the wrong sign, never reached, never judged."""

from collections.abc import Iterable, Iterator

from appliance.channel_list import Listed
from appliance.config import Config, Levels, Limit
from appliance.toml_lines import Keys
from appliance.toml_types import Fault
from appliance.unit import with_unit

_NEVER_NEGATIVE = ("m/s2", "mm/s", "x threshold")


def senseless(config: Config, channels: Iterable[Listed]) -> Iterator[Fault]:
    """Every fault of the limits in force. channels: all of them; one limit may serve many."""
    places: dict[Keys, list[Listed]] = {}
    for one in channels:
        places.setdefault(one.keys, []).append(one)
    for sharing in places.values():
        one = sharing[0]
        for keys, levels in one.levels:
            yield from _order(one, keys, levels)
            yield from _sign(one, keys, levels)
            yield from _reach(config, sharing, keys, levels)
        if one.learned:
            yield from _learned(one)


def _order(one: Listed, keys: Keys, levels: Limit | Levels) -> Iterator[Fault]:
    alert, danger = levels.alert, levels.danger
    if alert is None or danger is None:
        return
    under = one.limit.direction == "under"
    if alert <= danger if under else alert >= danger:
        side, sign = ("above", ">") if under else ("below", "<")
        found = f"{alert:g} is not {side} danger {danger:g}; expected alert {sign} danger"
        about = ((*keys, "danger"), (*one.keys, "direction"))
        yield Fault((*keys, "alert"), f"{found}; correct one of them", about)


def _sign(one: Listed, keys: Keys, levels: Limit | Levels) -> Iterator[Fault]:
    """Levels that every value is beyond, or none."""
    under = one.limit.direction == "under"
    rate_of_change = one.unit.endswith("/min")
    for name, value in (("alert", levels.alert), ("danger", levels.danger)):
        about = ((*one.keys, "direction"),)
        if value is None:
            continue
        if one.unit in _NEVER_NEGATIVE and value <= 0.0:
            found = f"{value:g} for a quantity that is never negative; expected a level above 0"
            yield Fault((*keys, name), f"{found}; correct it", about)
        elif rate_of_change and (value >= 0.0 if under else value <= 0.0):
            what, side = ("fall", "below") if under else ("rise", "above")
            found = f"{value:g} for a {what} ({one.unit}); expected a level {side} 0"
            yield Fault((*keys, name), f"{found}; correct it, or the direction", about)


def _reach(config: Config, sharing: list[Listed], keys: Keys, levels: Limit | Levels) -> Iterator[Fault]:
    """Levels beyond what every sensor can measure: they would look like protection and never act."""
    one, most = sharing[0], max(each.largest for each in sharing)
    factor = config.protection.trip_multiply if one.multiplied else 1.0
    beyond = f"is beyond the range of every sensor ({with_unit(f'{most:.4g}', one.unit)})"
    ranges = tuple((*each.sensor, key) for each in sharing for key in ("range_g", "scale_mps2"))
    about = (*ranges, ("machine", "preset"), ("vibration",))
    for name, value in (("alert", levels.alert), ("danger", levels.danger)):
        if value is None or value * factor <= most:
            continue
        if value > most:
            yield Fault((*keys, name), f"{value:g} {beyond}; expected a limit inside it; lower it", about)
        else:
            found = f"{value:g} × {factor:g} while the machine starts {beyond}; expected a limit inside it"
            multiply = ("protection", "trip_multiply")
            yield Fault((*keys, name), f"{found}; lower it, or {'.'.join(multiply)}", (multiply, *about))


def _learned(one: Listed) -> Iterator[Fault]:
    if one.limit.not_ok == "danger":
        found = "danger for a learned score, which never trips by its silence; expected alert or ignore"
        yield Fault((*one.keys, "not_ok"), f"{found}; correct it")
    for keys, _ in one.levels[1:]:
        if keys[-1] != "running":
            found = (
                f"levels of a score while the machine is {keys[-1]}; expected none: it is judged only while"
            )
            yield Fault(keys, f"{found} the machine runs; remove them")
