"""The simulated machine against what textbooks say such a machine sounds like."""

import math

import numpy as np
import pytest

from appliance.config import Duty, Fault
from hw.sim.accelerometer import SimAccelerometer
from hw.sim.bearing import BPFI_ORDER, BPFO_ORDER
from hw.sim.clock import SimClock
from hw.sim.duty import DutyCurve
from hw.sim.gear import TEETH
from hw.sim.growth import severities, severity
from hw.sim.rotor import Machine
from hw.sim.shaft import Shaft

SHAFT_HZ = 24.7
TRUE_HZ = SHAFT_HZ * (1 - 0.015 * 0.7)
AXIAL, HORIZONTAL, VERTICAL = 0, 1, 2


def record(*faults, seconds=5.0, rate_hz=25600.0, duty=(), seed=1, resonance_hz=3500.0):
    """AC acceleration, shape (n, 3), as the sensor gives it."""
    sensor = SimAccelerometer(
        Machine(seed, SHAFT_HZ, resonance_hz, faults, duty), SimClock(math.inf), rate_hz
    )
    sensor.start()
    blocks = [sensor.read().counts for _ in range(round(seconds / 0.1))]
    return np.concatenate(blocks) * sensor.scale_mps2 - np.array([0, 0, 9.80665])


def spectrum(x, rate_hz=25600.0):
    """One-sided power spectrum with a Hann window: the sum over a tone's lines is its mean square."""
    window = np.hanning(len(x))
    lines = np.fft.rfft((x - x.mean()) * window)
    return np.fft.rfftfreq(len(x), 1 / rate_hz), 2 * np.abs(lines) ** 2 / (len(x) * np.sum(window**2))


def velocity_mms(x, rate_hz=25600.0):
    hz, power = spectrum(x, rate_hz)
    band = (hz >= 10) & (hz <= 1000)
    return 1e3 * np.sqrt(np.sum(power[band] / (2 * np.pi * hz[band]) ** 2))


def kurtosis(x):
    x = x - x.mean()
    return np.mean(x**4) / np.mean(x**2) ** 2


def tone_rms(x, hz, width_hz=1.0, rate_hz=25600.0):
    grid, power = spectrum(x, rate_hz)
    return math.sqrt(power[np.abs(grid - hz) <= width_hz].sum())


def envelope_line(x, hz, rate_hz=25600.0):
    """Height of a line of the squared envelope spectrum of 2.5-4.5 kHz, in medians of its neighbourhood."""
    lines = np.fft.fft(x)
    grid = np.fft.fftfreq(len(x), 1 / rate_hz)
    lines[(grid < 2500) | (grid > 4500)] = 0
    squared = np.abs(np.fft.ifft(2 * lines)) ** 2
    height = np.abs(np.fft.rfft((squared - squared.mean()) * np.hanning(len(x))))
    grid = np.fft.rfftfreq(len(x), 1 / rate_hz)
    return height[np.abs(grid - hz) <= 0.012 * hz].max() / np.median(height[(grid > 3) & (grid < 500)])


@pytest.mark.parametrize("rate_hz", [3200.0, 6400.0, 25600.0])
def test_healthy_is_quiet_and_gaussian(rate_hz):
    x = record(rate_hz=rate_hz)
    assert 0.75 < velocity_mms(x[:, HORIZONTAL], rate_hz) < 1.0
    assert 2.7 < kurtosis(x[:, VERTICAL]) < 3.2


def test_imbalance_raises_once_per_turn_only():
    sick, healthy = record(Fault("imbalance", severity=0.5)), record()
    assert 2.5 < velocity_mms(sick[:, HORIZONTAL]) < 3.6
    assert kurtosis(sick[:, HORIZONTAL]) < 2.6
    assert tone_rms(sick[:, HORIZONTAL], TRUE_HZ) > 3 * tone_rms(healthy[:, HORIZONTAL], TRUE_HZ)
    assert tone_rms(sick[:, HORIZONTAL], 2 * TRUE_HZ) == pytest.approx(
        tone_rms(healthy[:, HORIZONTAL], 2 * TRUE_HZ), rel=0.1
    )


def test_misalignment_raises_twice_and_thrice_axially():
    sick, healthy = record(Fault("misalignment", severity=0.5)), record()
    for order in (2, 3):
        assert tone_rms(sick[:, AXIAL], order * TRUE_HZ) > 5 * tone_rms(healthy[:, AXIAL], order * TRUE_HZ)
    assert tone_rms(sick[:, AXIAL], TRUE_HZ) == pytest.approx(tone_rms(healthy[:, AXIAL], TRUE_HZ), rel=0.1)


def test_looseness_brings_half_order_many_harmonics_and_a_flat_side():
    sick, healthy = record(Fault("looseness")), record()
    assert tone_rms(sick[:, VERTICAL], TRUE_HZ / 2) > 10 * tone_rms(healthy[:, VERTICAL], TRUE_HZ / 2)
    assert tone_rms(sick[:, VERTICAL], 10 * TRUE_HZ, 3) > 4 * tone_rms(healthy[:, VERTICAL], 10 * TRUE_HZ, 3)
    x = sick[:, VERTICAL] - sick[:, VERTICAL].mean()
    assert x.max() < -0.8 * x.min()


