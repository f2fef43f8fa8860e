"""The rig's kernel: User Mode Linux from Debian's linux-source, built once and kept."""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
CONFIG = HERE / "uml.config"
SOURCES = Path("/usr/src")
TOOLS = ("gcc", "make", "flex", "bison", "bc", "xz", "nice")
PATCHES = (
    # Room for the floating-point registers of a host with large xstate (AVX-512, AMX); UML panics with less.
    ("arch/x86/um/user-offsets.c", r"(HOST_FP_SIZE, )2696", r"\g<1>11264"),
    # Since 6.8: answers of the USB bridge are heard while its driver starts; without it the driver gives up.
    (
        "drivers/hid/hid-mcp2221.c",
        r"(mutex_init\(&mcp->lock\);\n)(?!(?s:.*)hid_device_io_start)",
        r"hid_device_io_start(hdev);\n\t\1",
    ),
)
SINCE_6_2 = "CONFIG_HID_SUPPORT=y"
NOT_BUILT = (
    *(f"drivers/{name}/*.[ch]" for name in (
        "accel", "acpi", "clk", "comedi", "crypto", "dma", "gpu", "iio", "infiniband", "media", "mfd", "misc",
        "mmc", "mtd", "net/*", "phy", "pinctrl", "platform", "s390", "scsi", "soc", "staging", "video",
    )),
    "Documentation/*/*", "arch/[!ux]*.[chS]", "*.dts*", "fs/xfs/*.[ch]", "sound/*.[ch]",
    "tools/perf", "tools/testing",
)  # fmt: skip
"""Files of the source that no configuration of the rig compiles."""
MEMORY = "1024M"
CHIPS = "chip_addr=0x48,0x53"
"""i2c-stub: memory behind two addresses, an LM75's and an ADXL345's."""
WATCHDOG_S = 4


class RigError(Exception):
    """The rig cannot do what was asked; says what to do."""


@dataclass(frozen=True)
class Kernel:
    """Level 1, a machine for boot.boot. linux: the program; i2c_stub: the module with the register chips."""

    linux: Path
    i2c_stub: Path

    def shared(self, scratch: Path) -> tuple[str, str, str]:
        """(type, source, options) of the mount through which the machine writes to this folder."""
        return "hostfs", "none", str(scratch)

    @property
    def modules(self) -> list[tuple[str, str]]:
        """(file, parameters) of what is inserted first of all."""
        return [(str(self.i2c_stub), CHIPS)]

    def command(self, init: Path, options: Sequence[str], *, resets: bool) -> list[str]:
        """How it is started. init: the first program; options: added to the kernel's command line.

        resets: whether a reset may start it again by itself; this one only dies of it.
        """
        del resets
        return [
            str(self.linux), f"mem={MEMORY}", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro",
            "con=null", "con0=null,fd:1", "ssl=null", "quiet", "panic=1", f"uml_dir={init.parent}",
            f"softdog.soft_margin={WATCHDOG_S}", f"init={init}", *options,
        ]  # fmt: skip


def cache() -> Path:
    """Where kernels are kept: $RIG_CACHE, or ~/.cache/appliance-rig."""
    return Path(os.environ.get("RIG_CACHE") or Path.home() / ".cache" / "appliance-rig")


def source() -> Path:
    """Debian's newest kernel source on this machine. Raises RigError."""
    found = sorted(SOURCES.glob("linux-source-*.tar.xz"), key=_version)
    if not found:
        raise RigError(
            f"{SOURCES}: no linux-source-*.tar.xz, expected Debian's kernel source; run: apt-get install "
            "--no-install-recommends linux-source gcc libc6-dev make flex bison bc xz-utils"
        )
    return found[-1]


def _version(tarball: Path) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", tarball.name))


def _place(tarball: Path) -> Path:
    """The folder of this source and configuration: another one is another kernel."""
    recipe = CONFIG.read_bytes() + f"{PATCHES} {tarball.name} {tarball.stat().st_size}".encode()
    return cache() / f"{tarball.name.removesuffix('.tar.xz')}-{hashlib.sha256(recipe).hexdigest()[:12]}"


def built() -> Kernel | None:
    """The kernel of the source and configuration that are here, if it has been built."""
    try:
        place = _place(source())
    except RigError:
        return None
    kernel = Kernel(place / "linux", place / "i2c-stub.ko")
    return kernel if kernel.linux.exists() and kernel.i2c_stub.exists() else None


def build() -> Kernel:
    """Build it (2 to 4 minutes on two cores, at the lowest priority) or find it built. Raises RigError."""
    kernel = built()
    if kernel is not None:
        return kernel
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    if absent:
        raise RigError(
            f"{', '.join(absent)}: not on this machine, needed to build a kernel; install with apt-get"
        )
    tarball = source()
    place = _place(tarball)
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="build-", dir=cache()) as scratch:
        tree = Path(scratch)
        print(f"rig: unpacking {tarball.name}", flush=True)
        unpack = ["tar", "-I", "xz -T0", "-xf", str(tarball), "--strip-components=1"]
        run([*unpack, *(f"--exclude=*/{pattern}" for pattern in NOT_BUILT)], tree, None)
        for file, found, wanted in PATCHES:
            patch(tree / file, found, wanted)
        log = place / "build.log"
        run(["make", "ARCH=um", f"KCONFIG_ALLCONFIG={CONFIG}", "allnoconfig"], tree, log)
        _check_config(tree / ".config")
        print(f"rig: compiling, log in {log}", flush=True)
        run(["make", "ARCH=um", f"-j{os.cpu_count() or 1}", "linux", "modules"], tree, log, counted=True)
        shutil.copy(tree / "drivers/i2c/i2c-stub.ko", place / "i2c-stub.ko")
        shutil.copy(tree / "linux", place / "linux.new")
        (place / "linux.new").rename(place / "linux")
    return Kernel(place / "linux", place / "i2c-stub.ko")


def patch(file: Path, found: str, wanted: str) -> None:
    """Change one place, if the source is old enough to have it."""
    file.write_text(re.sub(found, wanted, file.read_text(), count=1))


def _check_config(config: Path) -> None:
    """Kconfig drops what it cannot satisfy without a word."""
    got = set(config.read_text().splitlines())
    asked = [line for line in CONFIG.read_text().splitlines() if line.startswith("CONFIG_")]
    dropped = [line for line in asked if line not in got and line != SINCE_6_2]
    if dropped:
        raise RigError(f"{CONFIG.name}: Kconfig dropped {', '.join(dropped)}; add what they depend on")


def run(command: list[str], folder: Path, log: Path | None, *, counted: bool = False) -> None:
    """Run at the lowest priority; a line of progress every 200 files. Raises RigError with its end."""
    tail: list[str] = []
    with subprocess.Popen(
        ["nice", "-n", "19", *command],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as child:
        assert child.stdout is not None
        try:
            for count, line in enumerate(child.stdout, 1):
                tail = [*tail[-14:], line]
                if log is not None:
                    with log.open("a") as out:
                        out.write(line)
                if counted and count % 200 == 0:
                    print(f"rig: {count} files", flush=True)
        except BaseException:
            child.terminate()
            raise
    if child.returncode:
        raise RigError(f"{' '.join(command[:3])} ended with {child.returncode}:\n{''.join(tail)}")
