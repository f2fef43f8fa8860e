"""The velocity spectrum of a window as a person looks at it: few lines, each with the energy of its bins."""

import numpy as np

from appliance.analysis.bands import bins_of, velocity_band
from appliance.analysis.features import Analysed
from appliance.analysis.spectrum import Velocity
from appliance.records import Spectrum

MOST_LINES = 200
_DIGITS = 4


def velocity_lines(sensor: str, at_mono_ns: int, analysed: Analysed) -> Spectrum | None:
    """The axis that shakes most, in the band of the velocity; None where rate and window carry none.

    Neighbouring bins are joined to at most MOST_LINES lines of equal width. The squares of the lines add up
    to the square of the axis' velocity RMS (Parseval).
    """
    band = velocity_band(analysed.rate_hz, analysed.n)
    if band is None:
        return None
    first, last = bins_of(band, analysed.rate_hz, analysed.n)
    squares = Velocity(band, analysed.rate_hz, analysed.n).squares_mms2(analysed.power)
    worst = squares[np.argmax(squares.sum(axis=1))]
    joined = -(-(last - first) // MOST_LINES)
    lines = np.sqrt(np.add.reduceat(worst, np.arange(0, last - first, joined)))
    bin_hz = analysed.rate_hz / analysed.n
    return Spectrum(
        sensor=sensor,
        at_mono_ns=at_mono_ns,
        first_hz=(first + (joined - 1) / 2) * bin_hz,
        step_hz=joined * bin_hz,
        lines_mms=tuple(float(f"{line:.{_DIGITS}g}") for line in lines.tolist()),
    )
