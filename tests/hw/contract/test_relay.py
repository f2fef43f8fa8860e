"""What every relay does, whoever provides it: the simulated one, the kernel's GPIO lines, RPi.GPIO."""

import importlib.util
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import kernel_gpio
import pytest

from hw.gpio_lines import GpioOutput, Line
from hw.ports import PortError, Relay
from hw.rpi_gpio import RpiOutput
from hw.sim.relay import SimRelay, observed_level

ROOT = Path(__file__).resolve().parents[3]
HOLD = "import time; relay.write(True); print('up', flush=True); time.sleep(60)"


@dataclass
class Bench:
    """make: the relay; program: Python that makes it as `relay`; seen: energised, to an outside observer."""

    make: Callable[[], Relay]
    program: str
    seen: Callable[[], bool]


def simulated(folder: Path) -> Bench:
    edges = folder / "edges.jsonl"
    program = (
        f"from pathlib import Path; from hw.sim.relay import SimRelay; relay = SimRelay(Path({str(edges)!r}))"
    )
    return Bench(lambda: SimRelay(edges), program, lambda: observed_level(edges))


def gpio_line(*, active_low: bool) -> Bench:
    wire = kernel_gpio.wire()
    wire.pull(up=active_low)
    line = Line(wire.chip, wire.offset, active_low=active_low)
    program = f"from hw.gpio_lines import GpioOutput, Line; relay = GpioOutput({line!r})"
    return Bench(lambda: GpioOutput(line), program, lambda: wire.level() != active_low)


def rpi_pin(patch: pytest.MonkeyPatch) -> Bench:
    """rpi-lgpio, told that the simulated chip is a Raspberry Pi 4's; its pins are 0 to 27."""
    wire = kernel_gpio.wire()
    patch.setenv("RPI_LGPIO_REVISION", "c03114")
    patch.setenv("RPI_LGPIO_CHIP", wire.path.removeprefix("/dev/gpiochip"))
    program = f"from hw.rpi_gpio import RpiOutput; relay = RpiOutput({wire.offset})"
    return Bench(lambda: RpiOutput(wire.offset), program, wire.level)


BACKENDS = ("sim", "gpio", "gpio-active-low", "rpi")


@pytest.fixture(params=BACKENDS)
def bench(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    if request.param != "sim" and not kernel_gpio.HERE:
        pytest.skip(kernel_gpio.ABSENT)
    if request.param == "sim":
        return simulated(tmp_path)
    if request.param == "rpi":
        if importlib.util.find_spec("RPi") is None:
            pytest.skip("rpi-lgpio is not installed (pip install rpi-lgpio)")
        return rpi_pin(monkeypatch)
    return gpio_line(active_low=request.param == "gpio-active-low")


def test_it_starts_de_energised(bench):
    relay = bench.make()
    assert relay.read() is False
    assert bench.seen() is False


def test_every_level_is_seen_outside_and_read_back(bench):
    relay = bench.make()
    for level in random.Random(3).choices((False, True), k=200):
        relay.write(level)
        assert bench.seen() is level
        assert relay.read() is level


def test_a_level_stays_until_the_next_write(bench):
    relay = bench.make()
    relay.write(True)
    relay.write(True)
    assert (relay.read(), bench.seen()) == (True, True)
    relay.write(False)
    relay.write(False)
    assert (relay.read(), bench.seen()) == (False, False)


def test_it_drops_when_its_holder_is_killed(bench):
    """The holder has no chance to clean up; the kernel lets the line go and the pull decides."""
    command = [sys.executable, "-c", f"{bench.program}; {HOLD}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, env=dict(os.environ)) as holder:
        assert holder.stdout.readline() == b"up\n"
        assert bench.seen() is True
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        assert bench.seen() is False


def test_it_drops_when_its_holder_hangs_up_or_ends(bench):
    command = [sys.executable, "-c", f"{bench.program}; relay.write(True)"]
    subprocess.run(command, cwd=ROOT, check=True, timeout=30)
    assert bench.seen() is False


def test_the_next_holder_starts_de_energised(bench):
    """A guard that comes back after a trip must not find its own old level."""
    command = [sys.executable, "-c", f"{bench.program}; relay.write(True)"]
    subprocess.run(command, cwd=ROOT, check=True, timeout=30)
    relay = bench.make()
    assert (relay.read(), bench.seen()) == (False, False)


needs_gpio_sim = pytest.mark.skipif(not kernel_gpio.HERE, reason=kernel_gpio.ABSENT)


@needs_gpio_sim
def test_a_wrong_pull_keeps_the_relay_energised_after_a_kill():
    """Why the pin matters: no program can save a line that is pulled to the wrong side."""
    wire = kernel_gpio.wire()
    wire.pull(up=True)
    program = f"from hw.gpio_lines import GpioOutput, Line; GpioOutput(Line({wire.chip!r}, {wire.offset}))"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=30)
    assert wire.level() is True


@needs_gpio_sim
def test_two_holders_of_one_line_are_refused():
    wire = kernel_gpio.wire()
    GpioOutput(Line(wire.chip, wire.offset)).write(True)
    with pytest.raises(PortError, match="held by 'appliance'"):
        GpioOutput(Line(wire.chip, wire.offset))
    assert wire.level() is True, "a refused request must not touch the line"


@needs_gpio_sim
def test_a_line_survives_its_forgotten_object():
    wire = kernel_gpio.wire()
    GpioOutput(Line(wire.chip, wire.offset)).write(True)
    assert wire.level() is True


@needs_gpio_sim
@pytest.mark.parametrize("active_low", [False, True])
def test_read_back_sees_the_contact_not_the_pin(active_low):
    coil, contact = kernel_gpio.wire(), kernel_gpio.wire()
    contact.pull(up=active_low)
    relay = GpioOutput(Line(coil.chip, coil.offset), Line(contact.chip, contact.offset, active_low))
    relay.write(True)
    assert coil.level() is True
    assert relay.read() is False, "a welded or unplugged contact: the pin is high, the contact is not"
    contact.pull(up=not active_low)
    assert relay.read() is True
