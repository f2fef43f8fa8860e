"""Kill −9 of the uplink, the broker and the author at random moments."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from real_broker import MOSQUITTO

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_nothing_accepted_is_lost_in_twenty_rounds():
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed (apt-get install mosquitto)")
    command = [sys.executable, str(ROOT / "tools" / "torture_uplink"), "--rounds", "20", "--seed", "7"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=150)
    figures = {
        name: int(value)
        for name, value in re.findall(r"^(accepted|lost|settled)\s+(\d+)", done.stdout, re.MULTILINE)
    }
    killed = dict(re.findall(r"(uplink|broker) (\d+)", done.stdout))
    assert done.returncode == 0, done.stdout + done.stderr
    assert figures["lost"] == 0
    assert figures["accepted"] > 500
    assert figures["settled"] > 50  # rows did leave the outbox in between
    assert int(killed["uplink"]) >= 8
    assert int(killed["broker"]) >= 8
