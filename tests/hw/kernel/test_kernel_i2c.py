"""I2C through the kernel: its register stub, its lm75 driver, and a USB bridge that can be unplugged."""

import contextlib
import ctypes
import fcntl
import os
import struct
import time
from pathlib import Path

import pytest
from usb_bridge import UsbI2cBridge

from hw.bus import BusError
from hw.i2c_linux import LinuxI2c
from hw.lm75 import Lm75
from hw.monoclock import MonoClock
from hw.sim.chips.thermometers import Lm75Chip, Tmp117Chip
from hw.sim.rotor import Machine
from hw.sysfs_temperature import SysfsTemperature
from hw.tmp117 import Tmp117

pytestmark = pytest.mark.skipif(
    "APPLIANCE_RIG" not in os.environ, reason="outside the rig; run: tools/rig/rig run"
)
I2C_SLAVE_FORCE, I2C_SMBUS = 0x0706, 0x0720


def stub() -> Path:
    for name in Path("/sys/bus/i2c/devices").glob("i2c-*/name"):
        if "stub" in name.read_text():
            return Path("/dev") / name.parent.name
    raise AssertionError("i2c-stub is not loaded")


def poke(address: int, register: int, value: int, *, word: bool = False) -> None:
    """Write one register of the stub by SMBus, which is all it speaks."""
    data = ctypes.create_string_buffer(struct.pack("<H", value), 34)
    fd = os.open(stub(), os.O_RDWR)
    fcntl.ioctl(fd, I2C_SLAVE_FORCE, address)  # the kernel driver holds it
    request = struct.pack("BBIP", 0, register, 3 if word else 2, ctypes.addressof(data))
    fcntl.ioctl(fd, I2C_SMBUS, request)
    os.close(fd)


@pytest.fixture
def bridge():
    machine = Machine()
    plugged = UsbI2cBridge({0x48: Lm75Chip(machine), 0x49: Tmp117Chip(machine)})
    yield plugged
    plugged.unplug()


@pytest.fixture
def bus(bridge):
    """Closed before the bridge is unplugged, or the kernel waits for it."""
    with contextlib.closing(LinuxI2c(bridge.path)) as opened:
        yield opened


@pytest.mark.parametrize(("word", "degc"), [(0x8019, 25.5), (0x00E7, -25.0), (0x0000, 0.0)])
def test_the_kernels_lm75_on_its_stub_is_read_by_path(word, degc):
    """i2c-stub holds the register, the kernel's lm75 driver decodes it, our thermometer reads its file."""
    poke(0x48, 0, word, word=True)
    bus = Path("/sys/bus/i2c/devices") / stub().name
    if not (bus / f"{stub().name.removeprefix('i2c-')}-0048").exists():
        (bus / "new_device").write_text("lm75 0x48\n")
    pattern = f"{bus}/*-0048/hwmon/hwmon*/temp1_input"
    assert SysfsTemperature(pattern, MonoClock()).read().degc == degc


def test_an_adapter_that_speaks_smbus_only_is_told_apart():
    """i2c-stub takes no I2C_RDWR: the driver must say so instead of reading nonsense."""
    smbus = LinuxI2c(stub())
    with pytest.raises(BusError, match="adapter refuses the message"):
        smbus.prepare(0x53, b"\0", 1).run()
    smbus.close()


def test_our_drivers_read_chips_through_the_kernel(bridge, bus):
    truth = Machine().thermal().degc(1.0)
    warm = Lm75(bus, MonoClock(), 0x48)
    time.sleep(1.1)  # the first conversion of a TMP117
    assert abs(warm.read().degc - truth) <= 0.5
    assert abs(Tmp117(bus, MonoClock(), 0x49).read().degc - truth) <= 0.05
    assert bridge.carried >= 4


def test_the_kernels_own_driver_reads_our_simulated_chip(bridge):
    """Who checks the simulator? A driver that is not ours."""
    bus = Path("/sys/bus/i2c/devices") / bridge.path.name
    (bus / "new_device").write_text("lm75 0x48\n")
    time.sleep(0.4)
    ours = SysfsTemperature(f"{bus}/*-0048/hwmon/hwmon*/temp1_input", MonoClock()).read().degc
    assert abs(ours - Machine().thermal().degc(1.0)) <= 0.5
    (bus / "delete_device").write_text("0x48\n")


def test_a_chip_that_is_not_there(bus):
    with pytest.raises(BusError, match=r"no acknowledge|transfer failed"):
        bus.prepare(0x1D, b"\0", 1).run()


def test_unplugged_in_mid_stream(bridge, bus):
    transfer = bus.prepare(0x49, b"\x0f", 2)
    assert bytes(transfer.run()) == b"\x01\x17"
    bridge.unplug()
    with pytest.raises(BusError, match="expected"):  # 4 s: the kernel waits for the bridge's answer
        transfer.run()


def test_plugged_in_again(bridge):
    with contextlib.closing(LinuxI2c(bridge.path)) as bus:
        assert bytes(bus.prepare(0x49, b"\x0f", 2).run()) == b"\x01\x17"
        bridge.unplug()
    again = UsbI2cBridge({0x49: Tmp117Chip(Machine())})
    with contextlib.closing(LinuxI2c(again.path)) as bus:
        assert bytes(bus.prepare(0x49, b"\x0f", 2).run()) == b"\x01\x17"
    again.unplug()
