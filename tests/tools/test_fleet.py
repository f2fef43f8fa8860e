"""Fifty appliances lose their broker together, and do not come back together."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from real_broker import MOSQUITTO

ROOT = Path(__file__).resolve().parents[2]
SMALL = ("--appliances", "50", "--processes", "2", "--down", "3", "--spread", "2")


@pytest.mark.slow
def test_fifty_come_back_spread_out_and_lose_nothing():
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed (apt-get install mosquitto)")
    command = [sys.executable, str(ROOT / "tools" / "fleet"), *SMALL]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=150)
    figures = {
        name: int(n)
        for name, n in re.findall(r"^(came back|accepted|lost) +(\d+)", done.stdout, re.MULTILINE)
    }
    assert figures == {"came back": 50, "accepted": 150, "lost": 0}, done.stdout + done.stderr
    seconds = re.findall(r"^ +\d+ s +(\d+) +(\d+)", done.stdout, re.MULTILINE)
    assert sum(int(came) for _, came in seconds) == 50
    assert sum(came != "0" for _, came in seconds) >= 4, done.stdout
    assert sum(int(tried) for tried, _ in seconds) > 60, "they tried while it was away"
