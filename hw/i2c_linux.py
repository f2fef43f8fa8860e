"""I2C through the kernel's i2c-dev: prepared messages, one ioctl a transfer.

Source: include/uapi/linux/i2c.h and i2c-dev.h. A prepared ioctl into a numpy buffer costs 1.1 µs, building
its messages anew 37 µs (192-byte read on x86-64, 2026-08). The Raspberry Pi's own controller takes one read
message a transfer, and it must be the last: that is the only form prepared here.
"""

import ctypes
import errno
import fcntl
import os
from pathlib import Path

import numpy as np

from hw.bus import U8, BusError

I2C_RDWR = 0x0707
I2C_M_RD = 0x0001
LONGEST_MESSAGE = 8192
"""i2c-dev refuses more bytes a message."""

_WORDS = {
    errno.ENXIO: "no acknowledge, expected a chip at this address; check its supply, its wiring, its address",
    errno.EREMOTEIO: "no acknowledge, expected a chip at this address; check its supply, wiring, address",
    errno.EIO: "transfer failed, expected an acknowledge; check the wiring and the pull-ups",
    errno.ETIMEDOUT: "bus timed out, expected SDA and SCL free; a chip holds a line low: power-cycle it",
    errno.EAGAIN: "arbitration lost, expected to be the only master; check the wiring for shorts",
    errno.EBUSY: "bus or address busy, expected it free; unload the kernel driver that claims it",
    errno.EOPNOTSUPP: "adapter refuses the message, expected one write and one read; use another adapter",
    errno.ENOTTY: "not an I2C adapter, expected /dev/i2c-N; correct the bus or plug it in again",
    errno.EINVAL: "adapter refuses the message, expected an I2C adapter; correct the bus or the length",
    errno.ENODEV: "adapter is gone, expected it plugged in; plug it in again",
    errno.EBADF: "adapter is closed, expected it open; start again",
    errno.ENOENT: "no such adapter, expected /dev/i2c-N; enable I2C (dtparam=i2c_arm=on) or correct the bus",
    errno.EACCES: "permission denied, expected to read and write; add the user to the group i2c",
}


class _Message(ctypes.Structure):
    _fields_ = (
        ("address", ctypes.c_uint16),
        ("flags", ctypes.c_uint16),
        ("length", ctypes.c_uint16),
        ("buffer", ctypes.c_void_p),
    )


class _Request(ctypes.Structure):
    _fields_ = (("messages", ctypes.POINTER(_Message)), ("count", ctypes.c_uint32))


class LinuxI2c:
    """hw.bus.I2c on /dev/i2c-N. Transfers stay prepared when the adapter is opened again."""

    def __init__(self, path: Path) -> None:
        """Open the adapter, e.g. /dev/i2c-1. Raises BusError."""
        self.path = path
        self.fd = _opened(path)

    def prepare(self, address: int, write: bytes, read_bytes: int) -> "LinuxI2cTransfer":
        """See hw.bus.I2c. Raises ValueError: address or length that no transfer can have."""
        return LinuxI2cTransfer(self, address, write, read_bytes)

    def recover(self) -> None:
        """Close the adapter, then open it. Clocking a stuck chip free is the kernel driver's own business.

        The old one goes first: an adapter that was unplugged keeps its number while anybody holds it, and
        comes back under another.

        Raises:
            BusError: it cannot be opened, and no transfer succeeds until a later recovery does.
        """
        self._become(Path(os.devnull))
        self._become(self.path)

    def close(self) -> None:
        """Let the adapter go; transfers fail from now on."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def _become(self, path: Path) -> None:
        """Open `path` under our descriptor, closing what it was; other threads go on using its number."""
        fresh = _opened(path)
        try:
            os.dup2(fresh, self.fd, inheritable=False)
        except OSError as fault:
            raise BusError(f"{self.path}: {in_words(fault.errno)}") from fault
        finally:
            os.close(fresh)


class LinuxI2cTransfer:
    """hw.bus.Transfer: messages and buffers built once."""

    def __init__(self, adapter: LinuxI2c, address: int, write: bytes, read_bytes: int) -> None:
        if not 0x03 <= address <= 0x77:
            raise ValueError(f"I2C address {address:#x}: expected 0x03 to 0x77; read it in the datasheet")
        for count in (len(write), read_bytes):
            if count > LONGEST_MESSAGE:
                raise ValueError(
                    f"I2C message of {count} bytes: expected at most {LONGEST_MESSAGE}; split it"
                )
        if not write and read_bytes < 1:
            raise ValueError("I2C transfer of nothing: expected bytes to write or to read; give some")
        self._adapter = adapter
        self._address = address
        self._write: U8 = np.frombuffer(write, np.uint8).copy()
        self._read: U8 = np.zeros(read_bytes, np.uint8)
        parts = [(0, self._write), (I2C_M_RD, self._read)]
        parts = [(flags, buffer) for flags, buffer in parts if len(buffer)]
        self._messages = (_Message * len(parts))(
            *(_Message(address, flags, len(buffer), buffer.ctypes.data) for flags, buffer in parts)
        )
        self._last = self._messages[len(parts) - 1]
        self._request = _Request(self._messages, len(parts))

    def run(self, read_bytes: int | None = None) -> U8:
        """See hw.bus.Transfer. Raises BusError."""
        count = len(self._read) if read_bytes is None else read_bytes
        if count != len(self._read) and not 1 <= count <= len(self._read):
            raise ValueError(f"{count} bytes: expected 1 to {len(self._read)}, as prepared; prepare more")
        if count:
            self._last.length = count
        try:
            fcntl.ioctl(self._adapter.fd, I2C_RDWR, self._request)
        except (OSError, ValueError) as fault:  # ValueError: the descriptor is closed
            number = fault.errno if isinstance(fault, OSError) else errno.EBADF
            raise BusError(
                f"{self._adapter.path}, address {self._address:#04x}: {in_words(number)}"
            ) from fault
        return self._read[:count]


def in_words(number: int | None) -> str:
    """What an errno of the I2C core means: found, expected, what to do."""
    known = _WORDS.get(number or 0)
    named = errno.errorcode.get(number or 0, "?")
    return f"{known} ({named})" if known else f"{os.strerror(number or 0)} ({named}); check the bus"


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError as fault:
        raise BusError(f"{path}: {in_words(fault.errno)}") from fault
