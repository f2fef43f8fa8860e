"""MLX90614: its checksum, and what happens where there is none."""

import logging
import math

import pytest

from hw.mlx90614 import Mlx90614, pec
from hw.ports import PortError
from hw.sim.bus import BusFault, SimI2c
from hw.sim.chips.thermometers import Mlx90614Chip
from hw.sim.clock import SimClock
from hw.sim.machine_time import MachineTime
from hw.sim.rotor import Machine

SETTLED_DEGC = 22 + 34 * (0.25 + 0.75 * 0.7)


class Answers:
    """A chip that gives the answers of a datasheet."""

    def __init__(self, *answers: str) -> None:
        self.answers = [bytes.fromhex(answer) for answer in answers]

    def transfer(self, write: bytes, read_bytes: int, _t_s: float) -> bytes:
        assert (write, read_bytes) == (b"\x07", 3)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def power_cycle(self, _t_s: float) -> None: ...


def on_bus(chip, **options):
    clock = MachineTime(SimClock(math.inf, epoch_ns=0))
    faults = options.pop("faults", ())
    return Mlx90614(SimI2c(clock, {0x5A: chip}, faults, 100_000.0), clock, **options)


def test_golden_answer():
    """B4 07 B5 D2 3A has the PEC 30 and is 28.01 °C."""
    assert pec(bytes.fromhex("b407b5d23a")) == 0x30
    assert on_bus(Answers("d23a30")).read().degc == pytest.approx(28.01)


def test_a_wrong_pec_is_refused_and_the_next_right_one_taken():
    right, wrong = "d23a30", "d23a31"
    thermometer = on_bus(Answers(*[right] * 5, *[wrong] * 2, right))
    with pytest.raises(PortError, match=r"MLX90614 at 0x5a: PEC 0x31.*expected 0x30"):
        thermometer.read()
    assert thermometer.read().degc == pytest.approx(28.01)
    assert thermometer.checks_pec


def test_a_flipped_data_bit_is_a_wrong_pec():
    thermometer = on_bus(Answers("d23a30", *["d23b30"] * 20))
    with pytest.raises(PortError, match="PEC"):
        thermometer.read()


def test_error_bit():
    word = "ffbb"
    answer = word + f"{pec(bytes.fromhex('b407b5' + word)):02x}"
    with pytest.raises(PortError, match=r"0xbbff.*error bit"):
        on_bus(Answers(answer)).read()


def test_a_chip_without_pec_is_read_unchecked_and_said_once(caplog):
    thermometer = on_bus(Mlx90614Chip(Machine(), sends_pec=False), period_s=0.2)
    with caplog.at_level(logging.WARNING):
        degc = [reading.degc for _ in range(20) if (reading := thermometer.read())]
    assert degc
    assert degc == pytest.approx([SETTLED_DEGC] * len(degc), abs=0.1)
    assert not thermometer.checks_pec
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "sends no PEC" in caplog.text


def test_a_chip_with_pec_is_checked_again_after_one_without():
    chip = Mlx90614Chip(Machine(), sends_pec=False)
    thermometer = on_bus(chip, period_s=0.2)
    thermometer.read()
    chip.sends_pec = True
    while thermometer.read() is None:
        pass
    assert thermometer.checks_pec


def test_a_bus_that_floats_high_is_no_chip_without_pec(caplog):
    thermometer = on_bus(Answers("ffffff"))
    with pytest.raises(PortError):
        thermometer.read()
    assert caplog.records == []


def test_unchecked_when_told_so():
    assert on_bus(Answers("d23aff"), check_pec=False).read().degc == pytest.approx(28.01)


def test_ambient():
    thermometer = on_bus(Mlx90614Chip(Machine()), ambient=True)
    assert thermometer.read().degc == pytest.approx(22.0, abs=0.02)


def test_noise_on_the_bus_does_not_switch_the_check_off():
    faults = [BusFault("corrupt", 0.0, 60.0, 1.0)]
    thermometer = on_bus(Mlx90614Chip(Machine()), faults=faults)
    for _ in range(50):
        with pytest.raises(PortError):
            thermometer.read()
        assert thermometer.checks_pec
