"""The simulated thermometer."""

import contextlib
import math
import time

import numpy as np
import pytest

from appliance.sensors import Trouble
from hw.ports import PortError, Temperature
from hw.sim.clock import SimClock
from hw.sim.rotor import Machine
from hw.sim.thermometer import SimThermometer


def test_first_reading_at_once_then_one_a_period():
    clock = SimClock(math.inf, epoch_ns=0)
    port: Temperature = SimThermometer(Machine(), clock, period_s=2.0)
    readings = [port.read() for _ in range(50)]
    assert np.array([x.host_ns for x in readings]) * 1e-9 == pytest.approx(np.arange(50) * 2.0, abs=1e-3)
    degc = [x.degc for x in readings]
    assert np.mean(degc) == pytest.approx(22 + 34 * (0.25 + 0.75 * 0.7), abs=0.05)
    assert 0 < np.std(degc) < 0.1


def test_real_time_waits_in_short_slices():
    thermometer = SimThermometer(Machine(), SimClock(), period_s=0.6)
    readings, longest_s = [], 0.0
    while len([x for x in readings if x]) < 2:
        begin = time.monotonic()
        readings.append(thermometer.read())
        longest_s = max(longest_s, time.monotonic() - begin)
    assert [x is None for x in readings] == [False, True, True, False]
    assert readings[-1].host_ns - readings[0].host_ns > 0.58e9
    assert longest_s < 0.4


def test_stuck_and_lost():
    troubles = (Trouble("stuck", 10.0, 20.0), Trouble("lost", 30.0, 32.0))
    thermometer = SimThermometer(Machine(), SimClock(math.inf), troubles=troubles)
    degc = [thermometer.read().degc for _ in range(30)]
    assert len(set(degc[9:20])) == 1
    assert len(set(degc[20:])) > 1
    for _ in range(2):
        with pytest.raises(PortError, match="no answer"):
            thermometer.read()
    assert 20 < thermometer.read().degc < 60


def test_lost_is_over_when_the_machines_time_says_so():
    """Whoever asks again rests in between, for much longer than a period of a fast machine lasts."""
    thermometer = SimThermometer(Machine(), SimClock(100.0), troubles=(Trouble("lost", 0.0, 5.0),))
    with pytest.raises(PortError, match="no answer"):
        thermometer.read()
    time.sleep(0.06)
    with contextlib.suppress(PortError):
        thermometer.read()  # due before the rest
    assert thermometer.read() is not None


def test_a_trouble_of_another_sensor_is_refused():
    with pytest.raises(ValueError, match=r"'clip'.*stuck, lost"):
        SimThermometer(Machine(), SimClock(), troubles=(Trouble("clip"),))
