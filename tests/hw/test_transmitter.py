"""Transmitters: golden answers, maps as data, the simulated machine through a real pty."""

import itertools
import math
import tomllib

import msgspec
import numpy as np
import pytest

from hw.modbus import Modbus, frame
from hw.ports import STANDARD_GRAVITY_MPS2, PortError
from hw.qm30vt2 import QM30VT2
from hw.register_map import Register, RegisterMap
from hw.serial_line import SerialLine
from hw.sim.clock import SimClock
from hw.sim.machine_time import MachineTime
from hw.sim.modbus_slave import ModbusSlave
from hw.sim.rotor import Machine
from hw.sim.transmitter import RATE_HZ, MachineRegisters, quantities
from hw.transmitter import Transmitter
from hw.wtvb01 import SLAVE, UNLOCK_CODE, UNLOCK_REGISTER, WTVB01_485, wtvb01

G = STANDARD_GRAVITY_MPS2
OWN_MAP = """
part = "pump house"
function = 4
[[registers]]
name = "flow"
address = 10
unit = "l/s"
kind = "float32"
word_order = "little"
[[registers]]
name = "oil"
address = 12
unit = "°C"
scale = 0.1
offset = -40.0
low = -30.0
high = 120.0
[[registers]]
name = "hours"
address = 14
unit = "h"
kind = "uint32"
"""


def question(registers: RegisterMap, slave: int) -> bytes:
    payload = registers.first.to_bytes(2, "big") + registers.count.to_bytes(2, "big")
    return frame(slave, registers.function, payload)


def test_golden_questions():
    assert question(QM30VT2, 1) == bytes.fromhex("01 03 14 50 00 16 C1 E5")
    assert question(WTVB01_485, SLAVE) == bytes.fromhex("50 03 00 34 00 13 48 48")
    unlock = frame(SLAVE, 6, UNLOCK_REGISTER.to_bytes(2, "big") + UNLOCK_CODE.to_bytes(2, "big"))
    assert unlock == bytes.fromhex("50 06 00 69 B5 88 22 A1")


def test_golden_answer_of_a_qm42vt1_through_a_map_of_ones_own(tmp_path):
    """Another part of the same maker, with another map: °F and °C agree only if it is read as such."""
    registers = (
        Register("z-velocity-rms", 17, "mm/s", 0.001),
        Register("temperature-f", 18, "°F", 0.05, kind="int16"),
        Register("temperature", 19, "°C", 0.05, kind="int16"),
        Register("x-velocity-rms", 21, "mm/s", 0.001),
    )
    own = RegisterMap("Banner QM42VT1", registers, block=(16, 6))
    assert question(own, 1) == bytes.fromhex("01 03 00 10 00 06 C4 0D")
    data = bytes.fromhex("002E 006C 0625 0206 0047 00B6")
    words = [int.from_bytes(data[at : at + 2], "big") for at in range(0, 12, 2)]
    assert frame(1, 3, b"\x0c" + data)[-2:] == bytes.fromhex("BD F3")
    slave = ModbusSlave(tmp_path / "usb-485", 1, lambda _first, _count: words)
    modbus = Modbus(SerialLine(slave.link), timeout_s=0.1)
    found = Transmitter(modbus, 1, own, MachineTime(SimClock())).read().by_name
    modbus.close()
    slave.unplug()
    assert found["z-velocity-rms"].value == pytest.approx(0.108)
    assert found["x-velocity-rms"].value == pytest.approx(0.182)
    assert found["temperature"].value == pytest.approx(25.9)
    assert found["temperature-f"].value == pytest.approx(25.9 * 1.8 + 32.0, abs=0.1)


def test_every_register_of_a_qm30vt2_stands_where_its_manual_says():
    words = list(range(1000, 1022))
    found = QM30VT2.values(words)
    assert found["z-peak"] == pytest.approx(1.006 * G)
    assert found["x-peak"] == pytest.approx(1.007 * G)
    assert found["z-peak-velocity-frequency"] == pytest.approx(100.8)
    assert found["z-rms"] == pytest.approx(1.010 * G)
    assert found["x-kurtosis"] == pytest.approx(1.013)
    assert found["z-crest"] == pytest.approx(1.014)
    assert found["z-velocity-peak"] == pytest.approx(1.017)
    assert found["x-velocity-peak"] == pytest.approx(1.019)
    assert found["x-high-frequency-rms"] == pytest.approx(1.021 * G)


def test_wtvb01_registers():
    words = [0] * 19
    words[0x34 - 0x34], words[0x36 - 0x34] = 0x0800, 0xF800
    words[0x3C - 0x34], words[0x40 - 0x34] = 280, 0xFF9C
    words[0x42 - 0x34], words[0x44 - 0x34] = 55, 247
    found = WTVB01_485.values(words)
    assert found["x-acceleration"] == pytest.approx(G)
    assert found["z-acceleration"] == pytest.approx(-G)
    assert found["z-velocity"] == pytest.approx(2.80)
    assert found["temperature"] == pytest.approx(-1.0)
    assert found["y-displacement"] == 55.0
    assert found["x-frequency"] == pytest.approx(24.7)
    assert wtvb01(1.0).values(words)["z-velocity"] == 280.0


