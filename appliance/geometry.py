"""What turns in the machine: speed, bearings, teeth, blades. It gives frequencies their names.

Source: ISO 15243 and any bearing maker's catalogue for the kinematic frequencies, inner race turning.
"""

from collections.abc import Collection, Iterator
from math import cos, radians
from typing import Annotated, Literal, NamedTuple

from msgspec import Meta, Struct

from appliance.sensors import Positive
from appliance.toml_types import Fault
from appliance.toml_values import nearest

FTF_BELOW = 0.5
"""A cage turns slower than half its shaft."""
WHOLE_WITHIN = 0.1
"""BPFO + BPFI is the number of balls; makers round their factors."""


class Bearing(Struct, forbid_unknown_fields=True, frozen=True):
    """The bearing next to one vibration sensor: its dimensions, or its four factors; neither if unknown."""

    balls: Annotated[int, Meta(ge=3, le=200)] | None = None
    """Balls or rollers of one row."""
    ball_mm: Positive | None = None
    """Diameter of a ball or roller, mm."""
    pitch_mm: Positive | None = None
    """Diameter of the circle on which their centres run, mm."""
    contact_deg: Annotated[float, Meta(ge=0, le=60)] = 0.0
    """Contact angle, degrees."""
    bpfo: Positive | None = None
    """Ball passes of the outer race per turn of the shaft, from the maker's page."""
    bpfi: Positive | None = None
    """Ball passes of the inner race per turn."""
    bsf: Positive | None = None
    """Turns of a ball per turn; a spot on it strikes twice as often."""
    ftf: Annotated[float, Meta(gt=0, lt=FTF_BELOW)] | None = None
    """Turns of the cage per turn."""
    axial: Literal["", "x", "y", "z"] = ""
    """Axis of the sensor that lies along the shaft; left out: not known."""


class Geometry(Struct, forbid_unknown_fields=True, frozen=True):
    """What turns in the machine. All of it may be left out; what is known gives alarms their names."""

    speed_rpm: Positive | None = None
    """Speed on the nameplate, turns per minute; where it varies, the slowest."""
    top_speed_rpm: Positive | None = None
    """The fastest speed, where it varies."""
    teeth: Annotated[int, Meta(ge=5, le=1000)] | None = None
    """Teeth of the gear on this shaft."""
    blades: Annotated[int, Meta(ge=2, le=200)] | None = None
    """Blades or vanes of the fan or pump on this shaft."""
    line_hz: Annotated[float, Meta(ge=10, le=400)] | None = None
    """Frequency of the motor's supply, mains or inverter, Hz."""
    bearing: dict[str, Bearing] = {}
    """By the name of the vibration sensor next to it, as `[geometry.bearing.de]`."""

    @property
    def speed_hz(self) -> tuple[float | None, float | None]:
        """Speed on the nameplate and the fastest, as `speed.speed_hz` takes them."""
        slowest, fastest = self.speed_rpm, self.top_speed_rpm
        return slowest and slowest / 60, fastest and fastest / 60


class Orders(NamedTuple):
    """Characteristic frequencies of a bearing per turn of the shaft."""

    bpfo: float
    bpfi: float
    bsf: float
    ftf: float


def orders(bearing: Bearing) -> Orders | None:
    """The four factors of a bearing, as given or from its dimensions; None where neither is known."""
    if bearing.bpfo and bearing.bpfi and bearing.bsf and bearing.ftf:
        return Orders(bearing.bpfo, bearing.bpfi, bearing.bsf, bearing.ftf)
    if not (bearing.balls and bearing.ball_mm and bearing.pitch_mm):
        return None
    ratio = bearing.ball_mm / bearing.pitch_mm * cos(radians(bearing.contact_deg))
    half = bearing.balls / 2
    spin = bearing.pitch_mm / (2 * bearing.ball_mm) * (1 - ratio**2)
    return Orders(half * (1 - ratio), half * (1 + ratio), spin, (1 - ratio) / 2)


def impossible(geometry: Geometry, sensors: Collection[str]) -> Iterator[Fault]:
    """Every fault of `[geometry]` that concerns more than one key. sensors: names of vibration sensors."""
    slowest, fastest = geometry.speed_rpm, geometry.top_speed_rpm
    if fastest is not None and (slowest is None or fastest <= slowest):
        found = f"{fastest:g} with speed_rpm {'left out' if slowest is None else format(slowest, 'g')}"
        where = ("geometry", "top_speed_rpm")
        yield Fault(where, f"{found}; expected slowest, then fastest; correct them", (where[:1],))
    for name, bearing in geometry.bearing.items():
        if name not in sensors:
            found = f"no vibration sensor of this file; expected one of {', '.join(sensors)}"
            yield Fault(("geometry", "bearing", name), f"{found}; {nearest(name, sensors)}")
        for key, message in _impossible_bearing(bearing):
            keys = ("geometry", "bearing", name, *((key,) if key else ()))
            yield Fault(keys, message, (("geometry", "bearing", name),))


def _impossible_bearing(bearing: Bearing) -> Iterator[tuple[str, str]]:
    sizes = [key for key in ("balls", "ball_mm", "pitch_mm") if getattr(bearing, key) is not None]
    factors = [key for key in ("bpfo", "bpfi", "bsf", "ftf") if getattr(bearing, key) is not None]
    if sizes and factors:
        yield sizes[0], f"given with {factors[0]}; expected dimensions or factors; keep the maker's factors"
    elif sizes and len(sizes) < 3:
        yield "", f"only {', '.join(sizes)}; expected balls, ball_mm and pitch_mm; add the others"
    elif factors and len(factors) < 4:
        yield "", f"only {', '.join(factors)}; expected bpfo, bpfi, bsf and ftf; add the others"
    if bearing.ball_mm and bearing.pitch_mm and bearing.ball_mm * 2 > bearing.pitch_mm:
        found = f"{bearing.ball_mm:g} on a circle of {bearing.pitch_mm:g}"
        yield "ball_mm", f"{found}; expected at most half of it; diameters, both in mm"
    if bearing.bpfo and bearing.bpfi:
        balls = bearing.bpfo + bearing.bpfi
        if bearing.bpfo >= bearing.bpfi or abs(balls - round(balls)) > WHOLE_WITHIN:
            found = f"{bearing.bpfo:g} with bpfi {bearing.bpfi:g}, {balls:g} balls together"
            yield "bpfo", f"{found}; expected bpfo < bpfi and a whole number; see the maker's page"
