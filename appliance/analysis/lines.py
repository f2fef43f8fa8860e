"""The lines of a spectrum that faults of shaft, gear and lubrication move: a few figures with names.

The same figures are taken while normal is learnt, so that a line is judged by the machine's own normal.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from appliance.analysis.bands import USABLE, bins_of
from appliance.analysis.fft import F32
from appliance.geometry import Geometry

F64 = NDArray[np.float64]

ORDERS = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0)
MESH_ORDERS = (11, 60)
"""Where a gear is sought whose teeth are not given: above the shaft's own harmonics."""
STANDS_OUT = 4.0
"""A line of the mesh holds so many times the power found half an order beside it."""
SIDEBANDS, AROUND = 2, 4
"""Lines on either side of a mesh that belong to it, and further ones that should not."""
NARROWEST_BINS = 2.5
"""Half the main lobe of a Hann window, and a little drift."""
WANDER = 0.006
"""Speed drifts so much within a window, relative: a line is that wide."""
MESH_STANDS_OUT = 2.0
"""A mesh whose teeth are not given is so many times as high as three in four lines around its sidebands."""

NOISE, MESH, MESH_SIDEBANDS, BLADE, IMPACTS = "noise", "mesh", "mesh sidebands", "blade pass", "impacts"
NOISE_HZ = 300.0
"""Below, the upper octave holds the orders of the shaft and what they drive, not the noise of friction."""
UNITS = {IMPACTS: "m/s²", NOISE: "m/s²/√Hz", MESH: "m/s²", MESH_SIDEBANDS: "m/s²"}
"""Units of figures; all others are velocity, mm/s."""


def name_of(order: float) -> str:
    """How an order is written: "1×", "0.5×"."""
    return f"{order:g}×"


@dataclass(frozen=True, slots=True)
class Lines:
    """What was found at known frequencies. figures: by name, of the worst axis, in UNITS.

    figures holds `noise` unless the rate is too low, and where the speed is known velocity at ORDERS ("1×",
    as far as the rate reaches), `blade pass`, `mesh` and its sidebands. mesh_order: which multiple of the
    shaft the mesh is, 0 if none.
    by_axis_mms: velocity at 1×, 2×, 3×, shape (axes, 3). shared: orders that are also something else's.
    """

    speed_hz: float | None
    figures: dict[str, float]
    mesh_order: int = 0
    by_axis_mms: F64 | None = None
    shared: frozenset[str] = frozenset()


def read(power: F32, rate_hz: float, n: int, speed_hz: float | None, geometry: Geometry) -> Lines:
    """The lines of a power spectrum, mean square per bin as `spectrum.power` gives it, shape (axes, bins).

    Orders closer than they can be told apart (a slow shaft in a short window) are left out altogether.
    """
    first, last = bins_of((USABLE * rate_hz / 2, USABLE * rate_hz), rate_hz, n)
    density = np.median(power[:, first:last], axis=1) * n / rate_hz / np.log(2)  # median of χ² with 2 degrees
    figures = {NOISE: float(np.sqrt(density.mean()))} if USABLE * rate_hz / 2 >= NOISE_HZ else {}
    if speed_hz is None or speed_hz < 4 * NARROWEST_BINS * rate_hz / n:
        return Lines(None, figures)
    spectrum = _Spectrum(power, rate_hz / n, speed_hz)
    orders = [order for order in ORDERS if order * speed_hz < USABLE * rate_hz]
    velocity = np.array([spectrum.velocity_mms(order) for order in orders])
    figures |= {name_of(order): float(v.max()) for order, v in zip(orders, velocity, strict=True)}
    if geometry.blades and geometry.blades * speed_hz < USABLE * rate_hz:
        figures[BLADE] = float(spectrum.velocity_mms(geometry.blades).max())
    mesh, sidebands, mesh_order = _mesh(spectrum, geometry.teeth, int(USABLE * rate_hz / speed_hz))
    by_axis = velocity[[orders.index(order) for order in (1.0, 2.0, 3.0) if order in orders]].T
    shared = _shared(orders, speed_hz, geometry)
    return Lines(speed_hz, figures | {MESH: mesh, MESH_SIDEBANDS: sidebands}, mesh_order, by_axis, shared)


