"""A thermometer that is read every ten minutes does not hold the guard up when it shall end."""

import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
state_dir = "{0}/state"
run_dir = "{0}/run"
[[vibration]]
driver = "sim"
name = "de"
rate_hz = 1000.0
[[temperature]]
driver = "sim"
name = "bearing"
period_s = 600.0
[uplink]
enabled = false
"""


def test_the_guard_ends_at_once(tmp_path: Path) -> None:
    config = tmp_path / "appliance.toml"
    config.write_text(CONFIG.format(tmp_path))
    guard = subprocess.Popen([sys.executable, "-m", "appliance", "guard", str(config)], cwd=ROOT)
    try:
        until_s = time.monotonic() + 15.0
        while not (tmp_path / "run" / "guard.sock").exists():
            assert guard.poll() is None
            assert time.monotonic() < until_s
            time.sleep(0.05)
        time.sleep(0.7)
        begin_s = time.monotonic()
        guard.send_signal(signal.SIGTERM)
        assert guard.wait(10.0) == 0
        assert time.monotonic() - begin_s < 1.9
    finally:
        guard.kill()
        guard.wait()
