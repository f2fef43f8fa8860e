"""Registers: every write read back, the configuration looked at again, faults that name what they found."""

import math
from enum import IntEnum
from types import MappingProxyType

import pytest

from hw.bus import BusError
from hw.ports import PortError
from hw.registers import Burst, OnI2c, OnSpi, Registers
from hw.sim.bus import BusFault, SimI2c, SimSpi
from hw.sim.chips.register_chip import RegisterChip
from hw.sim.clock import SimClock
from hw.sim.machine_time import MachineTime


class Register(IntEnum):
    DEVICE_ID = 0x00
    RATE = 0x10
    RANGE = 0x11
    RESET = 0x12


class Part(RegisterChip):
    RESET = MappingProxyType({0x00: 0xA5, 0x10: 0x07})
    READ_ONLY = frozenset({0x00})


def rig(*faults: BusFault, on_spi: bool = False):
    clock = MachineTime(SimClock(math.inf, epoch_ns=0))
    part = Part()
    if on_spi:
        return Registers(OnSpi(SimSpi(clock, part, faults)), Burst(spi=0x40)), part, clock
    return Registers(OnI2c(SimI2c(clock, {0x1C: part}, faults), 0x1C)), part, clock


@pytest.mark.parametrize("on_spi", [False, True])
def test_a_write_arrives(on_spi):
    registers, part, _ = rig(on_spi=on_spi)
    registers.write(Register.RATE, 0x0C)
    assert part.registers[0x10] == 0x0C
    assert registers.read(Register.RATE) == 0x0C


def test_a_write_that_does_not_stay_is_a_fault():
    registers, _, _ = rig()
    with pytest.raises(PortError) as caught:
        registers.write(Register.DEVICE_ID, 0x01)
    assert str(caught.value) == (
        "register DEVICE_ID (0x00) reads 0xa5, expected 0x01; check the wiring and the pull-ups"
    )


def test_check_names_the_register_that_changed():
    registers, part, _ = rig()
    registers.write(Register.RATE, 0x0C)
    registers.write(Register.RANGE, 0x03)
    registers.check()
    part.power_cycle(0.0)
    with pytest.raises(PortError, match=r"register RATE \(0x10\) reads 0x07, expected 0x0c; brown-out"):
        registers.check()


def test_only_the_last_write_counts():
    registers, _, _ = rig()
    registers.write(Register.RATE, 0x0C)
    registers.write(Register.RATE, 0x0D)
    registers.check()


def test_forgotten_registers_are_not_compared():
    registers, part, _ = rig()
    registers.write(Register.RATE, 0x0C)
    part.power_cycle(0.0)
    registers.forget()
    registers.check()


def test_a_command_is_neither_read_back_nor_compared():
    registers, part, _ = rig()
    registers.command(Register.RESET, 0x01)
    part.registers[0x12] = 0
    registers.check()


def test_another_part_is_named_with_what_was_expected():
    registers, _, _ = rig()
    assert registers.expect(Register.DEVICE_ID, {0xA5: "this one"}) == 0xA5
    with pytest.raises(PortError, match=r"reads 0xa5, expected 0x5a \(that\) or 0x5b \(other\); check part"):
        registers.expect(Register.DEVICE_ID, {0x5A: "that", 0x5B: "other"})


def test_a_silent_bus_is_a_bus_fault():
    registers, _, _ = rig(BusFault("nack", 0.0, 1.0))
    with pytest.raises(BusError, match="no acknowledge"):
        registers.write(Register.RATE, 1)


def test_a_stuck_bus_needs_recovery_after_the_fault():
    registers, _, clock = rig(BusFault("stuck_sda", 0.0, 1.0))
    with pytest.raises(BusError, match="SDA"):
        registers.read(Register.RATE)
    registers.recover()
    with pytest.raises(BusError, match="SDA"):
        registers.read(Register.RATE)
    clock.sleep(1.0)
    with pytest.raises(BusError, match="SDA"):
        registers.read(Register.RATE)
    registers.recover()
    assert registers.read(Register.RATE) == 0x07


def test_bursts_carry_the_bits_that_the_chip_wants():
    seen: list[bytes] = []

    class Wire:
        def prepare(self, *words):
            seen.append(words[-2])

    OnSpi(Wire()).prepare_read(0x32, 8, Burst(spi=0x40))
    OnSpi(Wire()).prepare_read(0x32, 1, Burst(spi=0x40))
    OnI2c(Wire(), 0x18).prepare_read(0x28, 6, Burst(i2c=0x80))
    OnI2c(Wire(), 0x18).prepare_read(0x28, 1, Burst(i2c=0x80))
    OnSpi(Wire()).prepare_write(0x31, 0x0B)
    assert seen == [b"\xf2", b"\xb2", b"\xa8", b"\x28", b"\x31\x0b"]
