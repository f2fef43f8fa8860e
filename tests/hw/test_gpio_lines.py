"""GPIO lines where there are none: the fault is named. What works is in contract/, on the kernel's GPIO."""

import subprocess
import sys
from pathlib import Path

import pytest

from hw.gpio_lines import GpioInput, GpioOutput, Line, chip_path
from hw.ports import PortError

ROOT = Path(__file__).resolve().parents[2]


def test_a_chip_that_is_not_there():
    with pytest.raises(PortError, match="'pinctrl-none' is not on this machine; there are: "):
        GpioOutput(Line("pinctrl-none", 17))


def test_a_file_that_is_no_chip(tmp_path):
    path = tmp_path / "gpiochip0"
    path.write_text("")
    with pytest.raises(PortError, match="not a GPIO chip"):
        GpioInput(Line(str(path), 17))


def test_the_package_is_loaded_only_where_it_is_used_and_its_absence_named():
    program = (
        "import sys; import hw.gpio_lines as g; print('gpiod' in sys.modules); sys.modules['gpiod'] = None\n"
        "try: g.chip_path('pinctrl-bcm2711')\nexcept g.PortError as fault: print(fault)"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    first, second = told.stdout.splitlines()
    assert first == "False"
    assert second.endswith("run: pip install 'gpiod>=2.1'")


def test_the_second_backend_is_never_loaded_by_itself():
    program = (
        "import sys; from hw.gpio_lines import chip_path\n"
        "try: chip_path('none')\nexcept Exception: pass\nprint([m for m in sys.modules if 'RPi' in m])"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert told.stdout == "[]\n"


def test_a_path_is_taken_only_if_it_is_a_chip():
    with pytest.raises(PortError):
        chip_path("/dev/null")
