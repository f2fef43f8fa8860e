"""When a window was complete in memory, asked for by one thread while another brings blocks."""

import sys
import threading
import time

import pytest

from appliance.guard.sensor import VibrationWatch
from hw.sim.accelerometer import SimAccelerometer
from hw.sim.clock import SimClock
from hw.sim.rotor import Machine


@pytest.fixture
def watch():
    return VibrationWatch("de", SimAccelerometer(Machine(), SimClock(1.0, 0)))


def test_the_block_that_completed_a_window_tells_when(watch):
    assert watch.arrived_ns(5) is None
    watch.arrivals.extend((100_000_000 * n, n) for n in range(10, 20))
    assert watch.arrived_ns(1_450_000_000) == 15
    assert watch.arrived_ns(999_000_000) is None  # too long ago
    assert watch.arrived_ns(9_000_000_000) is None  # not there yet


def test_blocks_that_arrive_meanwhile_end_nothing(watch):
    stop = threading.Event()

    def bring():
        at_ns = 0
        while not stop.is_set():
            at_ns += 1_000_000
            watch.arrivals.append((at_ns, at_ns))

    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=bring)
    thread.start()
    try:
        until_s = time.monotonic() + 0.5
        while time.monotonic() < until_s:
            end_ns = watch.arrivals[-1][0] if watch.arrivals else 0
            watch.arrived_ns(end_ns)
    finally:
        stop.set()
        thread.join()
        sys.setswitchinterval(interval_s)
