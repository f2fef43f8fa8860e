"""SPI through spidev, as far as a host without a bus can show it."""

import ctypes
import errno
import fcntl
import os

import pytest

from hw import spi_linux
from hw.bus import BusError
from hw.spi_linux import LinuxSpi


class Kernel:
    """Stands where the kernel is: carries out struct spi_ioc_transfer by address, as spidev would."""

    def __init__(self, answer: bytes = b"", fault: int = 0) -> None:
        self.answer, self.fault, self.seen, self.setup = answer, fault, [], {}

    def __call__(self, _fd, number, request):
        raw = bytes(request)
        if number & 0xFF:
            self.setup[number] = int.from_bytes(raw, "little")
            return 0
        if self.fault:
            raise OSError(self.fault, os.strerror(self.fault))
        assert number == 0x40006B00 | len(raw) << 16
        assert len(raw) % 32 == 0
        for i in range(0, len(raw), 32):
            tx, rx = (int.from_bytes(raw[i + j : i + j + 8], "little") for j in (0, 8))
            length = int.from_bytes(raw[i + 16 : i + 20], "little")
            assert raw[i + 27] == 0  # cs_change: the chip select stays
            if tx:
                self.seen.append(("write", ctypes.string_at(tx, length)))
            if rx:
                ctypes.memmove(rx, self.answer[:length], length)
                self.seen.append(("read", length))
        return 0


@pytest.fixture
def kernel(monkeypatch):
    answering = Kernel(bytes(range(1, 100)))
    monkeypatch.setattr(fcntl, "ioctl", answering)
    return answering


@pytest.fixture
def device(kernel, tmp_path):
    assert not kernel.seen
    path = tmp_path / "spidev0.0"
    path.touch()
    opened = LinuxSpi(path, 5_000_000)
    yield opened
    opened.close()


@pytest.mark.usefixtures("device")
def test_mode_bits_and_speed_are_set(kernel):
    assert kernel.setup == {
        spi_linux.SPI_IOC_WR_MODE: 3,
        spi_linux.SPI_IOC_WR_BITS_PER_WORD: 8,
        spi_linux.SPI_IOC_WR_MAX_SPEED_HZ: 5_000_000,
    }


def test_write_then_read_under_one_chip_select(kernel, device):
    transfer = device.prepare(b"\xf2", 8)
    assert transfer.run().tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert transfer.run(3).tolist() == [1, 2, 3]
    assert kernel.seen == [("write", b"\xf2"), ("read", 8), ("write", b"\xf2"), ("read", 3)]


def test_a_write_alone(kernel, device):
    assert len(device.prepare(b"\x2d\x08", 0).run()) == 0
    assert kernel.seen == [("write", b"\x2d\x08")]


@pytest.mark.parametrize("count", [0, 9])
def test_a_read_that_was_not_prepared_is_refused(device, count):
    with pytest.raises(ValueError, match="expected 1 to 8"):
        device.prepare(b"\xf2", 8).run(count)


def test_too_long_and_empty_transfers_are_refused(device):
    with pytest.raises(ValueError, match="most 4096"):
        device.prepare(b"\xf8", 4096)
    with pytest.raises(ValueError, match="one or more"):
        device.prepare(b"", 1)


def test_a_fault_comes_in_words(kernel, device):
    kernel.fault = errno.ESHUTDOWN
    with pytest.raises(BusError, match=r"spidev0.0: controller is gone.*ESHUTDOWN"):
        device.prepare(b"\x80", 1).run()


def test_a_file_is_no_spi_device(tmp_path):
    (tmp_path / "spidev0.0").touch()
    with pytest.raises(BusError, match="not an SPI device"):
        LinuxSpi(tmp_path / "spidev0.0", 1_000_000)


def test_a_missing_device_says_what_to_do(tmp_path):
    with pytest.raises(BusError, match="enable SPI"):
        LinuxSpi(tmp_path / "spidev9.9", 1_000_000)


def test_after_closing_every_transfer_is_a_bus_fault(device, monkeypatch):
    transfer = device.prepare(b"\x80", 1)
    device.close()
    monkeypatch.undo()
    with pytest.raises(BusError, match="closed"):
        transfer.run()
