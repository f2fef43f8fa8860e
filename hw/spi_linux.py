"""SPI through the kernel's spidev: prepared transfers, one ioctl each.

Source: include/uapi/linux/spi/spi.h and spidev.h. One message of two transfers, so that the chip select stays
active between what is written and what is read.
"""

import ctypes
import errno
import fcntl
import os
import struct
from pathlib import Path

import numpy as np

from hw.bus import U8, BusError

SPI_IOC_WR_MODE = 0x40016B01
SPI_IOC_WR_BITS_PER_WORD = 0x40016B03
SPI_IOC_WR_MAX_SPEED_HZ = 0x40046B04
LONGEST_MESSAGE = 4096
"""spidev's own buffer (module parameter bufsiz) as it comes."""

_WORDS = {
    errno.ENOENT: "no such device, expected /dev/spidevB.C; enable SPI (dtparam=spi=on) or correct the bus",
    errno.EACCES: "permission denied, expected to read and write; add the user to the group spi",
    errno.ENOTTY: "not an SPI device, expected /dev/spidevB.C; correct the bus",
    errno.EINVAL: "controller refuses the transfer, expected mode and speed it can do; lower the speed",
    errno.EMSGSIZE: "transfer too long, expected at most bufsiz; raise spidev.bufsiz",
    errno.ESHUTDOWN: "controller is gone, expected it bound; reload its driver",
    errno.ENODEV: "controller is gone, expected it bound; reload its driver",
    errno.EBADF: "device is closed, expected it open; start again",
    errno.ETIMEDOUT: "controller timed out, expected the transfer to end; lower the speed",
}


class _Part(ctypes.Structure):
    _fields_ = (
        ("tx", ctypes.c_uint64),
        ("rx", ctypes.c_uint64),
        ("length", ctypes.c_uint32),
        ("speed_hz", ctypes.c_uint32),
        ("delay_us", ctypes.c_uint16),
        ("bits", ctypes.c_uint8),
        ("cs_change", ctypes.c_uint8),
        ("tx_nbits", ctypes.c_uint8),
        ("rx_nbits", ctypes.c_uint8),
        ("word_delay_us", ctypes.c_uint8),
        ("pad", ctypes.c_uint8),
    )


class LinuxSpi:
    """hw.bus.Spi on /dev/spidevB.C, 8-bit words, most significant bit first."""

    def __init__(self, path: Path, speed_hz: int, mode: int = 3) -> None:
        """Open the device.

        Args:
            path: e.g. /dev/spidev0.0.
            speed_hz: highest clock.
            mode: 0 to 3; every chip here works in 3.

        Raises:
            BusError: it cannot be opened, or is no SPI device.
        """
        self.path = path
        try:
            self.fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as fault:
            raise BusError(f"{path}: {_in_words(fault)}") from fault
        try:
            fcntl.ioctl(self.fd, SPI_IOC_WR_MODE, struct.pack("=B", mode))
            fcntl.ioctl(self.fd, SPI_IOC_WR_BITS_PER_WORD, struct.pack("=B", 8))
            fcntl.ioctl(self.fd, SPI_IOC_WR_MAX_SPEED_HZ, struct.pack("=I", speed_hz))
        except OSError as fault:
            self.close()
            raise BusError(f"{path}: {_in_words(fault)}") from fault

    def prepare(self, write: bytes, read_bytes: int) -> "LinuxSpiTransfer":
        """See hw.bus.Spi. Raises ValueError: a length that no transfer can have."""
        return LinuxSpiTransfer(self, write, read_bytes)

    def close(self) -> None:
        """Let the device go; transfers fail from now on."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)


class LinuxSpiTransfer:
    """hw.bus.Transfer: the message and its buffers built once."""

    def __init__(self, device: LinuxSpi, write: bytes, read_bytes: int) -> None:
        if not write or len(write) + read_bytes > LONGEST_MESSAGE:
            raise ValueError(
                f"SPI message of {len(write)} + {read_bytes} bytes: expected one or more to write and at "
                f"most {LONGEST_MESSAGE} in all; split it"
            )
        self._device = device
        self._write: U8 = np.frombuffer(write, np.uint8).copy()
        self._read: U8 = np.zeros(read_bytes, np.uint8)
        parts = 2 if read_bytes else 1
        self._message = (_Part * parts)()
        self._message[0].tx, self._message[0].length = self._write.ctypes.data, len(write)
        if read_bytes:
            self._message[1].rx = self._read.ctypes.data
        self._last = self._message[parts - 1]
        self._request = 0x40006B00 | ctypes.sizeof(self._message) << 16

    def run(self, read_bytes: int | None = None) -> U8:
        """See hw.bus.Transfer. Raises BusError."""
        count = len(self._read) if read_bytes is None else read_bytes
        if count != len(self._read) and not 1 <= count <= len(self._read):
            raise ValueError(f"{count} bytes: expected 1 to {len(self._read)}, as prepared; prepare more")
        if count:
            self._last.length = count
        try:
            fcntl.ioctl(self._device.fd, self._request, self._message)
        except (OSError, ValueError) as fault:  # ValueError: the descriptor is closed
            raise BusError(f"{self._device.path}: {_in_words(fault)}") from fault
        return self._read[:count]


def _in_words(fault: OSError | ValueError) -> str:
    number = (fault.errno if isinstance(fault, OSError) else errno.EBADF) or 0
    named = errno.errorcode.get(number, "?")
    known = _WORDS.get(number)
    return f"{known} ({named})" if known else f"{os.strerror(number)} ({named}); check the device"
