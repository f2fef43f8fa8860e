"""A simulated machine to practise commissioning on: no hardware, no broker; it stands still at first."""

import os
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from appliance.daemon import EPOCH_VARIABLE
from appliance.desk.supervise import Supervisor

SPEED = 10.0
CONFIG = f"""# A simulated pump, {SPEED:.0f} times faster than real time, switched on after a minute of it.
state_dir = "state"
run_dir = "run"

[machine]
asset = "pump-7"

[simulation]
speed = {SPEED}
duty = [{{ at_s = 0, speed = 0, load = 0 }}, {{ at_s = 60, speed = 1, load = 0.7 }}]

[[vibration]]
name = "de"
driver = "sim"

[[temperature]]
name = "bearing"
driver = "sim"

[relay]
driver = "sim"
edges = "relay.jsonl"

[uplink]
enabled = false
"""


class Practice:
    """A new folder with a configuration; `start` runs the processes on it, and they end with us."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="appliance-practice-"))
        self.config = self.folder / "appliance.toml"
        self.config.write_text(CONFIG)
        self._supervisor = Supervisor(self.config, log=self.folder / "processes.log")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all that was started."""
        self._supervisor.stop()

    def start(self) -> int:
        """Plug it in; CLOCK_MONOTONIC of that moment, at which the machine's time begins, ns."""
        epoch_ns = time.monotonic_ns()
        os.environ[EPOCH_VARIABLE] = str(epoch_ns)
        self._supervisor.start()
        return epoch_ns

    def turn(self) -> None:
        """Restart what died."""
        self._supervisor.turn()
