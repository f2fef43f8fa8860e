"""Severity zones A to D of broad-band velocity: the table in severity.toml, and the band it is stated for."""

from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from appliance.toml_document import Document
from appliance.toml_types import Fault

BAND_HZ = (10.0, 1000.0)
SAMPLES_PER_PERIOD = 2.56
"""So many samples a period of the highest frequency needs: a sensor's own filter shapes what is above."""
SHIPPED = Path(__file__).with_name("severity.toml")
Edge = Annotated[float, Meta(gt=0)]


class Zones(Struct, forbid_unknown_fields=True, frozen=True):
    """The zones of one group of machines on one support, or of one class."""

    machine: Annotated[str, Meta(min_length=1)]
    """Group and support, or class, as a preset names it: `15-300 kW, rigid`."""
    source: Annotated[str, Meta(min_length=1)]
    """Where the values are from, for a person."""
    edges_mms: tuple[Edge, Edge, Edge]
    """A/B, B/C, C/D, RMS 10–1000 Hz, mm/s."""


class SeverityTable(Struct, forbid_unknown_fields=True, frozen=True):
    """The whole file."""

    zones: Annotated[tuple[Zones, ...], Meta(min_length=1)]
    """Every group and class."""


@cache
def table(path: Path = SHIPPED) -> tuple[Zones, ...]:
    """The zones of a severity file. Raises ConfigError with all its faults, one a line."""
    document = Document(path, SeverityTable)
    document.require_sound()
    document.require_sound(_implausible(document.content))
    return document.content.zones


def band_hz(rate_hz: float) -> tuple[float, float] | None:
    """The part of 10–1000 Hz that a nominal `rate_hz` carries, all of it from 2560 Hz on; None if nothing."""
    low, high = BAND_HZ[0], min(BAND_HZ[1], rate_hz / SAMPLES_PER_PERIOD)
    return (low, high) if high >= low + 2.0 else None


def _implausible(whole: SeverityTable) -> Iterator[Fault]:
    names: set[str] = set()
    for n, zones in enumerate(whole.zones):
        if zones.machine in names:
            found = f"{zones.machine!r} is already there; expected each machine once; remove one"
            yield Fault(("zones", n, "machine"), found)
        names.add(zones.machine)
        if any(upper <= lower for lower, upper in pairwise(zones.edges_mms)):
            found = f"{', '.join(f'{edge:g}' for edge in zones.edges_mms)} do not rise"
            yield Fault(("zones", n, "edges_mms"), f"{found}; expected A/B < B/C < C/D; correct them")
