"""The kernel's watchdog while it is fed; that it bites is seen from outside, in tests/tools/test_rig.py."""

import fcntl
import os
import struct
import time

import pytest

pytestmark = pytest.mark.skipif(
    "APPLIANCE_RIG" not in os.environ, reason="outside the rig; run: tools/rig/rig run"
)
WDIOC_SETTIMEOUT = 0xC0045706


def test_a_fed_watchdog_does_not_bite_and_the_word_disarms_it():
    fd = os.open("/dev/watchdog", os.O_WRONLY)
    fcntl.ioctl(fd, WDIOC_SETTIMEOUT, struct.pack("i", 1))
    for _ in range(8):
        time.sleep(0.25)
        os.write(fd, b"\0")
    os.write(fd, b"V")
    os.close(fd)
    time.sleep(1.3)
