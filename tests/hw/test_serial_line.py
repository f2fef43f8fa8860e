"""A serial line on a real pty: exclusive, reopened after the plug was pulled."""

import os
import pty
import sys
import time
import tty

import pytest

from hw.ports import PortError
from hw.serial_line import SerialLine


class Adapter:
    """The other end of a tty, found by a stable name."""

    def __init__(self, link) -> None:
        self.link = link
        self.plug()

    def plug(self):
        self.master, self.kept = pty.openpty()
        tty.setraw(self.kept)
        self.link.unlink(missing_ok=True)
        self.link.symlink_to(os.ttyname(self.kept))

    def pull(self):
        self.link.unlink(missing_ok=True)
        os.close(self.kept)
        os.close(self.master)


@pytest.fixture
def adapter(tmp_path):
    adapter = Adapter(tmp_path / "usb-FTDI_FT232R_A50285BI-if00-port0")
    yield adapter
    adapter.pull()


def test_both_ways_every_byte_unchanged(adapter):
    line = SerialLine(adapter.link)
    every = bytes(range(256))
    line.open()
    os.write(adapter.master, every)
    assert line.read(0.5) == every
    line.write(every)
    assert os.read(adapter.master, 1000) == every
    line.close()


def test_nothing_is_opened_before_it_is_used(tmp_path):
    line = SerialLine(tmp_path / "not-there")
    line.close()
    with pytest.raises(PortError, match=r"not-there: No such file.*expected a serial line; lines there now"):
        line.read(0.1)


def test_silence_is_empty_and_takes_its_time(adapter):
    line = SerialLine(adapter.link)
    begin = time.monotonic()
    assert line.read(0.1) == b""
    assert 0.09 < time.monotonic() - begin < 0.3
    line.close()


def test_what_came_before_opening_is_forgotten(adapter):
    os.write(adapter.master, b"old")
    line = SerialLine(adapter.link)
    line.open()
    os.write(adapter.master, b"new")
    assert line.read(0.5) == b"new"
    line.close()


def test_one_program_at_a_time(adapter):
    first, second = SerialLine(adapter.link), SerialLine(adapter.link)
    first.open()
    with pytest.raises(PortError, match="another program has it open"):
        second.open()
    first.close()
    second.open()
    second.close()


def test_unplugged_and_back_under_the_same_name(adapter):
    line = SerialLine(adapter.link)
    line.open()
    adapter.pull()
    with pytest.raises(PortError, match=r"expected it to stay; plug it in again"):
        line.read(0.5)
    with pytest.raises(PortError, match="No such file"):
        line.write(b"x")
    adapter.plug()
    line.write(b"again")
    assert os.read(adapter.master, 100) == b"again"
    line.close()


def test_a_device_that_takes_nothing(adapter):
    line = SerialLine(adapter.link)
    with pytest.raises(PortError, match=r"took nothing for 0\.1 s"):
        line.write(bytes(1_000_000), timeout_s=0.1)
    line.close()


def test_not_a_tty(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PortError, match="expected a serial line"):
        SerialLine(tmp_path / "file").open()


def test_character_time():
    assert SerialLine("x", 19200).character_s == pytest.approx(10 / 19200)
    assert SerialLine("x", 9600, "E", 2).character_s == pytest.approx(12 / 9600)


def test_without_pyserial_it_says_so(adapter, monkeypatch):
    monkeypatch.setitem(sys.modules, "serial", None)
    with pytest.raises(PortError, match="pip install pyserial"):
        SerialLine(adapter.link).open()
