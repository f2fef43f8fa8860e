"""What only one kind of thermometer has: ids, bit layouts, power-on values, files."""

import math

import pytest

from hw.lm75 import Lm75
from hw.mcp9808 import Mcp9808
from hw.pace import Pace
from hw.ports import PortError
from hw.sim.bus import SimI2c
from hw.sim.clock import SimClock
from hw.sim.machine_time import MachineTime
from hw.sysfs_temperature import SysfsTemperature
from hw.tmp117 import Tmp117
from hw.w1_thermometer import W1Thermometer


class Registers:
    """A chip whose registers a test sets; a register given as a list gives one word after the other."""

    def __init__(self, words: dict) -> None:
        self.words = words

    def transfer(self, write: bytes, read_bytes: int, _t_s: float) -> bytes:
        word = self.words[write[0]]
        if isinstance(word, list):
            word = word.pop(0) if len(word) > 1 else word[0]
        return word.to_bytes(2, "big")[:read_bytes]

    def power_cycle(self, _t_s: float) -> None: ...


def endless() -> MachineTime:
    return MachineTime(SimClock(math.inf, epoch_ns=0))


def on_bus(driver, address, words, **options):
    clock = endless()
    return driver(SimI2c(clock, {address: Registers(words)}), clock, address, 1.0, **options)


def next_degc(thermometer):
    while (reading := thermometer.read()) is None:
        pass
    return reading.degc


@pytest.mark.parametrize(
    ("word", "degc"),
    [(0x0C80, 25.0), (0xFFFF, -0.0078125), (0xF380, -25.0), (0x0000, 0.0), (0x4B00, 150.0)],
)
def test_tmp117_words(word, degc):
    assert next_degc(on_bus(Tmp117, 0x48, {0x00: word, 0x0F: 0x0117})) == degc
    assert next_degc(on_bus(Tmp117, 0x48, {0x00: word, 0x0F: 0x2117})) == degc


def test_tmp117_before_its_first_conversion():
    thermometer = on_bus(Tmp117, 0x48, {0x00: [0x8000, 0x8000, 0x0C80], 0x0F: 0x0117})
    with pytest.raises(PortError, match=r"TMP117 at 0x48: -256 °C is its power-on value"):
        thermometer.read()
    assert next_degc(thermometer) == 25.0


@pytest.mark.parametrize("identity", [0x0000, 0xFFFF, 0x0118, 0x0054])
def test_tmp117_another_chip(identity):
    with pytest.raises(PortError, match=rf"device id {identity:#06x}, expected 0x0117"):
        on_bus(Tmp117, 0x49, {0x00: 0x0C80, 0x0F: identity}).read()


@pytest.mark.parametrize(
    ("word", "degc"), [(0xC190, 25.0), (0x0190, 25.0), (0x1FF0, -1.0), (0xC7D0, 125.0), (0x1D80, -40.0)]
)
def test_mcp9808_words_with_and_without_flags(word, degc):
    words = {0x05: word, 0x06: 0x0054, 0x07: 0x0401}
    assert next_degc(on_bus(Mcp9808, 0x18, words)) == degc


def test_mcp9808_is_not_a_lis3dh():
    """0x18 and 0x19 belong to both."""
    with pytest.raises(PortError, match="LIS3DH"):
        on_bus(Mcp9808, 0x18, {0x05: 0x0190, 0x06: 0x0000, 0x07: 0x3300}).read()


@pytest.mark.parametrize(
    ("bits", "word", "degc"),
    [(9, 0x197F, 25.0), (9, 0xE700, -25.0), (11, 0x1920, 25.125), (11, 0xFFE0, -0.125), (12, 0x7D00, 125.0)],
)
def test_lm75_words(bits, word, degc):
    assert next_degc(on_bus(Lm75, 0x48, {0x00: word}, bits=bits)) == degc


def test_lm75_refuses_what_no_tmp102_says():
    with pytest.raises(PortError, match="lower 4 bits"):
        on_bus(Lm75, 0x48, {0x00: 0xFFFF}, bits=12).read()
    with pytest.raises(ValueError, match="9, 11, 12"):
        on_bus(Lm75, 0x48, {0x00: 0}, bits=10)


def test_a_conversion_between_two_readings_is_no_fault_but_noise_is():
    assert next_degc(on_bus(Lm75, 0x48, {0x00: [0x1900, 0x1980, 0x1980]})) == 25.5
    with pytest.raises(PortError, match=r"19 00, 1a 00, 19 00.*expected"):
        on_bus(Lm75, 0x48, {0x00: [0x1900, 0x1A00, 0x1900]}).read()


