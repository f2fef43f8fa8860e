"""Lines of a spectrum at orders of the shaft, against tones of known velocity."""

import numpy as np
import pytest

from appliance.analysis.diagnose import diagnose
from appliance.analysis.lines import BLADE, IMPACTS, MESH, MESH_SIDEBANDS, NOISE, UNITS, read
from appliance.analysis.spectrum import hann_spectrum, power
from appliance.analysis.waveform import centred
from appliance.geometry import Geometry

RATE_HZ, N, SHAFT_HZ = 6400.0, 8192, 24.7
T_S = np.arange(N) / RATE_HZ


def tone(order: float, mms: float) -> np.ndarray:
    """Acceleration of a line of so many mm/s RMS."""
    omega = 2 * np.pi * order * SHAFT_HZ
    return mms * 1e-3 * omega * np.sqrt(2) * np.sin(omega * T_S + order)


def lines(
    *axes: np.ndarray, speed_hz: float | None = SHAFT_HZ, geometry: Geometry | None = None, floor=0.003
):
    noise = np.random.default_rng(1).normal(0, floor * np.sqrt(RATE_HZ / 2), (len(axes), N))
    accel = (np.array(axes) + noise).astype(np.float32)
    return read(power(hann_spectrum(centred(accel))), RATE_HZ, N, speed_hz, geometry or Geometry())


def test_velocity_of_each_order_of_the_worst_axis():
    found = lines(tone(1, 2.0) + tone(3, 0.5) + tone(0.5, 0.7), tone(1, 4.0) + tone(2, 1.0))
    for name, mms in {"0.5×": 0.7, "1×": 4.0, "2×": 1.0, "3×": 0.5}.items():
        assert found.figures[name] == pytest.approx(mms, rel=0.03)
    assert found.figures["7×"] < 0.02
    assert found.by_axis_mms == pytest.approx(np.array([[2, 0, 0.5], [4, 1, 0]]), abs=0.1)


def test_the_floor_is_a_density_whatever_tones_there_are():
    assert lines(tone(1, 5.0), floor=0.01).figures[NOISE] == pytest.approx(0.01, rel=0.05)
    assert set(UNITS) == {NOISE, MESH, MESH_SIDEBANDS, IMPACTS}


@pytest.mark.parametrize(("rate_hz", "told"), [(50.0, False), (800.0, False), (1344.0, True)])
def test_a_slow_sensor_hears_no_noise_of_friction(rate_hz, told):
    accel = np.random.default_rng(1).normal(0, 1.0, (1, 256)).astype(np.float32)
    found = read(power(hann_spectrum(centred(accel))), rate_hz, 256, None, Geometry())
    assert (NOISE in found.figures) is told
    faults = diagnose(found, None, {NOISE: (1e-9, 1e-9)}, Geometry(), compared=False)
    assert [one.fault for one in faults] == ["lubrication"] * told


def test_without_a_speed_there_are_no_orders():
    assert set(lines(tone(1, 5.0), speed_hz=None).figures) == {NOISE}
    assert set(lines(tone(1, 5.0), speed_hz=5.0).figures) == {NOISE}  # closer than can be told apart


def modulated(teeth: int, depth: float) -> np.ndarray:
    turn = 2 * np.pi * SHAFT_HZ * T_S
    return (1 + depth * np.cos(turn)) * np.sin(teeth * turn)


@pytest.mark.parametrize("geometry", [Geometry(teeth=31), Geometry()])
def test_a_mesh_and_its_sidebands(geometry):
    found = lines(modulated(31, 0.4), geometry=geometry)
    assert found.mesh_order == 31
    assert found.figures[MESH] == pytest.approx(np.sqrt(0.5), rel=0.05)
    assert found.figures[MESH_SIDEBANDS] == pytest.approx(np.sqrt(0.5) * 0.2 * np.sqrt(2), rel=0.1)


def test_no_mesh_where_every_order_is_as_high_or_there_are_no_orders():
    comb = sum(tone(order, 1.0 / order) for order in range(1, 40))
    assert lines(comb).mesh_order == 0
    loud = np.random.default_rng(3).normal(0, 3.0, N)
    assert lines(loud).figures[MESH] == 0.0
    assert lines(tone(1, 3.0), geometry=Geometry(teeth=900)).mesh_order == 0


def test_what_is_also_blade_pass_or_mains_says_nothing_of_the_shaft():
    geometry = Geometry(blades=3, line_hz=SHAFT_HZ)
    found = lines(tone(3, 2.0), geometry=geometry)
    assert found.shared == {"2×", "3×", "6×"}
    assert found.figures[BLADE] == pytest.approx(2.0, rel=0.03)
