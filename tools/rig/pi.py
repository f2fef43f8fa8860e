"""Level 4: a Raspberry Pi 3B played by QEMU; our drivers on its own controllers, seen from outside.

Its I2C controller with a TMP105 whose temperature is set from here; a GPIO line whose level is read here from
the controller's register; a USB serial adapter (FTDI) whose other end is a Modbus slave in this program.
"""

import json
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import debian
import initrd
from kernel import HERE, RigError

ROOT = HERE.parents[1]
SYSTEM = (
    "trixie",
    "arm64",
    ("busybox-static", "linux-image-arm64", "python3-numpy", "python3-libgpiod", "python3-serial"),
)
MODULES = ("i2c_bcm2835", "i2c_dev", "phy_generic", "dwc2", "ftdi_sio")
NOT_NEEDED = {"tests", "test", "idlelib", "ensurepip", "turtledemo", "pydoc_data", "f2py"}
LIMIT_S = 240.0
GPLEV0 = 0x3F200034
"""Levels of lines 0 to 31: BCM2835 ARM Peripherals, 6.1."""
LINE = 17
TEMPERATURES_DEGC = (25.0, 80.5, -12.5)
REGISTERS = (231, 52, 300)
QUESTION = bytes.fromhex("01 03 00 00 00 03 05 cb")
ANSWER = bytes.fromhex("01 03 06 00 e7 00 34 01 2c 54 e0")
INIT = """#!/bin/busybox sh
busybox mount -t proc proc /proc; busybox mount -t sysfs sysfs /sys; busybox mount -t devtmpfs dev /dev
for m in {modules}; do busybox insmod /m/$m.ko; done
until [ -e /dev/ttyUSB0 ] && [ -e /dev/i2c-1 ]; do busybox sleep 0.2; done
export PYTHONPATH=/opt PYTHONDONTWRITEBYTECODE=1
export LD_LIBRARY_PATH=/usr/lib/aarch64-linux-gnu/blas:/usr/lib/aarch64-linux-gnu/lapack
exec /usr/bin/python3.13 -u /opt/pi_guest.py
"""


def run() -> int:
    """Boot it, try every part, print what was seen; 0 if all of it was right. Raises RigError."""
    begin_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="pi-") as folder:
        scratch = Path(folder)
        root = debian.unpacked(*SYSTEM)
        (scratch / "initrd").write_bytes(_initrd(root))
        with _slave(scratch / "serial"), _started(root, scratch) as machine:
            model = machine.answer()["ready"]
            print(f"pi: {model}, up after {time.monotonic() - begin_s:.0f} s", flush=True)
            qmp = Qmp(scratch / "qmp")
            right = [*_temperatures(machine, qmp), *_levels(machine, qmp), _exchange(machine)]
    print(f"pi: {sum(right)} of {len(right)} as expected, {time.monotonic() - begin_s:.0f} s")
    return 0 if all(right) else 1


def _temperatures(machine: "Pi", qmp: "Qmp") -> Iterator[bool]:
    for degc in TEMPERATURES_DEGC:
        qmp.ask("qom-set", path="/machine/peripheral/tmp105", property="temperature", value=int(1000 * degc))
        got = machine.ask("temperature")["degc"]
        print(f"pi: TMP105 on I2C set to {degc} °C, hw.lm75 reads {got} °C", flush=True)
        yield got == degc


def _levels(machine: "Pi", qmp: "Qmp") -> Iterator[bool]:
    for wanted in (True, False, True, False):
        back = machine.ask(f"relay {'on' if wanted else 'off'}")["read_back"]
        word = qmp.ask("human-monitor-command", **{"command-line": f"xp /1wx {GPLEV0:#x}"})
        level = bool(int(word.split()[-1], 16) >> LINE & 1)
        print(
            f"pi: relay energised: {wanted}; read back {back}; GPIO {LINE} from outside: {level}",
            flush=True,
        )
        yield back is level is wanted


def _exchange(machine: "Pi") -> bool:
    # Registers 0 to 2 of slave 1, function 3
    got = tuple(machine.ask(f"modbus 0 {len(REGISTERS)}")["registers"])
    print(f"pi: Modbus over the FTDI adapter: the slave holds {REGISTERS}, hw.modbus reads {got}", flush=True)
    return got == REGISTERS


