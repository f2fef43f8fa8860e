"""The contract of hw.ports.Scalars, held against every shipped transmitter on a real pty, in real time."""

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hw.modbus import Modbus
from hw.ports import PortError, Quantities, Scalars
from hw.qm30vt2 import QM30VT2
from hw.register_map import RegisterMap
from hw.serial_line import SerialLine
from hw.sim.clock import SimClock
from hw.sim.machine_time import MachineTime
from hw.sim.modbus_slave import ModbusSlave
from hw.sim.rotor import Machine
from hw.sim.transmitter import MachineRegisters
from hw.transmitter import Transmitter
from hw.wtvb01 import WTVB01_485

PARTS = {"qm30vt2": QM30VT2, "wtvb01": WTVB01_485}
PERIOD_S = 0.1


@dataclass
class Bench:
    """A transmitter, its plug, and what it measured before that was rounded into registers."""

    port: Scalars
    slave: ModbusSlave
    measured: MachineRegisters
    registers: RegisterMap

    def next(self) -> Quantities:
        end_s = time.monotonic() + 2.0
        while time.monotonic() < end_s:
            if (found := self.port.read()) is not None:
                return found
        raise AssertionError("no reading within 2 s")


@pytest.fixture(params=PARTS)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    registers, clock = PARTS[request.param], SimClock()
    measured = MachineRegisters(Machine(), clock, registers)
    slave = ModbusSlave(tmp_path / "usb-485", 1, measured)
    modbus = Modbus(SerialLine(slave.link), timeout_s=0.1, retries=0)
    port = Transmitter(modbus, 1, registers, MachineTime(clock), PERIOD_S)
    yield Bench(port, slave, measured, registers)
    modbus.close()
    slave.unplug()


def test_units_are_known_before_the_first_reading_and_kept(bench: Bench) -> None:
    units = dict(bench.port.units)
    assert units
    assert {name: one.unit for name, one in bench.next().by_name.items()} == units


def test_values_are_the_machines_within_a_count(bench: Bench) -> None:
    found = bench.next().by_name
    for register in bench.registers.registers:
        true = bench.measured.values[register.name]
        assert abs(found[register.name].value - true) <= 0.5001 * abs(register.scale), register.name
    assert found["temperature"].value == pytest.approx(48.35, abs=0.1)


def test_a_reading_a_period_the_first_at_once_and_no_call_blocks(bench: Bench) -> None:
    assert bench.port.read() is not None
    stamps = []
    for _ in range(8):
        begin_s = time.monotonic()
        found = bench.port.read()
        assert time.monotonic() - begin_s < 0.6
        if found is not None:
            stamps.append(found.host_ns)
    gaps_s = [(b - a) * 1e-9 for a, b in itertools.pairwise(stamps)]
    assert sum(gaps_s) / len(gaps_s) == pytest.approx(bench.port.period_s, rel=0.3)


@pytest.mark.parametrize("fate", ["silence", "crc", "torn", "wrong_slave", "exception", "short_count"])
def test_a_fault_is_named_and_gives_no_value(bench: Bench, fate: str) -> None:
    bench.slave.fates.append(fate)  # type: ignore[arg-type]
    with pytest.raises(PortError, match=r"expected|check"):
        bench.next()
    assert bench.next().by_name.keys() == bench.port.units.keys()


def test_it_comes_back_after_its_plug_was_pulled(bench: Bench) -> None:
    bench.next()
    bench.slave.unplug()
    for _ in range(3):
        with pytest.raises(PortError, match="expected"):
            bench.next()
    bench.slave.plug_in()
    assert bench.next().by_name.keys() == bench.port.units.keys()
