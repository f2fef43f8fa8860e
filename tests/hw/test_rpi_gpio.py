"""RPi.GPIO where it cannot be: the fault says what to install or to set. What works is in contract/."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from hw.board import MODEL
from hw.ports import PortError
from hw.rpi_gpio import RpiInput, RpiOutput

ROOT = Path(__file__).resolve().parents[2]
ON_A_BOARD = MODEL.exists()


def test_without_the_package():
    program = (
        "import sys; sys.modules['RPi'] = None; from hw.rpi_gpio import RpiOutput\n"
        "from hw.ports import PortError\n"
        "try: RpiOutput(17)\nexcept PortError as fault: print(fault)"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert (
        "run: pip install rpi-lgpio (or RPi.GPIO, up to Pi 4), or set the relay's driver to gpio"
        in told.stdout
    )


@pytest.mark.skipif(ON_A_BOARD, reason="this is a board: it has pins")
@pytest.mark.skipif(
    importlib.util.find_spec("RPi") is None, reason="rpi-lgpio not installed (pip install rpi-lgpio)"
)
@pytest.mark.parametrize("take", [RpiOutput, RpiInput])
def test_on_another_machine(take, monkeypatch):
    monkeypatch.delenv("RPI_LGPIO_REVISION", raising=False)
    with pytest.raises(
        PortError, match="not on the Pi 5; install rpi-lgpio there, or set the relay's driver"
    ):
        take(17)