def test_a_map_of_ones_own():
    own = msgspec.convert(tomllib.loads(OWN_MAP), RegisterMap)
    assert (own.function, own.first, own.count) == (4, 10, 6)
    found = own.values([0x0000, 0x4120, 650, 0, 0x0001, 0x0002])
    assert found == {"flow": 10.0, "oil": 25.0, "hours": 65538.0}
    assert own.units == {"flow": "l/s", "oil": "°C", "hours": "h"}
    with pytest.raises(ValueError, match=r"oil is 6513\.5 °C, expected -30 to 120"):
        own.values([0, 0, 65535, 0, 0, 0])
    with pytest.raises(ValueError, match="flow is nan"):
        own.values([0x0000, 0x7FC0, 650, 0, 0, 0])


def test_what_the_simulated_machine_does_not_know_reads_zero_in_its_unit():
    """The page of maps gives this one: with 0 in its register the oil would be at -40 °C, out of range."""
    own = msgspec.convert(tomllib.loads(OWN_MAP), RegisterMap)
    words = MachineRegisters(Machine(), SimClock(), own)(own.first, own.count)
    assert own.values(words) == pytest.approx({"flow": 0.0, "oil": 0.0, "hours": 0.0})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"registers": []}, "no registers"),
        ({"registers": [{"name": "a", "address": 70000, "unit": "1"}]}, "address 70000"),
        ({"registers": [{"name": "a", "address": 1, "unit": "1", "scale": 0}]}, "scale 0"),
        ({"registers": [{"name": "Oil temp", "address": 1, "unit": "1"}]}, "a name of a to z"),
        ({"registers": [{"name": "a", "address": 1, "unit": "1"}] * 2}, "a twice"),
        ({"registers": [{"name": "a", "address": 1, "unit": "1", "kind": "int8"}]}, "kind"),
        (
            {"registers": [{"name": n, "address": a, "unit": "1"} for n, a in (("a", 0), ("b", 200))]},
            "201 registers",
        ),
        ({"registers": [{"name": "a", "address": 9, "unit": "1"}], "block": [0, 9]}, "inside its block"),
        ({"registers": [{"name": "a", "address": 65535, "unit": "1", "kind": "int32"}]}, "65535 to 65536"),
        ({"registers": [{"name": "a", "address": 9, "unit": "1"}], "function": 6}, "function"),
    ],
)
def test_a_map_that_cannot_be(change, message):
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.convert({"part": "own", **change}, RegisterMap)


@pytest.mark.parametrize("kind", ["uint16", "int16", "uint32", "int32", "float32"])
@pytest.mark.parametrize("order", ["big", "little"])
def test_content_is_the_way_back(kind, order):
    register = Register("a", 0, "1", 0.5, 3.0, kind, order)
    for value in (3.0, 103.5, 1000.0):
        assert register.value(register.content(value)) == value
    if kind.startswith("int"):
        assert register.value(register.content(-50.5)) == -50.5
    if kind != "float32":
        assert math.isfinite(register.value(register.content(1e12)))


@pytest.fixture
def rig(tmp_path):
    """A QM30VT2 on the simulated machine and its driver, in real time."""
    clock = SimClock()
    slave = ModbusSlave(tmp_path / "usb-485", 1, MachineRegisters(Machine(), clock, QM30VT2))
    modbus = Modbus(SerialLine(slave.link), timeout_s=0.1, retries=0)
    yield slave, Transmitter(modbus, 1, QM30VT2, MachineTime(clock), period_s=0.15)
    modbus.close()
    slave.unplug()


def test_one_question_a_period(rig):
    slave, transmitter = rig
    readings = [reading for _ in range(4) if (reading := transmitter.read())]
    assert len(readings) == slave.questions == 4
    for one, next_one in itertools.pairwise(readings):
        assert 0.1e9 < next_one.host_ns - one.host_ns < 0.25e9


def test_a_fault_is_tried_again_at_once(rig):
    slave, transmitter = rig
    slave.fates.append("crc")
    with pytest.raises(PortError, match="CRC"):
        transmitter.read()
    assert transmitter.read() is not None


def test_a_value_out_of_range_is_a_fault(tmp_path):
    slave = ModbusSlave(tmp_path / "usb-485", 1, lambda _first, count: [0x7FFF] * count)
    modbus = Modbus(SerialLine(slave.link), timeout_s=0.1)
    transmitter = Transmitter(modbus, 1, QM30VT2, MachineTime(SimClock()))
    with pytest.raises(
        PortError, match=r"Banner QM30VT2, slave 1: temperature is 327\.67 °C, expected -40 to 105"
    ):
        transmitter.read()
    modbus.close()
    slave.unplug()


def test_what_the_simulated_part_works_out_of_a_pure_tone():
    t_s = np.arange(int(RATE_HZ)) / RATE_HZ
    amplitude = 2.8e-3 * np.sqrt(2.0) * 2 * np.pi * 50.0
    found = quantities(amplitude * np.sin(2 * np.pi * 50.0 * t_s) + G)
    assert found["velocity-rms"] == pytest.approx(2.8, rel=1e-3)
    assert found["rms"] == pytest.approx(amplitude / np.sqrt(2.0), rel=1e-3)
    assert found["kurtosis"] == pytest.approx(1.5, rel=1e-2)
    assert found["peak-velocity-frequency"] == pytest.approx(50.0, abs=1.0)
    assert found["displacement"] == pytest.approx(2.8e3 * np.sqrt(2.0) / (2 * np.pi * 50.0), rel=1e-2)