class Pi:
    """The console of the machine: a line in, a line out."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, question: str) -> dict[str, Any]:
        assert self._process.stdin
        self._process.stdin.write(question + "\n")
        self._process.stdin.flush()
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """Raises RigError: the machine ended; with its last words."""
        assert self._process.stdout
        said: list[str] = []
        for line in self._process.stdout:
            if line.startswith("pi: "):
                answer: dict[str, Any] = json.loads(line[4:])
                return answer
            said.append(line)
        raise RigError(
            f"the Pi ended, or was cut off after {LIMIT_S:.0f} s; its last words:\n{''.join(said[-20:])}"
        )


class Qmp:
    """QEMU's own control socket."""

    def __init__(self, path: Path) -> None:
        link = socket.socket(socket.AF_UNIX)
        link.connect(str(path))
        self._file = link.makefile("rw")
        self._file.readline()
        self.ask("qmp_capabilities")

    def ask(self, command: str, **arguments: object) -> Any:
        self._file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self._file.flush()
        while True:
            heard = json.loads(self._file.readline())
            if "error" in heard:
                raise RigError(f"QEMU refused {command}: {heard['error']['desc']}")
            if "return" in heard:
                return heard["return"]


@contextmanager
def _started(root: Path, scratch: Path) -> Iterator[Pi]:
    """The machine, ended at the end and at the limit."""
    command = [
        *debian.qemu("qemu-system-aarch64"), "-M", "raspi3b", "-accel", "tcg,thread=single", "-no-reboot",
        "-kernel", str(next(root.glob("boot/vmlinuz-*"))), "-initrd", str(scratch / "initrd"),
        "-dtb", str(next(root.glob("usr/lib/linux-image-*/broadcom/bcm2837-rpi-3-b.dtb"))),
        "-append", "console=ttyS1,115200 quiet panic=-1",
        "-serial", "null", "-serial", "stdio", "-qmp", f"unix:{scratch / 'qmp'},server=on,wait=off",
        "-device", "tmp105,id=tmp105,bus=i2c-bus.1,address=0x48",
        "-chardev", f"socket,id=serial,path={scratch / 'serial'}", "-device", "usb-serial,chardev=serial",
    ]  # fmt: skip
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        timer = threading.Timer(LIMIT_S, process.kill)
        timer.start()
        try:
            yield Pi(process)
        finally:
            timer.cancel()
            process.kill()


def _initrd(root: Path) -> bytes:
    """Python, numpy, our drivers and the kernel's, of what was unpacked in `root`."""
    libraries = root / "usr/lib/aarch64-linux-gnu"
    wanted = [
        *libraries.glob("*.so*"), *libraries.glob("blas/*"), *libraries.glob("lapack/*"),
        *root.glob("usr/lib/ld-linux-aarch64.so.1"), *root.glob("usr/bin/python3.13"),
        *root.glob("usr/lib/python3.13/**/*"), *root.glob("usr/lib/python3/dist-packages/**/*"),
    ]  # fmt: skip
    busybox = (root / "usr/bin/busybox").read_bytes()
    inserted = initrd.modules([root / "usr/lib/modules"], MODULES)
    return initrd.archive(
        initrd.tree(root, (path for path in wanted if not NOT_NEEDED & set(path.parts)))
        | {name: initrd.folder() for name in ("proc", "sys", "dev", "tmp")}
        | {
            "lib": initrd.link("usr/lib"),
            "bin/busybox": initrd.executable(busybox),
        }
        | {f"m/{name}.ko": initrd.executable(content) for name, content in inserted.items()}
        | {f"opt/hw/{path.name}": initrd.executable(path.read_bytes()) for path in ROOT.glob("hw/*.py")}
        | {"opt/pi_guest.py": initrd.executable((HERE / "pi_guest.py").read_bytes())}
        | {"init": initrd.executable(INIT.format(modules=" ".join(inserted)).encode())}
    )


@contextmanager
def _slave(path: Path) -> Iterator[None]:
    """A Modbus slave at the far end of the serial line; it knows one question."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)
        threading.Thread(target=_serve, args=(listener,), daemon=True).start()
        yield


def _serve(listener: socket.socket) -> None:
    line, _ = listener.accept()
    heard = b""
    while data := line.recv(256):
        heard = (heard + data)[-len(QUESTION) :]
        if heard == QUESTION:
            line.sendall(ANSWER)
