"""What every contact does: bypass key, start-up contact, reset button, on the kernel's simulated GPIO."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import kernel_gpio
import pytest

from hw.gpio_lines import GpioInput, Line
from hw.ports import Input, PortError
from hw.rpi_gpio import RpiInput

ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.skipif(not kernel_gpio.HERE, reason=kernel_gpio.ABSENT)


@pytest.mark.parametrize("active_low", [False, True])
@pytest.mark.parametrize("backend", ["gpio", "rpi"])
def test_it_follows_the_contact(backend, active_low, monkeypatch):
    wire = kernel_gpio.wire()
    if backend == "rpi":
        if importlib.util.find_spec("RPi") is None:
            pytest.skip("rpi-lgpio is not installed (pip install rpi-lgpio)")
        monkeypatch.setenv("RPI_LGPIO_REVISION", "c03114")
        monkeypatch.setenv("RPI_LGPIO_CHIP", wire.path.removeprefix("/dev/gpiochip"))
    contact: Input = (
        GpioInput(Line(wire.chip, wire.offset, active_low))
        if backend == "gpio"
        else RpiInput(wire.offset, active_low=active_low)
    )
    for closed in (False, True, True, False):
        wire.pull(up=closed != active_low)
        assert contact.read() is closed


def test_the_chip_is_found_by_path_too():
    wire = kernel_gpio.wire()
    wire.pull(up=True)
    assert GpioInput(Line(wire.path, wire.offset)).read() is True


def test_a_bias_is_set_as_asked():
    wire = kernel_gpio.wire()
    GpioInput(Line(wire.chip, wire.offset, bias="pull-up"))
    assert (wire.place / "pull").read_text().strip() == "pull-up"


def test_a_line_that_the_chip_does_not_have():
    wire = kernel_gpio.wire()
    with pytest.raises(PortError, match=f"lines 0 to {kernel_gpio.LINES - 1}; correct"):
        GpioInput(Line(wire.chip, 999))


def test_the_chips_that_are_there_are_named():
    wire = kernel_gpio.wire()
    with pytest.raises(PortError, match=wire.chip):
        GpioInput(Line("pinctrl-bcm2711", 3))


def test_the_kernel_knows_who_holds_a_line():
    wire = kernel_gpio.wire()
    GpioInput(Line(wire.chip, wire.offset))
    program = (
        f"import gpiod; i = gpiod.Chip({wire.path!r}).get_line_info({wire.offset}); print(i.consumer, i.used)"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout == "appliance True\n"
