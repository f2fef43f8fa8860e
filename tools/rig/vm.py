"""Level 2: a PC played by QEMU with Debian's own kernel: slower than level 1, nothing special in it."""

import shutil
import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import debian
import initrd
import kernel
from kernel import RigError

KERNEL = ("bookworm", "amd64", ("linux-image-amd64", "linux-headers-amd64", "linux-source", "busybox-static"))
SOURCES = {
    "hid-mcp2221.c": "drivers/hid/hid-mcp2221.c",
    "hid-ids.h": "drivers/hid/hid-ids.h",
    "sim.c": "drivers/gpio/gpio-sim.c",
    "gpiolib.h": "drivers/gpio/gpiolib.h",
    "irq_sim.c": "kernel/irq/irq_sim.c",
}
KBUILD = "obj-m := gpio-sim.o hid-mcp2221.o\ngpio-sim-y := sim.o irq_sim.o\n"
"""Debian builds no gpio-sim, and this release's hid-mcp2221 does not hear its bridge; see kernel.PATCHES."""
PATCH = ("irq_sim.c", r"handle_simple_irq\(irq_to_desc\((\w+)\)\)", r"generic_handle_irq_safe(\1)")
"""The function of the original is not exported to modules."""
NEEDED_TO_MOUNT = ("virtio_pci", "9pnet_virtio", "9p")
DEVICES = {
    "configfs": "",
    "gpio_sim": "",
    "i2c_dev": "",
    "i2c_stub": kernel.CHIPS,
    "lm75": "",
    "uhid": "",
    "hid_mcp2221": "",
    "cdc_acm": "",
    "dummy_hcd": "",
    "usb_f_acm": "",
    "g_serial": "",
    "i6300esb": f"heartbeat={kernel.WATCHDOG_S}",
    "virtio_blk": "",
    "crc32c_generic": "",
    "ext4": "",
}
"""Modules that make the devices, with their parameters."""
MADE = f"pc-{zlib.crc32(repr((SOURCES, KBUILD, PATCH, NEEDED_TO_MOUNT, [*DEVICES])).encode()):08x}"
"""Folder of what is made from the packages."""
INIT = """#!/bin/busybox sh
busybox mount -t proc proc /proc
for m in {modules}; do busybox insmod /m/$m.ko; done
busybox mount -t 9p -o trans=virtio,version=9p2000.L,cache=loose,msize=1048576,ro host /root
exec busybox switch_root /root $(busybox sed 's/.*rig=\\([^ ]*\\).*/\\1/' /proc/cmdline)
"""


@dataclass(frozen=True)
class Pc:
    """A machine for boot.boot. place: vmlinuz, initrd, modules/NAME.ko; order: of inserting the modules.

    disk: image of /dev/vda; what the machine has flushed to it outlives it, what it has not is lost with it.
    """

    place: Path
    order: tuple[str, ...]
    disk: Path | None = None

    def shared(self, _: Path) -> tuple[str, str, str]:
        """See kernel.Kernel."""
        return "9p", "rig", "trans=virtio,version=9p2000.L,cache=none"

    @property
    def modules(self) -> list[tuple[str, str]]:
        """See kernel.Kernel."""
        return [(str(self.place / f"modules/{name}.ko"), DEVICES.get(name, "")) for name in self.order]

    def command(self, init: Path, options: Sequence[str], *, resets: bool) -> list[str]:
        """How it is started. With resets the watchdog's bite starts it again as it does a real board."""
        words = [
            "console=ttyS0",
            "quiet",
            "panic=1",
            "mitigations=off",
            "audit=0",
            "no_timer_check",
            *options,
        ]
        disk = (
            "-drive", f"file={self.disk},format=raw,if=none,id=disk,cache=writeback",
            "-device", "virtio-blk-pci,drive=disk",
        ) if self.disk else ()  # fmt: skip
        return [
            *debian.qemu("qemu-system-x86_64"),
            "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2",
            "-m", kernel.MEMORY, *(() if resets else ("-no-reboot",)),
            "-kernel", str(self.place / "vmlinuz"), "-initrd", str(self.place / "initrd"),
            "-append", " ".join([*words, f"rig={init}"]), "-serial", "stdio", "-device", "i6300esb",
            "-fsdev", "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap",
            "-device", "virtio-9p-pci,fsdev=root,mount_tag=host",
            "-fsdev", f"local,id=rig,path={init.parent},security_model=none",
            "-device", "virtio-9p-pci,fsdev=rig,mount_tag=rig",
            *disk,
        ]  # fmt: skip


