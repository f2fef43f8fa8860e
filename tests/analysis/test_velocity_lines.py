"""The velocity spectrum for people: it holds the velocity, a tone stands where it is, it is never long."""

import numpy as np
import pytest

from appliance.analysis.features import Extractor
from appliance.analysis.velocity_lines import MOST_LINES, velocity_lines


def tone(rate_hz, n, f_hz, rms_mms):
    """m/s² of a tone of this velocity."""
    t = np.arange(n) / rate_hz
    return rms_mms * 1e-3 * np.sqrt(2) * 2 * np.pi * f_hz * np.sin(2 * np.pi * f_hz * t + 0.4)


@pytest.mark.parametrize(
    ("rate_hz", "n", "f_hz"),
    [(6400, 8192, 124.0), (3332, 4265, 49.3), (26667, 34134, 871.0), (400, 512, 23.5)],
)
def test_the_lines_hold_the_velocity_of_the_worst_axis(rate_hz, n, f_hz):
    rng = np.random.default_rng(1)
    tones = np.stack([tone(rate_hz, n, f_hz, 0.3), tone(rate_hz, n, f_hz, 2.0)])
    accel = rng.normal(0, 0.05, (2, n)) + tones
    extractor = Extractor(rate_hz, n, ("x", "y"))
    analysed = extractor.analyse(accel.astype(np.float32))
    seen = velocity_lines("de", 7, analysed)
    assert (seen.sensor, seen.at_mono_ns) == ("de", 7)
    assert 20 < len(seen.lines_mms) <= MOST_LINES
    read_mms = np.sqrt(np.sum(np.square(seen.lines_mms)))
    assert read_mms == pytest.approx(extractor.metrics(analysed)["vib_vel_mms"], rel=1e-3)
    highest_hz = seen.first_hz + seen.step_hz * int(np.argmax(seen.lines_mms))
    assert abs(highest_hz - f_hz) <= seen.step_hz / 2 + rate_hz / n


def test_no_velocity_no_spectrum():
    accel = np.random.default_rng(1).normal(0, 1, (1, 16)).astype(np.float32)
    assert velocity_lines("de", 7, Extractor(50, 16, ("x",)).analyse(accel)) is None
