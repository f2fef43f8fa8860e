"""Faults between the lines of the GPIO: one line with two duties."""

from collections.abc import Iterator
from typing import NamedTuple

from appliance.config import Config
from appliance.pins import GpioContact, GpioRelay, RpiGpioContact, RpiGpioRelay
from appliance.toml_lines import Keys
from appliance.toml_types import Fault


class _Use(NamedTuple):
    """chip: its label; "" for a pin by its BCM number, which is the line's number on a Pi's own chip."""

    keys: Keys
    chip: str
    line: int


def used_twice(config: Config) -> Iterator[Fault]:
    """Every line that relay, read-back, health toggle and contacts would share."""
    uses = list(_uses(config))
    for n, use in enumerate(uses):
        first = next((one for one in uses[:n] if _same(one, use)), None)
        if first:
            found = f"{use.line} is already the line of {'.'.join(map(str, first.keys))}"
            remedy = "expected a line of its own; move one of them"
            yield Fault(use.keys, f"{found}; {remedy}", (first.keys, use.keys[:-1]))


def _same(one: _Use, other: _Use) -> bool:
    return one.line == other.line and (one.chip == other.chip or "" in (one.chip, other.chip))


def _uses(config: Config) -> Iterator[_Use]:
    relay = config.relay
    if isinstance(relay, GpioRelay | RpiGpioRelay):
        first, chip = ("line", relay.chip) if isinstance(relay, GpioRelay) else ("pin", "")
        for name in (first, "read_back", "health"):
            if (line := getattr(relay, name)) is not None:
                yield _Use(("relay", name), chip, line)
    for name, spec in config.inputs.wired.items():
        if isinstance(spec, GpioContact):
            yield _Use(("inputs", name, "line"), spec.chip, spec.line)
        elif isinstance(spec, RpiGpioContact):
            yield _Use(("inputs", name, "pin"), "", spec.pin)