def test_out_of_range_is_a_fault():
    with pytest.raises(PortError, match=r"127\.50 °C, expected -55 to 125"):
        on_bus(Lm75, 0x48, {0x00: 0x7F80}).read()


@pytest.mark.parametrize(
    ("driver", "words"), [(Lm75, {0x00: 0}), (Mcp9808, {0x05: 0, 0x06: 0x54, 0x07: 0x400})]
)
def test_zero_degrees_that_outlast_a_conversion_are_no_power_on_value(driver, words):
    clock = endless()
    thermometer = driver(SimI2c(clock, {0x18: Registers(words)}), clock, 0x18, 1.0)
    for _ in range(2):
        with pytest.raises(PortError, match="0 °C is its power-on value"):
            thermometer.read()
    clock.sleep(0.5)
    assert next_degc(thermometer) == 0.0


def test_another_value_or_a_fault_between_two_zeros_begins_the_wait_anew():
    words = {0x00: 0}
    clock = endless()
    thermometer = Lm75(SimI2c(clock, {0x48: Registers(words)}), clock, 0x48, 1.0)
    for word, fault in ((0, "power-on value"), (0x7F80, "expected -55 to 125"), (0, "power-on value")):
        words[0x00] = word
        with pytest.raises(PortError, match=fault):
            thermometer.read()
        clock.sleep(0.5)


class Sensor:
    """The kernel's folder of one DS18B20."""

    def __init__(self, folder) -> None:
        self.file = folder / "28-000000000001" / "temperature"
        self.file.parent.mkdir()
        self.thermometer = W1Thermometer("28-000000000001", endless(), 1.0, folder)

    def says(self, text):
        self.file.write_text(text)
        return next_degc(self.thermometer)


def test_w1_power_on_value_counts_only_beside_a_neighbour(tmp_path):
    sensor = Sensor(tmp_path)
    with pytest.raises(PortError, match="85 °C is its power-on value"):
        sensor.says("85000\n")
    assert sensor.says("24875\n") == 24.875
    with pytest.raises(PortError, match="85 °C"):
        sensor.says("85000\n")
    assert sensor.says("84937\n") == 84.937
    assert sensor.says("85000\n") == 85.0
    assert sensor.says("85062\n") == 85.062


@pytest.mark.parametrize("text", ["", "t=23", "nan", "-127000", "127937"])
def test_w1_nonsense(tmp_path, text):
    with pytest.raises(PortError, match="expected"):
        Sensor(tmp_path).says(text)


def test_w1_not_there_names_those_that_are(tmp_path):
    (tmp_path / "28-00000000beef").mkdir()
    (tmp_path / "w1_bus_master1").mkdir()
    with pytest.raises(PortError, match=r"not on the bus.*present: 28-00000000beef\."):
        W1Thermometer("28-000000000001", endless(), 1.0, tmp_path).read()


def test_sysfs_must_fit_one_file(tmp_path):
    thermometer = SysfsTemperature(str(tmp_path / "hwmon*" / "temp1_input"), endless())
    with pytest.raises(PortError, match=r"fits 0 files \(none\)"):
        thermometer.read()
    for name in ("hwmon0", "hwmon1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "temp1_input").write_text("41250\n")
    with pytest.raises(PortError, match=r"fits 2 files .*hwmon0/temp1_input, .*hwmon1"):
        thermometer.read()
    (tmp_path / "hwmon0" / "temp1_input").unlink()
    assert next_degc(thermometer) == 41.25


@pytest.mark.parametrize("content", [b"", b"41 C", b"\xff\xfe\x80", "٤١٠٠٠".encode(), bytes(10_000)])
def test_sysfs_of_a_file_that_is_no_number(tmp_path, content):
    (tmp_path / "eeprom").write_bytes(content)
    with pytest.raises(PortError, match=r"eeprom: '.{0,160}', expected a number of m°C"):
        SysfsTemperature(str(tmp_path / "eeprom"), endless()).read()


def test_sysfs_iio_channel(tmp_path):
    (tmp_path / "in_temp_raw").write_text("1885")
    (tmp_path / "in_temp_scale").write_text("-110.497237569")
    (tmp_path / "in_temp_offset").write_text("-2111.25")
    assert next_degc(SysfsTemperature(str(tmp_path / "in_temp_raw"), endless())) == pytest.approx(25.0)


def test_pace_does_not_make_up_for_missed_turns():
    clock = endless()
    pace = Pace(clock, 1.0)
    assert pace.due()
    pace.taken()
    clock.sleep(10.5)
    assert pace.due()
    pace.taken()
    assert [pace.due() for _ in range(4)] == [False, False, False, True]
    with pytest.raises(ValueError, match="above 0"):
        Pace(clock, 0.0)