def test_gear_fault_brings_sidebands_of_the_shaft_around_the_mesh():
    sick, healthy = record(Fault("gear", severity=0.5)), record()
    mesh_hz = TEETH * TRUE_HZ
    for sideband, growth in ((-1, 2), (1, 10)):  # amplitude and phase modulation add on one side only
        hz = mesh_hz + sideband * TRUE_HZ
        assert tone_rms(sick[:, VERTICAL], hz, 4) > growth * tone_rms(healthy[:, VERTICAL], hz, 4)


def test_lubrication_raises_the_noise_alone():
    sick, healthy = record(Fault("lubrication", severity=1.0)), record()
    high = [tone_rms(x[:, VERTICAL], 9000, 1000) for x in (sick, healthy)]
    assert high[0] / high[1] == pytest.approx(3.5, rel=0.1)
    assert tone_rms(sick[:, HORIZONTAL], TRUE_HZ) == pytest.approx(
        tone_rms(healthy[:, HORIZONTAL], TRUE_HZ), rel=0.1
    )


def test_outer_race_is_seen_in_the_envelope_not_in_the_velocity():
    sick, healthy = record(Fault("outer_race", severity=0.5)), record()
    x = sick[:, VERTICAL]
    assert velocity_mms(x) < 1.15 * velocity_mms(healthy[:, VERTICAL])
    assert kurtosis(x) > 4
    bpfo_hz = BPFO_ORDER * TRUE_HZ
    assert envelope_line(x, bpfo_hz) > 30
    assert envelope_line(x, 2 * bpfo_hz) > 15
    assert envelope_line(x, bpfo_hz) > 4 * max(envelope_line(x, bpfo_hz + k * TRUE_HZ) for k in (-1, 1))
    assert envelope_line(healthy[:, VERTICAL], bpfo_hz) < 8


def test_inner_race_has_sidebands_of_the_shaft():
    x = record(Fault("inner_race", severity=0.5))[:, VERTICAL]
    bpfi_hz = BPFI_ORDER * TRUE_HZ
    assert kurtosis(x) > 5
    assert envelope_line(x, bpfi_hz) > 20
    assert envelope_line(x, TRUE_HZ) > 20
    assert min(envelope_line(x, bpfi_hz + k * TRUE_HZ) for k in (-1, 1)) > 10


def test_ball_fault_makes_impacts():
    assert kurtosis(record(Fault("ball", severity=0.5))[:, VERTICAL]) > 4


