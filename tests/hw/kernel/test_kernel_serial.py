"""Serial lines through the kernel: USB host and device on one simulated cable, and the plug pulled."""

import os
import random
import time
from pathlib import Path

import pytest

from hw.ports import PortError
from hw.serial_line import SerialLine

pytestmark = pytest.mark.skipif(
    "APPLIANCE_RIG" not in os.environ, reason="outside the rig; run: tools/rig/rig run"
)
HOST, DEVICE = Path("/dev/ttyACM0"), Path("/dev/ttyGS0")
PLUG = Path("/sys/bus/usb/devices/1-1/authorized")
"""What the host does when the plug is pulled; dummy_hcd cannot take a device back that left by itself."""


@pytest.fixture
def cable():
    host, device = SerialLine(HOST), SerialLine(DEVICE)
    host.open()
    device.open()
    yield host, device
    host.close()
    device.close()


def receive(line: SerialLine, count: int) -> bytes:
    got, end_s = b"", time.monotonic() + 5.0
    while len(got) < count and time.monotonic() < end_s:
        got += line.read(0.2)
    return got


@pytest.mark.parametrize("upstream", [True, False], ids=["device to host", "host to device"])
def test_every_byte_both_ways(cable, upstream):
    sender, receiver = cable[::-1] if upstream else cable
    data = bytes(range(256)) * 2 + random.Random(1).randbytes(3000)
    sender.write(data, 2.0)
    assert receive(receiver, len(data)) == data


@pytest.mark.usefixtures("cable")
def test_a_line_is_ours_alone():
    with pytest.raises(PortError, match="another program has it open"):
        SerialLine(HOST).open()


def test_the_plug_pulled_and_put_back(cable):
    host, device = cable
    host.write(b"before")
    assert receive(device, 6) == b"before"
    PLUG.write_text("0")
    with pytest.raises(PortError, match="plug it in again"):
        host.read(5.0)
    while HOST.exists():
        time.sleep(0.02)
    with pytest.raises(PortError, match="expected a serial line"):
        host.read(0.1)
    device.close()
    PLUG.write_text("1")
    end_s = time.monotonic() + 5.0
    while not HOST.exists() and time.monotonic() < end_s:
        time.sleep(0.02)
    host.open()
    device.open()
    device.write(b"after")
    assert receive(host, 5) == b"after"
