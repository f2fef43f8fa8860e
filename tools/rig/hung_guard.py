"""Inside the rig: a guard feeds the watchdog through its service manager, hangs, and the machine is reset.

First boot: start the guard on a real GPIO line; when it energises its relay, open the watchdog and pass the
guard's WATCHDOG=1 on to it, as systemd does; see the relay energised for longer than the watchdog's patience,
then stop the guard in its tracks (SIGSTOP).
Second boot: say that the machine came back.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

import kernel_gpio

PATIENCE_S = 4.0
"""The watchdog's, set where the machine is started: kernel.WATCHDOG_S."""
START_S = 40.0


def manager() -> socket.socket:
    """What systemd listens on."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind("/run/notify")
    sock.settimeout(PATIENCE_S / 4)
    return sock


def feed(sock: socket.socket, dog: int, seconds: float) -> None:
    """Pass every WATCHDOG=1 on, and nothing else."""
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        try:
            if b"WATCHDOG=1" in sock.recv(4096):
                os.write(dog, b"\0")
        except TimeoutError:
            print(f"{time.monotonic():.1f} s: the guard says nothing; the watchdog is not fed")


def main() -> None:
    if os.environ["APPLIANCE_RIG"] != "1":
        print("the watchdog reset the machine; it came back, and every line is at its pull again")
        return
    wire = kernel_gpio.wire()
    sock = manager()
    config = Path("/run/appliance.toml")
    config.write_text(kernel_gpio.guard_config(wire, Path("/run")))
    command = [sys.executable, "-m", "appliance", "guard", str(config)]
    environment = {**os.environ, "NOTIFY_SOCKET": "/run/notify", "WATCHDOG_USEC": "2000000"}
    guard = subprocess.Popen(command, env=environment)
    while not wire.level() and time.monotonic() < START_S:
        time.sleep(0.1)
    dog = os.open("/dev/watchdog", os.O_WRONLY)
    feed(sock, dog, 2 * PATIENCE_S)
    print(f"{time.monotonic():.1f} s: fed for {2 * PATIENCE_S:.0f} s; relay energised: {wire.level()}")
    if not wire.level():
        sys.exit("the guard did not energise the relay; nothing is shown")
    guard.send_signal(signal.SIGSTOP)
    print(f"{time.monotonic():.1f} s: the guard hangs; relay energised: {wire.level()}")
    feed(sock, dog, 10 * PATIENCE_S)
    sys.exit("the watchdog did not bite")


if __name__ == "__main__":
    main()