@pytest.mark.parametrize("rate_hz", [3200.0, 6400.0, 25600.0])
def test_outer_race_at_its_worst_trips_absolute_limits(rate_hz):
    x = record(Fault("outer_race"), rate_hz=rate_hz, duty=(Duty(0.0, 1.0, 1.0),))[:, VERTICAL]
    seconds = x[: len(x) // 5 * 5].reshape(5, -1)
    assert (np.abs(seconds).max(axis=1) > 130).all()
    assert (seconds.std(axis=1) > 35).all()


def test_imbalance_at_its_worst_trips_absolute_limits():
    assert record(Fault("imbalance"), rate_hz=3200.0)[:, HORIZONTAL].std() > 35


def test_ringing_does_not_turn_gravity():
    x = record(Fault("outer_race"), duty=(Duty(0.0, 1.0, 1.0),), rate_hz=6400.0)
    assert np.abs(x.mean(axis=0)).max() < 0.5


def test_slow_sensor_is_blind_to_a_resonance_above_its_band():
    faults = Fault("outer_race", severity=0.08)
    seen = [
        np.std(
            record(faults, rate_hz=rate, seconds=3)[:, VERTICAL]
            - record(rate_hz=rate, seconds=3)[:, VERTICAL]
        )
        for rate in (3200.0, 25600.0)
    ]
    assert seen[0] < 0.1 * seen[1]


def test_stop_is_silent_and_restart_takes_seconds():
    x = record(duty=(Duty(5.0, 0.0, 0.0), Duty(30.0, 1.0, 0.7)), seconds=50, rate_hz=3200.0)[:, HORIZONTAL]
    rms = x[: 50 * 3200].reshape(50, -1).std(axis=1)
    floor = rms[25:30].mean()
    assert floor < 0.1 * rms[:5].mean()
    assert rms[31] < 0.5 * rms[:5].mean()
    assert rms[45:].mean() == pytest.approx(rms[:5].mean(), rel=0.1)


def test_load_is_heard():
    quiet, loud = (record(duty=(Duty(0.0, 1.0, load),))[:, VERTICAL].std() for load in (0.3, 1.0))
    assert loud > 1.5 * quiet


def test_duty_follows_first_order():
    curve = DutyCurve((Duty(10.0, 0.0, 0.0),))
    speed, load = curve.at(np.array([0.0, 10.0, 12.5, 100.0]))
    assert speed == pytest.approx([1.0, 1.0, math.exp(-1), 0.0], abs=1e-9)
    assert load == pytest.approx([0.7, 0.7, 0.7 * math.exp(-1), 0.0], abs=1e-9)


def test_shaft_slips_and_wanders():
    shaft = Shaft(1, SHAFT_HZ, DutyCurve(()))
    t_s = np.arange(0, 600, 0.5)
    turns = np.concatenate([shaft.turns(t_s[k : k + 2]) for k in range(0, len(t_s), 2)])
    speed_hz = np.diff(turns) / 0.5
    assert speed_hz.mean() == pytest.approx(TRUE_HZ, rel=1e-3)
    assert 0.0013 < speed_hz.std() / TRUE_HZ < 0.0027


def test_a_point_mounted_later_sees_the_same_machine():
    faults = (Fault("outer_race"),)
    machine = Machine(3, SHAFT_HZ, 3500.0, faults)
    early, late = machine.vibration(6400.0, 3), machine.vibration(6400.0, 3)
    late.skip(6.4)
    for _ in range(64):
        early.chunk(6400.0)
    early.chunk(6400.0)
    late.chunk(6400.0)
    assert late.t_s == pytest.approx(early.t_s)
    here, there = early.chunk(6400.0)[:, VERTICAL], late.chunk(6400.0)[:, VERTICAL]
    assert np.corrcoef(here, there)[0, 1] > 0.98
    assert not np.array_equal(here, there)


def test_two_rates_see_the_same_impacts():
    machine = Machine(3, SHAFT_HZ, 3500.0, (Fault("outer_race"),))
    fast, slow = machine.vibration(25600.0, 1), machine.vibration(12800.0, 1)
    wide = np.concatenate([fast.chunk(25600.0) for _ in range(20)])[::2, 0]
    narrow = np.concatenate([slow.chunk(12800.0) for _ in range(20)])[:, 0]
    n = min(len(wide), len(narrow))
    assert np.corrcoef(wide[:n], narrow[:n])[0, 1] > 0.95


def test_seed_is_the_machine():
    assert np.array_equal(record(seconds=1), record(seconds=1))
    assert not np.array_equal(record(seconds=1), record(seconds=1, seed=2))


def test_growth_is_smooth_and_ends():
    fault = Fault("imbalance", start_s=10.0, full_s=20.0, severity=0.8)
    grown = [severity(fault, t) for t in np.linspace(0, 30, 301)]
    assert grown[0] == grown[100] == 0.0
    assert grown[200] == grown[-1] == 0.8
    assert 0.0 < max(np.diff(grown)) < 0.8 * 0.02
    assert min(np.diff(grown)) >= 0.0
    assert severity(Fault("ball", start_s=5.0), 4.99) == 0.0
    assert severity(Fault("ball", start_s=5.0), 5.0) == 1.0


def test_the_worse_of_two_faults_of_a_kind_counts():
    two = (Fault("gear", severity=0.2), Fault("gear", severity=0.6), Fault("ball", severity=0.1))
    assert severities(two, 1.0) == {"gear": 0.6, "ball": 0.1}


def test_growing_fault_makes_no_step():
    fault = Fault("imbalance", start_s=1.0, full_s=4.0)
    x = record(fault, rate_hz=6400.0)[:, HORIZONTAL]
    steady = record(Fault("imbalance"), rate_hz=6400.0)[:, HORIZONTAL]
    assert np.abs(np.diff(x)).max() <= 1.05 * np.abs(np.diff(steady)).max()
    assert x[-6400:].std() == pytest.approx(steady[-6400:].std(), rel=0.02)


def test_temperature_follows_load_fault_and_stop():
    warm = Machine(duty=(Duty(0.0, 1.0, 1.0),)).thermal()
    assert warm.degc(0.0) == pytest.approx(56.0)
    assert warm.degc(3600.0) == pytest.approx(56.0)
    stopped = Machine(duty=(Duty(0.0, 1.0, 1.0), Duty(100.0, 0.0, 0.0))).thermal()
    assert stopped.degc(1000.0) == pytest.approx(22.0 + 34.0 * math.exp(-1), abs=0.5)
    hot = Machine(faults=(Fault("overheating", start_s=60.0, full_s=60.0),)).thermal()
    first = hot.degc(60.0)
    assert 7.0 < hot.degc(120.0) - first < 11.0
    assert hot.degc(3600.0) > 95.0


def test_temperature_does_not_depend_on_how_often_it_is_asked():
    fault = (Fault("lubrication", start_s=10.0, full_s=100.0),)
    often, seldom = Machine(faults=fault).thermal(), Machine(faults=fault).thermal()
    for t_s in np.arange(0.0, 200.0, 0.37):
        often.degc(float(t_s))
    assert often.degc(200.0) == pytest.approx(seldom.degc(200.0), abs=0.02)
