"""The whole guard with its relay on a line of the kernel: killed, it drops; started again, it begins safe."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import kernel_gpio
import pytest

ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.skipif(not kernel_gpio.HERE, reason=kernel_gpio.ABSENT)


@pytest.fixture
def wire() -> kernel_gpio.Wire:
    return kernel_gpio.wire()


@pytest.fixture
def health() -> kernel_gpio.Wire:
    return kernel_gpio.wire()


@pytest.fixture
def start(wire: kernel_gpio.Wire, health: kernel_gpio.Wire, tmp_path: Path) -> Iterator:
    config = tmp_path / "appliance.toml"
    config.write_text(kernel_gpio.guard_config(wire, tmp_path, health))
    started = []

    def one() -> subprocess.Popen:
        command = [sys.executable, "-m", "appliance", "guard", str(config)]
        started.append(subprocess.Popen(command, cwd=ROOT))
        return started[-1]

    yield one
    for guard in started:
        if guard.poll() is None:
            guard.kill()
        guard.wait()


def becomes(wire: kernel_gpio.Wire, level: bool, within_s: float) -> float:
    """Seconds until the line is seen at this level."""
    begin_s = time.monotonic()
    while wire.level() is not level:
        assert time.monotonic() - begin_s < within_s, f"line still {not level} after {within_s} s"
        time.sleep(0.001)
    return time.monotonic() - begin_s


def edges(wire: kernel_gpio.Wire, seconds: float) -> int:
    """How often the line turns over."""
    count, level, end_s = 0, wire.level(), time.monotonic() + seconds
    while time.monotonic() < end_s:
        if wire.level() is not level:
            level, count = not level, count + 1
        time.sleep(0.002)
    return count


def test_killed_it_drops_the_relay_and_started_again_it_begins_safe(wire, start):
    guard = start()
    becomes(wire, True, 20.0)
    os.kill(guard.pid, signal.SIGKILL)
    dropped_s = becomes(wire, False, 2.0)
    print(f"kill -9 to line low: {1e3 * dropped_s:.1f} ms")
    guard.wait()
    start()
    assert wire.level() is False, "it takes the line de-energised, and waits until every channel is judged"
    becomes(wire, True, 20.0)


def test_a_planned_stop_drops_the_relay(wire, start):
    guard = start()
    becomes(wire, True, 20.0)
    guard.terminate()
    becomes(wire, False, 5.0)
    assert guard.wait(10) == 0


def test_hung_it_holds_the_line_which_is_why_there_is_a_watchdog(wire, health, start):
    """The kernel lets go of nothing that still lives: watchdog and health toggle exist for this case."""
    guard = start()
    becomes(wire, True, 20.0)
    assert edges(health, 1.0) >= 5
    guard.send_signal(signal.SIGSTOP)
    assert edges(health, 1.0) <= 1, "the wave stops with the guard, whatever the relay's line does"
    assert wire.level() is True
    guard.kill()
    becomes(wire, False, 2.0)
