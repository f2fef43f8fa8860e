"""The plant's dashboard in a browser: an alarm appears, a person acknowledges it, the device knows it."""

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from appliance_processes import eventually
from browser import CHROMIUM, Browser
from npm_packages import missing, node_modules
from paho.mqtt import publish
from paho.mqtt.client import CallbackAPIVersion, Client
from real_broker import MOSQUITTO, free_port

ROOT = Path(__file__).resolve().parents[2]
PARTS = ROOT / "tools" / "dashboards"
PICTURE = os.environ.get("DASHBOARD_PICTURE")
"""A file for the page's picture: how docs/dashboard.png was made."""


FIRST_MACHINE = ".v-table tbody tr:nth-child(1) td:nth-child(2)"
FAN = (
    ("status", {"v": 1, "online": True, "start": 5, "reason": "connected"}),
    ("state", {"v": 1, "ts": 1, "level": 1, "level_name": "learning", "score": None, "ok": True}),
    ("status", {"v": 1, "online": False, "start": 4, "reason": "lost"}),
)
"""Another appliance; the last is the will of its earlier run, come late."""


@pytest.fixture(scope="module")
def packages() -> Path:
    """Where npm has put Node-RED."""
    for program, there in (("mosquitto", MOSQUITTO), ("chromium", CHROMIUM)):
        if not there:
            missing(f"{program} is not installed (apt install {program})")
    return node_modules(PARTS).parent


class Dashboard:
    """tools/dashboard with its simulated appliance."""

    def __init__(self, folder: Path, packages: Path) -> None:
        port = free_port()
        self.page = f"http://127.0.0.1:{port}/dashboard/plant"
        self.config = folder / "work" / "appliance.toml"
        command = [sys.executable, str(PARTS / "serve.py"), "--packages", str(packages), "--simulate"]
        command += ["--port", str(port), "--folder", str(folder / "work")]
        self.said = folder / "said"
        with self.said.open("wb") as said:
            self.process = subprocess.Popen(command, stdout=said, stderr=said)
        eventually(lambda: self.page in self.said.read_text(), 60.0, "the page")
        self.broker = int(self.said.read_text().split()[1].rpartition(":")[2])

    def device(self) -> dict[str, dict[str, Any]]:
        """Channels as `appliance status --json` tells them."""
        command = [sys.executable, "-m", "appliance", "status", "--json", str(self.config)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
        return {one["channel"]: one for one in json.loads(done.stdout)["channels"]}

    def publish(self, topic: str, said: dict[str, object]) -> None:
        publish.single(topic, json.dumps(said), qos=1, hostname="127.0.0.1", port=self.broker)

    def heard(self, topic: str) -> dict[str, Any]:
        """The next message on this topic."""
        said: list[bytes] = []
        client = Client(CallbackAPIVersion.VERSION2)
        client.on_connect = lambda *_: client.subscribe(topic)
        client.on_message = lambda _client, _data, message: said.append(message.payload)
        client.connect("127.0.0.1", self.broker)
        client.loop_start()
        eventually(lambda: said, 30.0, topic)
        client.loop_stop()
        client.disconnect()
        return json.loads(said[0])

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20.0)


@pytest.fixture
def dashboard(tmp_path: Path, packages: Path) -> Iterator[Dashboard]:
    one = Dashboard(tmp_path, packages)
    yield one
    one.close()


@pytest.fixture
def browse(tmp_path: Path) -> Iterator[Callable[[str], Browser]]:
    opened: list[Browser] = []

    def browse(address: str) -> Browser:
        opened.append(Browser(tmp_path, address))
        return opened[-1]

    yield browse
    for one in opened:
        one.close()


@pytest.mark.slow
def test_an_alarm_appears_and_is_acknowledged_to_the_device(
    dashboard: Dashboard, browse: Callable[[str], Browser]
) -> None:
    page = browse(dashboard.page)
    page.waits_for("pump-7")
    page.waits_for("running")
    page.waits_for("No alarm waits to be acknowledged.", ".alarms")
    page.waits_for("pump-7", ".alarms table", within_s=120.0)
    # A computer with too much else to do loses samples: then there are more alarms than the score's.
    channel = min(name for name, one in dashboard.device().items() if not one["acknowledged"])
    button = f'.alarms [data-channel="{channel}"]'
    page.waits_for("Acknowledge", button)
    page.waits_for("warning", ".machine .level")

    page.write(".alarms input", "anna")
    page.click(button)

    eventually(lambda: dashboard.device()[channel]["acknowledged"], what="the device's word")
    page.waits_for(f"pump-7 {channel}: ", ".answer")
    page.waits_for(f"alarm acknowledged on {channel} by mqtt:anna")
    eventually(lambda: not page.shown(button), what="the end of the row")

    lines_mm_s = dashboard.heard("pdm/v1/demo/hall-1/pump-7/box-1/spectrum")["lines_mm_s"]
    velocity_mms = dashboard.device()["de.velocity"]["value"]
    assert math.hypot(*lines_mm_s) == pytest.approx(velocity_mms, rel=0.25)  # it rises meanwhile

    fan = "pdm/v1/demo/hall-1/fan-3/box-2"
    for suffix, said in FAN:
        dashboard.publish(f"{fan}/{suffix}", said)
    page.waits_for("fan-3")
    page.click(FIRST_MACHINE)  # they are in order of their names
    page.waits_for("fan-3", ".machine h3")
    page.waits_for("learning", ".machine .level")
    dashboard.publish(f"{fan}/status", {"v": 1, "online": False, "start": 5, "reason": "lost"})
    page.waits_for("offline", ".machine .level")

    page.click(FIRST_MACHINE.replace("tr:nth-child(1)", "tr:nth-child(2)"))
    page.waits_for("pump-7", ".machine h3")
    if PICTURE:
        page.waits_for("de.velocity", ".alarms table", within_s=400.0)  # in zone C by then
        page.picture(Path(PICTURE))


def test_the_flow_is_what_its_parts_say() -> None:
    done = subprocess.run(
        [sys.executable, str(PARTS / "flow.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("broker", ["plant", "plant:99999"])
def test_a_broker_that_is_none(tmp_path: Path, broker: str) -> None:
    command = [sys.executable, str(PARTS / "serve.py"), "--packages", str(tmp_path), "--broker", broker]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert done.stderr == f"--broker {broker}: expected HOST:PORT, as broker.plant:1883; correct it\n"
