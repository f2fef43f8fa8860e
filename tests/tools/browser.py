"""A headless Chromium on one page, driven over its DevTools protocol: what a person sees and does there."""

import base64
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

from appliance_processes import eventually
from websockets.sync.client import connect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WIDTH, HEIGHT = 1500, 1250
FLAGS = [
    "--headless=new", "--remote-debugging-port=0", f"--window-size={WIDTH},{HEIGHT}", "--hide-scrollbars",
    "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", *["--no-sandbox"] * (os.getuid() == 0),
]  # fmt: skip
_SHOWN = "(() => {{ const one = document.querySelector({css}); return one && one.innerText; }})()"
_PLACE = """(() => {{ const one = document.querySelector({css}); if (!one) return null;
one.scrollIntoView({{ block: 'center' }}); const box = one.getBoundingClientRect();
return [box.x + box.width / 2, box.y + box.height / 2]; }})()"""


class Browser:
    """One page. `close` ends the browser."""

    def __init__(self, folder: Path, address: str) -> None:
        profile = folder / "chromium"
        self._process = subprocess.Popen(
            [str(CHROMIUM), *FLAGS, f"--user-data-dir={profile}", address],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        told = profile / "DevToolsActivePort"
        eventually(lambda: told.exists() and told.read_text().count("\n"), 30.0, "Chromium's DevTools")
        port = int(told.read_text().splitlines()[0])
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=10.0) as answer:
            [page] = [one for one in json.load(answer) if one["type"] == "page"]
        self._socket = connect(page["webSocketDebuggerUrl"], max_size=None)
        self._numbers = itertools.count(1)

    def shown(self, css: str) -> str:
        """The text of the first element that matches; "" where there is none."""
        return self._evaluate(_SHOWN.format(css=json.dumps(css))) or ""

    def waits_for(self, text: str, css: str = "body", within_s: float = 30.0) -> None:
        """Fails unless the element comes to hold this text."""
        with contextlib.suppress(AssertionError):
            eventually(lambda: text in self.shown(css), within_s)
        assert text in self.shown(css), f"{text!r} did not appear within {within_s:g} s in {css}"

    def click(self, css: str) -> None:
        """With the mouse, where the element is."""
        at: list[Any] = []
        eventually(lambda: at.append(self._evaluate(_PLACE.format(css=json.dumps(css)))) or at[-1], what=css)
        x, y = at[-1]
        for kind in ("mousePressed", "mouseReleased"):
            self._ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def write(self, css: str, text: str) -> None:
        self.click(css)
        self._ask("Input.insertText", text=text)

    def picture(self, path: Path) -> None:
        """The whole page as PNG."""
        self._evaluate("window.scrollTo(0, 0)")
        time.sleep(1.0)  # ripples of clicks and the charts' animation
        shot = self._ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def close(self) -> None:
        self._socket.close()
        self._process.terminate()
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _evaluate(self, script: str) -> Any:
        return self._ask("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def _ask(self, method: str, **parameters: object) -> Any:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while (answer := json.loads(self._socket.recv(20.0))).get("id") != number:
            pass
        assert "error" not in answer, answer
        return answer["result"]
