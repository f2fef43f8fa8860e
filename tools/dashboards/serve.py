"""The plant dashboard: Node-RED with our flow, a broker if none is named, a simulated machine if wished.

Everything listens on the loopback only, lives in one folder and ends with this process.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from appliance.desk.broker import Broker  # noqa: E402
from appliance.desk.supervise import Supervisor  # noqa: E402
from appliance.errors import ApplianceError  # noqa: E402

START_S = 60.0
STOP_S = 5.0
SIMULATED = """# Written by tools/dashboard: a pump that wears ten times faster than real time.
state_dir = "state"
run_dir = "run"

[machine]
site = "demo"
area = "hall-1"
asset = "pump-7"
device = "box-1"
preset = "pump, 15-300 kW, rigid"

[simulation]
speed = 10.0
resonance_hz = 2400.0
faults = [
    {{ kind = "imbalance", start_s = 210.0, full_s = 1800.0, severity = 1.0 }},
    {{ kind = "outer_race", start_s = 600.0, full_s = 6000.0, severity = 1.0 }},
]

[[vibration]]
name = "de"
driver = "sim"

[[temperature]]
name = "bearing"
driver = "sim"

[relay]
driver = "sim"

[limits]
score_ratio = {{ alert = 1.0, delay_s = 10.0, off_delay_s = 600.0 }}

[analysis]
learn_s = 120.0

[uplink]
host = "{host}"
port = {port}

[uplink.commands]
allow = ["ack"]
"""


def main() -> int:
    arguments = parser().parse_args()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        with ExitStack() as stack:
            serve(arguments, stack)
    except ApplianceError as fault:
        print(fault, file=sys.stderr)
        return fault.exit_status
    return 0


def parser() -> argparse.ArgumentParser:
    words = argparse.ArgumentParser(prog="tools/dashboard", description=__doc__)
    words.add_argument("--broker", metavar="HOST:PORT", help="of the plant; left out: one is started here")
    words.add_argument("--simulate", action="store_true", help="also run an appliance on a simulated pump")
    words.add_argument("--port", type=int, default=1880, help="of the page, on the loopback (1880)")
    words.add_argument("--folder", type=Path, help="to work in, and to go on in (a temporary one)")
    words.add_argument("--packages", type=Path, required=True, help=argparse.SUPPRESS)
    return words


def serve(arguments: argparse.Namespace, stack: ExitStack) -> None:
    """Start all of it and stay until a signal comes, or Node-RED ends."""
    folder = arguments.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dashboard-")))
    folder.mkdir(parents=True, exist_ok=True)
    host, port = named(arguments.broker) if arguments.broker else stack.enter_context(broker(folder))
    supervisor = stack.enter_context(simulated(folder, host, port)) if arguments.simulate else None
    page = f"http://127.0.0.1:{arguments.port}/dashboard/plant"
    red = stack.enter_context(node_red(folder, arguments.packages, arguments.port, host, port))
    wait_for(page, red, folder / "node-red.log")
    print(f"broker {host}:{port}\nopen   {page}\nCtrl-C ends it", flush=True)
    while red.poll() is None:
        for name, status in supervisor.turn() if supervisor else ():
            print(f"{name} ended with {status}; see {folder}/appliance.log", flush=True)
        time.sleep(0.2)
    raise ended(red, folder / "node-red.log")


def named(broker: str) -> tuple[str, int]:
    """Raises ApplianceError: not HOST:PORT."""
    host, _, port = broker.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ApplianceError(f"--broker {broker}: expected HOST:PORT, as broker.plant:1883; correct it")
    return host, int(port)


@contextmanager
def broker(folder: Path) -> Iterator[tuple[str, int]]:
    one = Broker(folder)
    try:
        one.start()
        yield "127.0.0.1", one.port
    finally:
        one.stop()


@contextmanager
def simulated(folder: Path, host: str, port: int) -> Iterator[Supervisor]:
    config = folder / "appliance.toml"
    config.write_text(SIMULATED.format(host=host, port=port))
    supervisor = Supervisor(config, log=folder / "appliance.log")
    try:
        supervisor.start()
        yield supervisor
    finally:
        supervisor.stop()


@contextmanager
def node_red(
    folder: Path, packages: Path, page: int, host: str, port: int
) -> Iterator[subprocess.Popen[bytes]]:
    """packages: where npm has installed it."""
    user = folder / "node-red"
    user.mkdir(exist_ok=True)
    shutil.copy(HERE / "flow.json", user)
    where = {"BROKER_HOST": host, "BROKER_PORT": str(port), "DASHBOARD_PORT": str(page)}
    command = ["node", str(packages / "node_modules" / "node-red" / "red.js")]
    command += ["--userDir", str(user), "--settings", str(HERE / "settings.js")]
    with (folder / "node-red.log").open("ab") as log:
        red = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ | where
        )
    try:
        yield red
    finally:
        red.terminate()
        try:
            red.wait(STOP_S)
        except subprocess.TimeoutExpired:
            red.kill()
            red.wait()


def wait_for(page: str, red: subprocess.Popen[bytes], log: Path) -> None:
    """Until Node-RED answers. Raises ApplianceError: it ended, or took too long."""
    end_s = time.monotonic() + START_S
    while red.poll() is None:
        try:
            urllib.request.urlopen(page, timeout=2.0).close()
        except (urllib.error.URLError, OSError):
            if time.monotonic() > end_s:
                raise ApplianceError(f"Node-RED does not answer within {START_S:.0f} s; see {log}") from None
            time.sleep(0.2)
        else:
            return
    raise ended(red, log)


def ended(red: subprocess.Popen[bytes], log: Path) -> ApplianceError:
    last = log.read_text(encoding="utf-8", errors="replace")[-600:]
    return ApplianceError(f"Node-RED ended with {red.returncode}; its last words:\n{last}")


if __name__ == "__main__":
    sys.exit(main())