def built() -> Pc | None:
    """The machine, if its packages have been fetched and its modules built."""
    made = debian.place(*KERNEL) / MADE
    if not (made.exists() and debian.place(*debian.QEMU).exists()):
        return None
    return Pc(made, tuple((made / "order").read_text().split()))


def build() -> Pc:
    """Fetch the packages and build two modules (a minute), or find it made. Raises RigError."""
    debian.unpacked(*debian.QEMU)
    root = debian.unpacked(*KERNEL)
    if not (root / MADE).exists():
        _make(root, root / MADE)
    pc = built()
    assert pc
    return pc


def _make(root: Path, place: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="pc-", dir=root) as scratch:
        made = Path(scratch, "pc")
        (made / "modules").mkdir(parents=True)
        extra = _built(root, Path(scratch, "build"))
        folders = (extra, root / "lib/modules")
        first = initrd.modules(folders, NEEDED_TO_MOUNT)
        later = initrd.modules(folders, DEVICES)
        missing = [name for name in (*NEEDED_TO_MOUNT, *DEVICES) if name not in first | later]
        if missing:
            raise RigError(
                f"{root}: no modules {', '.join(missing)}, expected Debian's kernel; remove the folder"
            )
        for name, content in later.items():
            (made / f"modules/{name}.ko").write_bytes(content)
        (made / "order").write_text(" ".join(name for name in later if name not in first))
        (made / "initrd").write_bytes(
            initrd.archive(
                {name: initrd.folder() for name in ("proc", "root")}
                | {"bin/busybox": initrd.executable(_busybox(root))}
                | {f"m/{name}.ko": initrd.executable(content) for name, content in first.items()}
                | {"init": initrd.executable(INIT.format(modules=" ".join(first)).encode())}
            )
        )
        shutil.copy(next(root.glob("boot/vmlinuz-*")), made / "vmlinuz")
        made.rename(place)


def _busybox(root: Path) -> bytes:
    return next(
        path for path in (root / "bin/busybox", root / "usr/bin/busybox") if path.exists()
    ).read_bytes()


def _built(root: Path, folder: Path) -> Path:
    """gpio-sim and hid-mcp2221, built against the headers of the kernel."""
    folder.mkdir()
    tarball = next(root.glob("usr/src/linux-source-*.tar.xz"))
    print(f"rig: building gpio-sim and hid-mcp2221 from {tarball.name}", flush=True)
    members = [f"{tarball.name.removesuffix('.tar.xz')}/{file}" for file in SOURCES.values()]
    unpack = ["tar", "-I", "xz -T0", "-xf", str(tarball), "-C", str(folder), "--strip-components=1", *members]
    kernel.run(unpack, folder, None)
    for name, file in SOURCES.items():
        (folder / file).rename(folder / name)
    for file, found, wanted in (*kernel.PATCHES, PATCH):
        if (folder / Path(file).name).exists():
            kernel.patch(folder / Path(file).name, found, wanted)
    (folder / "Kbuild").write_text(KBUILD)
    headers = next(path for path in root.glob("usr/src/linux-headers-*-amd64"))
    kernel.patch(headers / "Makefile", r"include /usr/src", f"include {root}/usr/src")
    kernel.run(["make", "-C", str(headers), f"M={folder}", "CC=gcc", "modules"], folder, None)
    return folder
