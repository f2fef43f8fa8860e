"""First process of the rig's machine: makes /dev and /proc, runs one command, powers off.

Arguments: the folder shared with the host. In it: command.json (how it is mounted to write; modules to
insert; argv, folder and environment of the command), boots (a line a boot), status (its own, written last).
"""

import ctypes
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
POWER_OFF = 0x4321FEDC
SYS_FINIT_MODULE = 313
RNDADDENTROPY = 0x40085203
SIOCSIFFLAGS, IFF_UP = 0x8914, 1


def mount(kind: str, where: str, source: str = "none", options: str = "") -> None:
    Path(where).mkdir(parents=True, exist_ok=True)
    if LIBC.mount(source.encode(), where.encode(), kind.encode(), 0, options.encode()):
        raise OSError(ctypes.get_errno(), f"mount {kind} on {where}: {os.strerror(ctypes.get_errno())}")


def furnish(shared: list[str]) -> None:
    """The root is the host's, read-only; what is written goes to memory, or to the shared folder."""
    mount("proc", "/proc")
    mount("sysfs", "/sys")
    mount("debugfs", "/sys/kernel/debug")
    mount("devtmpfs", "/dev")
    mount("devpts", "/dev/pts")
    mount("tmpfs", "/dev/shm")
    mount("tmpfs", "/run")
    kind, source, options = shared
    mount(kind, "/run/rig", source, options)
    Path("/run/tmp").mkdir()
    os.environ["TMPDIR"] = os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = "/run/tmp"


def sow(seed: bytes) -> None:
    """A machine without devices gathers no randomness, and numpy's import would wait for it for ever."""
    with open("/dev/random", "wb") as pool:
        fcntl.ioctl(pool, RNDADDENTROPY, struct.pack("ii", 8 * len(seed), len(seed)) + seed)


def loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def insert(module: str, parameters: str) -> None:
    with open(module, "rb") as file:
        if LIBC.syscall(SYS_FINIT_MODULE, file.fileno(), parameters.encode(), 0):
            raise OSError(ctypes.get_errno(), f"{module}: {os.strerror(ctypes.get_errno())}")


def wait_for(path: str, seconds: float) -> None:
    end_s = time.monotonic() + seconds
    while not Path(path).exists() and time.monotonic() < end_s:
        time.sleep(0.02)


def main() -> int:
    order = json.loads(Path(sys.argv[1], "command.json").read_text())
    furnish(order["shared"])
    shared = Path("/run/rig")
    with (shared / "boots").open("a") as boots:
        boots.write(f"{Path('/proc/uptime').read_text().split()[0]}\n")
    sow(bytes.fromhex(order["seed"]))
    loopback_up()
    for module, parameters in order["modules"]:
        insert(module, parameters)
    mount("configfs", "/sys/kernel/config")
    wait_for("/dev/ttyACM0", 3.0)
    count = len((shared / "boots").read_text().splitlines())
    environment = {**os.environ, **order["environment"], "APPLIANCE_RIG": str(count)}
    return subprocess.run(order["argv"], cwd=order["folder"], env=environment, check=False).returncode


if __name__ == "__main__":
    status = 70
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        status = main()
    finally:
        if Path("/run/rig").is_dir():
            Path("/run/rig/status").write_text(f"{status}\n")
        sys.stdout.flush()
        os.sync()
        LIBC.reboot(POWER_OFF)
