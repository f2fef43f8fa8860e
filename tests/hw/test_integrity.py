"""One byte changed on its way: each driver's own check of what a FIFO sends."""

import numpy as np
import pytest
from vibration_ports import CHIPS, Machine

from hw.bus import I2c, Transfer
from hw.ports import PortError
from hw.registers import OnI2c
from hw.sim.bus import SimI2c
from hw.sim.clock import SimClock
from hw.sim.machine_time import MachineTime


class Tampered:
    """An I2C bus that changes one byte of what is read from one register, while `on`."""

    def __init__(self, bus: I2c, register: int, byte: int, change: int) -> None:
        self._bus = bus
        self._register, self._byte, self._change = register, byte, change
        self.on = False

    def prepare(self, address: int, write: bytes, read_bytes: int) -> Transfer:
        transfer = self._bus.prepare(address, write, read_bytes)
        if write[0] & 0x7F != self._register or not read_bytes:
            return transfer
        return TamperedTransfer(self, transfer)

    def change(self, data):
        if self.on and len(data) > self._byte:
            data = data.copy()
            data[self._byte] ^= self._change
        return data

    def recover(self) -> None:
        self._bus.recover()

    def close(self) -> None:
        self._bus.close()


class TamperedTransfer:
    def __init__(self, bus: Tampered, transfer: Transfer) -> None:
        self._bus, self._transfer = bus, transfer

    def run(self, read_bytes: int | None = None):
        return self._bus.change(self._transfer.run(read_bytes))


CASES = {
    "lsm6dso: parity of a tag": ("lsm6dso-i2c-3332", 0x78, 7, 0x01, "even parity"),
    "lsm6dso: a gyroscope's word": ("lsm6dso-i2c-3332", 0x78, 14, 0x1B, "even parity"),
    "lsm6dso: more words than it holds": ("lsm6dso-i2c-3332", 0x3A, 1, 0x03, "expected at most 512"),
    "lsm6dso: a bit that is always 0": ("lsm6dso-i2c-3332", 0x3A, 1, 0x04, "expected at most 512"),
    "adxl345: sign bits": ("adxl345-i2c-800", 0x32, 3, 0x20, "expected sign bits"),
    "adxl345: FIFO_CTL": ("adxl345-i2c-800", 0x32, 6, 0x80, "FIFO_CTL 0x88"),
    "adxl345: entries": ("adxl345-i2c-800", 0x32, 7, 0x40, "at most 32 entries"),
    "adxl345: level": ("adxl345-i2c-800", 0x39, 0, 0x60, "entries"),
    "lis3dh: FIFO_CTRL_REG": ("lis3dh-i2c", 0x2E, 0, 0x40, "FIFO_CTRL_REG"),
    "lis3dh: low nibble": ("lis3dh-i2c", 0x28, 2, 0x01, "more than 12 bits"),
    "adxl355: X mark gone": ("adxl355-i2c-2000", 0x11, 11, 0x01, "X marks"),
    "adxl355: empty mark": ("adxl355-i2c-2000", 0x11, 5, 0x02, "X marks"),
    "adxl355: more entries than it holds": ("adxl355-i2c-2000", 0x04, 1, 0xC0, "expected at most 96"),
}


def tampered(name: str, register: int, byte: int, change: int):
    """The driver of this name, started, and its bus."""
    case = CHIPS[name]
    clock = MachineTime(SimClock(np.inf, epoch_ns=0))
    chip = case.chip(Machine(), clock_ppm=0.0)
    bus = Tampered(SimI2c(clock, {case.address: chip}), register, byte, change)
    port = case.driver(OnI2c(bus, case.address), clock, **case.options)
    port.start()
    return port, bus


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_changed_byte_is_no_sample(case):
    *where, reason = case
    port, bus = tampered(*where)
    for _ in range(3):
        port.read()
    bus.on = True
    with pytest.raises(PortError, match=reason):
        port.read()
    bus.on = False
    port.start()
    assert len(port.read().counts)


def test_a_slot_that_jumps_is_a_loss():
    """The LSM6DSO numbers its words by two bits; here one tag, of right parity, has the wrong number."""
    port, bus = tampered("lsm6dso-i2c-3332", 0x78, 0, 0x03)
    assert port.read().lost == 0
    bus.on = True
    drains = [port.read() for _ in range(2)]
    assert sum(drain.lost for drain in drains) > 0


def test_a_drain_of_one_sample_outlives_the_next():
    for name in ("lsm6dso-i2c-833-2g", "adxl345-i2c-800", "adxl355-i2c-2000", "lis3dh-i2c-400-4g"):
        mounted = CHIPS[name].mount()
        mounted.port.start()
        mounted.clock.sleep(0.1)
        mounted.port.drain()  # the markers of a chip that settles
        found = []
        for _ in range(100):
            mounted.clock.sleep(0.5 / mounted.true_hz)
            one = mounted.port.drain().counts
            if len(one) == 1:
                found.append((one, one.copy()))
        assert len(found) > 5
        assert all(np.array_equal(one, then) for one, then in found)


def test_a_torn_adxl355_sample_is_lost_and_the_rest_whole():
    mounted = CHIPS["adxl355-i2c-2000"].mount(ppm=0.0)
    mounted.port.start()
    mounted.port.read()
    mounted.clock.sleep(0.002)
    mounted.chip.transfer(bytes([0x11]), 3, mounted.clock.t_s)  # somebody else took one word
    before = mounted.chip.motion.taken - len(mounted.chip.fifo)
    drain = mounted.port.read()
    assert drain.lost >= 1
    true = mounted.truth(before + 500)[before:]
    accel = drain.counts * mounted.port.scale_mps2
    assert np.abs(accel - true[: len(accel)]).max() < mounted.port.scale_mps2


def test_a_trimmed_oscillator_sets_the_nominal_rate():
    case = CHIPS["lsm6dso-i2c-3332"]
    mounted = case.mount()
    mounted.chip._fine = -12 & 0xFF
    mounted.chip.power_cycle(0.0)
    mounted.port.start()
    assert mounted.port.rate_hz == pytest.approx(3332.0 * (1 - 12 * 0.0015))
    mounted.port.stop()
    mounted.port.start()
    assert mounted.port.rate_hz == pytest.approx(3332.0 * (1 - 12 * 0.0015))


@pytest.mark.parametrize("name", ["lsm6dso-i2c-3332", "lis3dh-i2c", "adxl345-i2c-800", "adxl355-i2c-2000"])
def test_a_rate_no_such_chip_has_is_refused(name):
    with pytest.raises(ValueError, match="choose one"):
        CHIPS[name].mount(rate_hz=1234.5)