class _Spectrum:
    """Sums of a power spectrum around multiples of the shaft's speed."""

    def __init__(self, power: F32, bin_hz: float, speed_hz: float) -> None:
        self._power = power.astype(np.float64)
        self._bin_hz = bin_hz
        self._order_bins = speed_hz / bin_hz

    def velocity_mms(self, order: float) -> F64:
        """Velocity RMS of the line at this order less the floor beside it, (axes,), mm/s."""
        low, high = (int(edge) for edge in self._edges(order))
        centre, wide = round(order * self._order_bins), round(0.4 * self._order_bins)
        parts = [self._power[:, max(1, centre - wide) : low], self._power[:, high : centre + wide]]
        beside = np.concatenate(parts, axis=1)
        floor = np.median(beside, axis=1) if beside.shape[1] else np.zeros(len(self._power))
        line = np.maximum(self._power[:, low:high].sum(axis=1) - (high - low) * floor, 0.0)
        omega = 2 * np.pi * order * self._order_bins * self._bin_hz
        return np.asarray(np.sqrt(line) * 1e3 / omega)

    def worst_mps2(self, orders: F64) -> F64:
        """RMS of the lines at whole orders less what is half an order beside them, of the worst axis."""
        total = np.concatenate([np.zeros((len(self._power), 1)), np.cumsum(self._power, axis=1)], axis=1)

        def sums(orders: F64) -> F64:
            low, high = self._edges(orders)
            return np.asarray(total[:, high] - total[:, low])

        lines, beside = sums(orders), np.maximum(sums(orders - 0.5), sums(orders + 0.5))
        clear = np.where(lines > STANDS_OUT * beside, lines - beside, 0.0)
        return np.asarray(np.sqrt(clear[clear.sum(axis=1).argmax()]))

    def _edges(self, orders: F64 | float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """First bin of each line, and the first after it."""
        centre = np.asarray(orders) * self._order_bins
        half = np.minimum(np.maximum(NARROWEST_BINS, WANDER * centre), 0.22 * self._order_bins)
        return np.rint(centre - half).astype(np.intp), np.rint(centre + half).astype(np.intp) + 1


def _mesh(spectrum: _Spectrum, teeth: int | None, highest: int) -> tuple[float, float, int]:
    """Mesh line and its sidebands, m/s², and its order; (0, 0, 0) where no mesh stands out."""
    first, last = (teeth, teeth + 1) if teeth else MESH_ORDERS
    last = min(last, highest - SIDEBANDS)
    if first >= last:
        return 0.0, 0.0, 0
    start = max(1, first - SIDEBANDS - AROUND)
    level = spectrum.worst_mps2(np.arange(start, min(last + SIDEBANDS + AROUND, highest), dtype=np.float64))
    best = first - start + int(level[first - start : last - start].argmax())
    beside = np.concatenate([level[best - SIDEBANDS : best], level[best + 1 : best + SIDEBANDS + 1]])
    around = np.concatenate(
        [level[max(0, best - SIDEBANDS - AROUND) : best - SIDEBANDS], level[best + SIDEBANDS + 1 :][:AROUND]]
    )
    if teeth is None and len(around) and level[best] < MESH_STANDS_OUT * np.percentile(around, 75):
        return 0.0, 0.0, 0
    return float(level[best]), float(np.sqrt(np.sum(beside**2))), best + start


def _shared(orders: Sequence[float], speed_hz: float, geometry: Geometry) -> frozenset[str]:
    """Orders that say nothing of the shaft: blade pass and its double, twice the line frequency."""
    own = {float(k * geometry.blades) for k in (1, 2)} if geometry.blades else set()
    if geometry.line_hz is not None:
        own |= {o for o in orders if abs(o * speed_hz / (2 * geometry.line_hz) - 1) < 2 * WANDER}
    return frozenset(name_of(order) for order in own)
