"""Examines the last windows of one sensor when something is wrong with them: what fault would look so."""

from collections import deque

import numpy as np

from appliance.analysis.diagnose import Normal, diagnose
from appliance.analysis.features import Analysed
from appliance.analysis.impacts import EnvelopeSpectra
from appliance.analysis.lines import IMPACTS, read
from appliance.analysis.speed import speed_hz
from appliance.geometry import Bearing, Geometry, orders
from appliance.records import Hypothesis

WINDOWS = 4
"""So many of the last windows are averaged; at half overlap they are 2.5 windows' worth of machine."""


class Examiner:
    """Keeps the spectra of a running machine's last windows. `take` costs nothing, `__call__` some ms."""

    def __init__(
        self,
        sensor: str,
        rate_hz: float,
        n: int,
        axis_names: tuple[str, ...],
        geometry: Geometry,
    ) -> None:
        """rate_hz: nominal; n: samples a window. normal may be set at any time."""
        bearing = geometry.bearing.get(sensor, Bearing())
        self.normal: Normal = {}
        self._n = n
        self._geometry = geometry
        self._orders = orders(bearing)
        self._axial = axis_names.index(bearing.axial) if bearing.axial in axis_names else None
        self._envelopes = EnvelopeSpectra(rate_hz, n)
        self._windows: deque[Analysed] = deque(maxlen=WINDOWS)

    def take(self, analysed: Analysed) -> None:
        """The next window of the running machine."""
        self._windows.append(analysed)

    def forget(self) -> None:
        """What came before has nothing to do with what comes next."""
        self._windows.clear()

    def figures(self, analysed: Analysed, speed_hz: float | None) -> dict[str, float]:
        """What one window of normal running shows, for `diagnose.normal_of`."""
        lines = read(analysed.power, analysed.rate_hz, self._n, speed_hz, self._geometry)
        impacts = self._envelopes.find([analysed.hann], speed_hz, None)
        return lines.figures | {IMPACTS: impacts.family.level_mps2 if impacts else 0.0}

    def __call__(self) -> tuple[Hypothesis, ...]:
        """What the windows taken look like; none where nothing is unusual or nothing was taken."""
        if not self._windows:
            return ()
        rate_hz = self._windows[-1].rate_hz
        mean = np.asarray(np.mean([window.power for window in self._windows], axis=0), np.float32)
        shaft_hz = speed_hz(mean, rate_hz / self._n, *self._geometry.speed_hz)
        lines = read(mean, rate_hz, self._n, shaft_hz, self._geometry)
        spectra = [window.hann for window in self._windows]
        impacts = self._envelopes.find(spectra, shaft_hz, self._orders)
        compared = self._orders is not None
        return diagnose(lines, impacts, self.normal, self._geometry, compared=compared, axial=self._axial)
