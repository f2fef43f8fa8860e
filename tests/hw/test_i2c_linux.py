"""I2C through i2c-dev, as far as a host without a bus can show it; the kernel's own bus is in the rig."""

import contextlib
import ctypes
import errno
import fcntl
import os
from pathlib import Path

import numpy as np
import pytest

from hw.bus import BusError
from hw.i2c_linux import I2C_M_RD, I2C_RDWR, LinuxI2c, in_words


@pytest.fixture
def adapter(tmp_path):
    path = tmp_path / "i2c-9"
    path.touch()
    opened = LinuxI2c(path)
    yield opened
    opened.close()


class Kernel:
    """Stands where the kernel is: carries out what the ioctl describes, by address, as i2c-dev would."""

    def __init__(self, answer: bytes = b"", fault: int = 0) -> None:
        self.answer, self.fault, self.seen = answer, fault, []

    def __call__(self, _fd, number, request):
        assert number == I2C_RDWR
        raw = bytes(request)  # struct i2c_rdwr_ioctl_data: pointer, u32
        where, count = (int.from_bytes(raw[:8], "little"), int.from_bytes(raw[8:12], "little"))
        for i in range(count):
            message = ctypes.string_at(where + 16 * i, 16)  # struct i2c_msg: u16, u16, u16, pad, pointer
            address, flags, length = np.frombuffer(message[:6], "<u2").tolist()
            buffer = int.from_bytes(message[8:], "little")
            if flags & I2C_M_RD:
                ctypes.memmove(buffer, self.answer[:length], length)
                self.seen.append((address, "read", length))
            else:
                self.seen.append((address, "write", ctypes.string_at(buffer, length)))
        if self.fault:
            raise OSError(self.fault, os.strerror(self.fault))
        return count


@pytest.fixture
def kernel(monkeypatch):
    answering = Kernel(bytes(range(1, 100)))
    monkeypatch.setattr(fcntl, "ioctl", answering)
    return answering


def test_a_read_is_a_write_and_a_read_after_a_repeated_start(adapter, kernel):
    transfer = adapter.prepare(0x53, b"\x32", 8)
    assert transfer.run().tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert kernel.seen == [(0x53, "write", b"\x32"), (0x53, "read", 8)]


def test_a_shorter_read_of_the_same_transfer(adapter, kernel):
    transfer = adapter.prepare(0x6A, b"\x78", 70)
    assert len(transfer.run(14)) == 14
    assert len(transfer.run()) == 70
    assert [seen[2] for seen in kernel.seen if seen[1] == "read"] == [14, 70]


@pytest.mark.parametrize("count", [0, -1, 71])
def test_a_read_that_was_not_prepared_is_refused(adapter, count):
    with pytest.raises(ValueError, match="expected 1 to 70"):
        adapter.prepare(0x6A, b"\x78", 70).run(count)


def test_a_write_has_one_message(adapter, kernel):
    assert len(adapter.prepare(0x53, b"\x2d\x08", 0).run()) == 0
    assert kernel.seen == [(0x53, "write", b"\x2d\x08")]


def test_a_read_alone_has_one_message(adapter, kernel):
    assert adapter.prepare(0x48, b"", 2).run().tolist() == [1, 2]
    assert kernel.seen == [(0x48, "read", 2)]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EREMOTEIO, "no acknowledge"),
        (errno.ENXIO, "no acknowledge"),
        (errno.ETIMEDOUT, "holds a line low"),
        (errno.EAGAIN, "arbitration lost"),
        (errno.ENODEV, "plug it in"),
        (errno.EOPNOTSUPP, "refuses"),
    ],
)
def test_an_errno_comes_in_words_with_bus_and_address(adapter, monkeypatch, number, words):
    monkeypatch.setattr(fcntl, "ioctl", Kernel(fault=number))
    with pytest.raises(BusError, match=words) as caught:
        adapter.prepare(0x53, b"\x00", 1).run()
    assert "i2c-9, address 0x53" in str(caught.value)
    assert errno.errorcode[number] in str(caught.value)


def test_an_errno_nobody_foresaw_is_named_too():
    assert "EPERM" in in_words(errno.EPERM)


def test_a_file_is_no_adapter(adapter):
    with pytest.raises(BusError, match="not an I2C adapter"):
        adapter.prepare(0x53, b"\x00", 1).run()


def test_a_missing_adapter_says_what_to_do(tmp_path):
    with pytest.raises(BusError, match="enable I2C"):
        LinuxI2c(tmp_path / "i2c-1")


def test_after_closing_every_transfer_is_a_bus_fault(adapter):
    transfer = adapter.prepare(0x53, b"\x00", 1)
    adapter.close()
    with pytest.raises(BusError, match="closed"):
        transfer.run()
    adapter.close()


def open_files() -> list[str]:
    """What this process holds open."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the listing's own
            found.append(str(entry.readlink()))
    return sorted(found)


def test_recovery_opens_again_under_the_same_number(adapter):
    fd, before, held = adapter.fd, os.fstat(adapter.fd).st_ino, open_files()
    (adapter.path.parent / "i2c-9-again").touch()
    (adapter.path.parent / "i2c-9-again").replace(adapter.path)
    adapter.recover()
    assert adapter.fd == fd
    assert before != os.fstat(fd).st_ino == adapter.path.stat().st_ino
    assert not os.get_inheritable(fd)
    assert open_files() == held


def test_an_adapter_that_is_gone_is_let_go_before_it_is_back(adapter):
    transfer, fd, count = adapter.prepare(0x53, b"\x00", 1), adapter.fd, len(open_files())
    adapter.path.unlink()
    for _ in range(3):
        with pytest.raises(BusError, match="no such adapter"):
            adapter.recover()
        assert not [path for path in open_files() if "i2c-9" in path]
        with pytest.raises(BusError, match="plug it in again"):
            transfer.run()
    adapter.path.touch()
    adapter.recover()
    assert (adapter.fd, len(open_files())) == (fd, count)
    assert os.fstat(fd).st_ino == adapter.path.stat().st_ino


def test_a_closed_adapter_does_not_come_back(adapter):
    adapter.close()
    held = open_files()
    with pytest.raises(BusError, match="closed"):
        adapter.recover()
    assert open_files() == held


@pytest.mark.parametrize("address", [0x00, 0x02, 0x78, 0xA6])
def test_an_address_that_cannot_be_is_refused(adapter, address):
    with pytest.raises(ValueError, match="0x03 to 0x77"):
        adapter.prepare(address, b"\x00", 1)


def test_too_long_and_empty_transfers_are_refused(adapter):
    with pytest.raises(ValueError, match="at most 8192"):
        adapter.prepare(0x53, b"\x00", 8193)
    with pytest.raises(ValueError, match="nothing"):
        adapter.prepare(0x53, b"", 0)
