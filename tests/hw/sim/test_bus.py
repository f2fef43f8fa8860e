"""The simulated buses: time, addresses, the script of faults."""

import math
import threading
import time
from types import MappingProxyType

import pytest

from hw.bus import BusError
from hw.sim.bus import STRANGER, BusFault, SimI2c, SimSpi
from hw.sim.chips.register_chip import RegisterChip
from hw.sim.clock import SimClock
from hw.sim.machine_time import MachineTime


class Part(RegisterChip):
    RESET = MappingProxyType({0x00: 0xA5, 0x01: 0x5A})
    READ_ONLY = frozenset({0x00})


def virtual() -> MachineTime:
    return MachineTime(SimClock(math.inf, epoch_ns=0))


def test_pointer_increment_and_read_only():
    bus = SimI2c(virtual(), {0x1C: Part()})
    bus.prepare(0x1C, b"\x00\x11\x22\x33", 0).run()
    assert bus.prepare(0x1C, b"\x00", 3).run().tolist() == [0xA5, 0x22, 0x33]


def test_a_transfer_takes_its_clocks():
    clock = virtual()
    bus = SimI2c(clock, {0x1C: Part()}, speed_hz=400_000.0)
    bus.prepare(0x1C, b"\x00", 6).run()
    assert clock.t_s == pytest.approx(84 / 400_000)  # the six-byte read of sensors-and-signals
    spi = SimSpi(clock, Part(), speed_hz=1_000_000.0)
    before_s = clock.t_s
    spi.prepare(b"\x80", 7).run()
    assert clock.t_s - before_s == pytest.approx(64e-6)


def test_nobody_at_an_address():
    bus = SimI2c(virtual(), {0x1C: Part()})
    with pytest.raises(BusError, match=r"0x1d: no acknowledge"):
        bus.prepare(0x1D, b"\x00", 1).run()


def test_slow_and_swapped_and_corrupt():
    clock = virtual()
    part = Part()
    faults = [
        BusFault("slow", 0.0, 0.01, 0.5),
        BusFault("swapped", 1.0, 2.0),
        BusFault("corrupt", 2.0, 3.0, 1.0),
    ]
    bus = SimI2c(clock, {0x1C: part}, faults)
    transfer = bus.prepare(0x1C, b"\x00", 2)
    assert transfer.run().tolist() == [0xA5, 0x5A]
    assert clock.t_s > 0.5
    clock.sleep(1.0)
    assert transfer.run().tolist() == [STRANGER, STRANGER]
    clock.sleep(1.0)
    first, second = transfer.run().tolist()
    assert first != 0xA5
    assert second != 0x5A
    clock.sleep(1.0)
    assert transfer.run().tolist() == [0xA5, 0x5A]


def test_a_brownout_happens_once():
    clock = virtual()
    bus = SimI2c(clock, {0x1C: Part()}, [BusFault("brownout", 1.0, 1.0)])
    write, read = bus.prepare(0x1C, b"\x01\x77", 0), bus.prepare(0x1C, b"\x01", 1)
    write.run()
    assert read.run().tolist() == [0x77]
    clock.sleep(1.0)
    assert read.run().tolist() == [0x5A]
    write.run()
    assert read.run().tolist() == [0x77]


def test_a_missing_spi_chip_reads_as_ones_and_a_short_as_zeros():
    clock = virtual()
    spi = SimSpi(clock, Part(), [BusFault("nack", 0.0, 1.0), BusFault("stuck_sda", 1.0, 2.0)])
    transfer = spi.prepare(b"\x80", 2)
    assert transfer.run().tolist() == [0xFF, 0xFF]
    clock.sleep(1.0)
    assert transfer.run().tolist() == [0, 0]
    clock.sleep(1.0)
    assert transfer.run().tolist() == [0xA5, 0x5A]


def test_a_fault_of_no_kind_is_refused():
    with pytest.raises(ValueError, match="expected one of nack"):
        BusFault("gremlin", 0.0, 1.0)


def test_two_threads_take_turns_on_a_real_bus():
    bus = SimI2c(MachineTime(SimClock(1.0)), {0x1C: Part()}, speed_hz=10_000.0)
    transfer_s = 57 / 10_000.0

    def talk():
        transfer = bus.prepare(0x1C, b"\x00", 3)
        for _ in range(5):
            transfer.run()

    threads = [threading.Thread(target=talk) for _ in range(2)]
    began_s = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - began_s >= 10 * transfer_s


def test_virtual_time_goes_on_by_sleep_alone():
    clock = virtual()
    clock.sleep(3600.0)
    assert clock.t_s == 3600.0
    assert clock.now_ns() == 3600 * 10**9
    assert not clock.real


def test_accelerated_time_waits_for_the_machine():
    clock = MachineTime(SimClock(100.0))
    began_s = time.monotonic()
    clock.sleep(20.0)
    assert time.monotonic() - began_s == pytest.approx(0.2, abs=0.1)
    assert clock.t_s == pytest.approx(20.0)


def test_real_time_is_monotonic_time():
    clock = MachineTime(SimClock(1.0))
    before_ns = time.monotonic_ns()
    assert before_ns <= clock.now_ns() <= time.monotonic_ns()
    began_s = clock.t_s
    clock.sleep(0.05)
    assert clock.t_s - began_s >= 0.05
    clock.sleep(-1.0)
