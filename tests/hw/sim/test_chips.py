"""The simulated chips against facts of their datasheets, without any driver."""

import numpy as np
import pytest
from vibration_ports import CHIPS, Machine

from hw.sim.chips.adxl345 import SimAdxl345
from hw.sim.chips.adxl355 import SimAdxl355
from hw.sim.chips.lis3dh import SimLis3dh
from hw.sim.chips.lsm6dso import SimIis3dwb, SimLsm6dso


def write(chip, register: int, *values: int, t_s: float = 0.0) -> None:
    chip.transfer(bytes([register, *values]), 0, t_s)


def read(chip, register: int, count: int = 1, t_s: float = 0.0) -> list[int]:
    return list(chip.transfer(bytes([register]), count, t_s))


@pytest.mark.parametrize(
    ("chip", "register", "values"),
    [
        (SimLsm6dso, 0x0F, [0x6C]),
        (SimIis3dwb, 0x0F, [0x7B]),
        (SimAdxl345, 0x00, [0xE5]),
        (SimAdxl345, 0x2C, [0x0A, 0x00]),
        (SimLis3dh, 0x0F, [0x33]),
        (SimLis3dh, 0x20, [0x07]),
        (SimAdxl355, 0x00, [0xAD]),
        (SimAdxl355, 0x2C, [0x81, 0x01]),
    ],
)
def test_identification_and_reset_values(chip, register, values):
    part = chip(Machine())
    assert read(part, register | (0x80 if chip is SimLis3dh else 0), len(values)) == values
    write(part, 0x00, 0x55)
    assert read(part, register | (0x80 if chip is SimLis3dh else 0), len(values)) == values


@pytest.mark.parametrize("name", CHIPS)
def test_nothing_is_measured_before_it_is_asked_for(name):
    part = CHIPS[name].chip(Machine())
    part.transfer(b"\x00", 1, 5.0)
    assert len(part.fifo) == 0
    assert part.motion.taken == 0


def test_adxl345_pops_a_sample_with_its_data_and_shows_what_is_left():
    part = SimAdxl345(Machine())
    write(part, 0x2C, 0x0D)
    write(part, 0x31, 0x0B)
    write(part, 0x38, 0x90)
    write(part, 0x2D, 0x08)
    first = read(part, 0x32, 8, t_s=10.5 / 800)
    assert first[6:] == [0x90, 9]
    second = read(part, 0x32, 8, t_s=10.5 / 800)
    assert second[6:] == [0x90, 8]
    assert first[:6] != second[:6]
    z = np.frombuffer(bytes(first[4:6]), "<i2")[0]
    assert 200 < z < 310  # 256 counts a g
    assert read(part, 0x30, t_s=1.0)[0] & 0x83 == 0x83  # data, watermark, overrun
    assert read(part, 0x39, t_s=1.0) == [32]
    read(part, 0x32, 6, t_s=1.0)
    assert read(part, 0x30, t_s=1.0)[0] & 0x01 == 0


def test_lis3dh_goes_on_only_with_the_bit_and_rolls_over_in_its_data():
    part = SimLis3dh(Machine())
    write(part, 0x23, 0xB8)
    write(part, 0x24, 0x40)
    write(part, 0x2E, 0x80)
    write(part, 0x20, 0x97)
    t_s = 20.5 / 1344
    assert read(part, 0x2F, t_s=t_s) == [0x80 | 20]
    assert read(part, 0x0F, 3, t_s=t_s) == [0x33] * 3
    three = read(part, 0x28 | 0x80, 18, t_s=t_s)
    counts = np.frombuffer(bytes(three), "<i2").reshape(3, 3)
    assert (counts & 0x0F == 0).all()
    assert np.abs((counts[:, 2] >> 4) - 83).max() < 20  # 12 mg a count at ±16 g
    assert read(part, 0x2F, t_s=t_s) == [0x80 | 17]
    assert read(part, 0x2F, t_s=1.0) == [0x80 | 0x40 | 31]
    read(part, 0x28 | 0x80, 6 * 32, t_s=1.0)
    assert read(part, 0x2F, t_s=1.0) == [0x20]


def test_lsm6dso_words_roll_over_with_tag_slot_and_parity():
    part = SimLsm6dso(Machine())
    write(part, 0x09, 0x09)
    write(part, 0x0A, 0x06)
    write(part, 0x10, 0x94)
    t_s = 10.5 / 3332
    assert read(part, 0x3A, 2, t_s=t_s) == [10, 0]
    words = np.array(read(part, 0x78, 70, t_s=t_s)).reshape(10, 7)
    assert words[:, 0].tolist() == [0x11, 0x12, 0x14, 0x17] * 2 + [0x11, 0x12]
    assert words[:2, 1:].tolist() == [[0xFD, 0x7F] * 3] * 2
    z = words[2:, 5] + 256 * words[2:, 6]
    assert np.abs(z - 2049).max() < 400  # 488 µg a count
    assert read(part, 0x3A, 2, t_s=1.0) == [0, 0x02 | 0x60 | 0x08]
    assert read(part, 0x3A, 2, t_s=1.0) == [0, 0x02 | 0x60]
    write(part, 0x12, 0x01, t_s=1.0)
    assert read(part, 0x12, t_s=1.0) == [0x04]
    assert read(part, 0x3A, 2, t_s=2.0) == [0, 0]


def test_adxl355_marks_x_and_says_when_it_is_empty():
    part = SimAdxl355(Machine())
    write(part, 0x28, 0x01)
    write(part, 0x2C, 0x83)
    write(part, 0x2D, 0x00)
    t_s = 2.5 / 2000
    assert read(part, 0x04, 2, t_s=t_s) == [0x01, 6]
    words = np.array(read(part, 0x11, 21, t_s=t_s)).reshape(7, 3)
    assert (words[:, 2] & 0x03).tolist() == [1, 0, 0, 1, 0, 0, 2]
    z = (words[2, 0] << 12) + (words[2, 1] << 4) + (words[2, 2] >> 4)
    assert 50_000 < z < 78_000  # 64000 counts a g at ±8 g
    assert read(part, 0x04, 2, t_s=1.0) == [0x07, 96]
    assert read(part, 0x04, 2, t_s=1.0) == [0x03, 96]
