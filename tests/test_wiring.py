"""Faults between sensors and buses: each with its line and key; and what is not a fault."""

from pathlib import Path

import pytest
from config_files import faults, written

from appliance.check import load

I2C = '"/dev/i2c-1"'
SPI = '"/dev/spidev0.0"'


def vibration(driver: str, name: str = "de", **keys: object) -> str:
    return _table("vibration", driver, name, keys)


def temperature(driver: str, name: str = "t", **keys: object) -> str:
    return _table("temperature", driver, name, keys)


def _table(part: str, driver: str, name: str, keys: dict[str, object]) -> str:
    """Three lines, then a line a key; values are TOML."""
    rest = "".join(f"{key} = {value}\n" for key, value in keys.items())
    return f'[[{part}]]\ndriver = "{driver}"\nname = "{name}"\n{rest}'


FAST = "simulation.speed = 8\n"
DIGITIZER = {"port": '"/dev/ttyACM0"', "rate_hz": 1000, "scale_mps2": 0.0048}

# name: (document, [(line, key, words of the message)])
BROKEN: dict[str, tuple[str, list[tuple[int, str, str]]]] = {
    "a real chip in fast time": (
        FAST + vibration("lsm6dso"),
        [(1, "simulation.speed", "8 beside 'de' on /dev/i2c-1, which lives in real time; expected 1")],
    ),
    "a digitizer in fast time": (
        FAST + vibration("digitizer", **DIGITIZER),
        [(1, "simulation.speed", "8 beside 'de' on digitizer")],
    ),
    "a digitizer that does not say what it sends": (
        vibration("digitizer", port='"/dev/ttyACM0"'),
        [(1, "vibration[0].rate_hz", "missing"), (1, "vibration[0].scale_mps2", "missing")],
    ),
    "a digitizer whose counts are nothing": (
        vibration("digitizer", **DIGITIZER | {"rate_hz": "nan", "scale_mps2": 0.0}),
        [(5, "vibration[0].rate_hz", "nan is out"), (6, "vibration[0].scale_mps2", "a number above 0")],
    ),
    "an address that the part cannot have": (
        vibration("lsm6dso", address="0x53") + temperature("tmp117", address="0x4C"),
        [
            (4, "vibration[0].address", "83 is not one of them; expected 0x6A or 0x6B;"),
            (8, "temperature[0].address", "76 is out of range; expected 0x48 to 0x4B;"),
        ],
    ),
    "a number like one of those allowed": (
        temperature("lm75", bits=10),
        [(4, "temperature[0].bits", "expected one of 9, 11, 12; choose one of them")],
    ),
    "a word of one's own": (
        '[relay]\ndriver = "gpio"\nchip = "x"\nline = 17\nexternal_pull = "yes"\n',
        [(5, "relay.external_pull", "expected one of external pull-down fitted, external pull-up fitted;")],
    ),
    "real thermometers in slow time": (
        "[simulation]\n\nspeed = 0.5\n"
        + temperature("tmp117")
        + temperature("w1", "u", serial='"28-0123456789ab"')
        + temperature("sysfs", "v", file='"/sys/x"'),
        [
            (3, "simulation.speed", "'t' on /dev/i2c-1"),
            (3, "simulation.speed", "'u' on w1"),
            (3, "simulation.speed", "'v' on sysfs"),
        ],
    ),
    "a wrong clock for a real chip": (
        vibration("lis3dh", clock_ppm=3),
        [(4, "vibration[0].clock_ppm", "a clock of its own")],
    ),
    "a clock that stands still or runs backwards": (
        vibration("sim", clock_ppm="-1e6", troubles="[{ kind = 'clock_drift', amount = -2e6 }]"),
        [(4, "vibration[0].clock_ppm", "from -2000"), (5, "vibration[0].troubles[0].amount", "out of")],
    ),
    "faults for a real chip": (
        vibration("iis3dwb", troubles='[{ kind = "nack" }]'),
        [(4, "vibration[0].troubles", "1 to play on /dev/spidev0.0")],
    ),
    "faults for a real thermometer": (
        temperature("lm75", bus=I2C, troubles='[{ kind = "nack" }, { kind = "slow" }]'),
        [(5, "temperature[0].troubles", "expected it on a simulated bus only; remove it")],
    ),
    "LSM6DSO too fast for I2C": (
        vibration("lsm6dso", rate_hz=6664),
        [(4, "vibration[0].rate_hz", "6664 on /dev/i2c-1, an I2C bus, which carries 3332 Hz of it at most")],
    ),
    "ADXL345 too fast for simulated I2C": (
        vibration("adxl345", bus='"sim:i2c"', rate_hz=3200),
        [(5, "vibration[0].rate_hz", "3200 on sim:i2c, an I2C bus, which carries 1600 Hz of it at most")],
    ),
    "LSM6DSO too fast for simulated I2C": (
        vibration("lsm6dso", bus='"sim:i2c"', rate_hz=6664),
        [(5, "vibration[0].rate_hz", "lower it, or wire it to sim:spi")],
    ),
    "a simulated bus without its kind": (
        vibration("lsm6dso", bus='"sim"'),
        [(4, "vibration[0].bus", "sim:i2c or sim:spi")],
    ),
    "IIS3DWB on simulated I2C": (
        vibration("iis3dwb", bus='"sim:i2c"'),
        [(4, "vibration[0].bus", "sim:spi for a chip on the simulated machine")],
    ),
    "a thermometer on simulated SPI": (
        temperature("tmp117", bus='"sim:spi"'),
        [(4, "temperature[0].bus", "sim:i2c for a chip on the simulated machine")],
    ),
    "ADXL355 on SPI, whose commands are others": (
        "limits.peak_mps2 = { danger = 60 }\n" + vibration("adxl355", bus=SPI),
        [(5, "vibration[0].bus", "/dev/i2c-N")],
    ),
    "ADXL355 on simulated SPI": (
        "limits.peak_mps2 = { danger = 60 }\n" + vibration("adxl355", bus='"sim:spi"'),
        [(5, "vibration[0].bus", "/dev/i2c-N")],
    ),
    "a trouble that a thermometer cannot have": (
        temperature("sim", troubles='[{ kind = "stuck" }, { kind = "clip" }]'),
        [(4, "temperature[0].troubles[1].kind", "expected one of stuck, lost")],
    ),
    "two chips at one address": (
        vibration("lis3dh", bus=I2C, address="0x19") + temperature("mcp9808"),
        [(7, "temperature[0].address", "0x19 on /dev/i2c-1 is already the place of vibration[0]")],
    ),
    "two chips on one chip select": (
        vibration("iis3dwb") + vibration("lsm6dso", "nde", bus=SPI),
        [(7, "vibration[1].bus", "/dev/spidev0.0 is already the place of vibration[0]")],
    ),
    "two digitizers on one tty": (
        vibration("digitizer", **DIGITIZER) + vibration("digitizer", "nde", **DIGITIZER),
        [(10, "vibration[1].port", "expected one device there")],
    ),
    "one DS18B20 twice": (
        temperature("w1", serial='"28-0123456789ab"') + temperature("w1", "u", serial='"28-0123456789ab"'),
        [(8, "temperature[1].serial", "already the place of temperature[0]")],
    ),
    "an MLX90614 on a fast bus": (
        vibration("lsm6dso", bus=I2C) + temperature("mlx90614", bus=I2C),
        [(8, "temperature[0].bus", "'/dev/i2c-1' at 100 kHz at most is shared with 'de'")],
    ),
    "an MLX90614 on the fast bus of the defaults": (
        vibration("lsm6dso") + temperature("mlx90614"),
        [(5, "temperature[0].bus", "expected a bus of its own")],
    ),
}  # fmt: skip

SOUND = {
    "all on their own": vibration("lsm6dso")
    + vibration("adxl345", "nde", rate_hz=1600)
    + temperature("tmp117")
    + temperature("mlx90614", "ir", bus='"/dev/i2c-2"')
    + temperature("mcp9808", "amb", bus='"/dev/i2c-2"'),
    "fast chips on SPI": vibration("lsm6dso", bus=SPI, rate_hz=6664)
    + vibration("adxl345", "nde", bus='"/dev/spidev0.1"', rate_hz=3200),
    "one address on two buses": vibration("lsm6dso") + vibration("lsm6dso", "nde", bus='"/dev/i2c-2"'),
    "simulated chips have a bus each": FAST
    + vibration("lsm6dso", bus='"sim:i2c"', clock_ppm=3, troubles='[{ kind = "nack" }]')
    + vibration("lsm6dso", "nde", bus='"sim:i2c"')
    + temperature("mlx90614", bus='"sim:i2c"'),
    "fast chips on simulated SPI": FAST
    + vibration("lsm6dso", bus='"sim:spi"', rate_hz=6664, clock_ppm=3, troubles='[{ kind = "nack" }]')
    + vibration("adxl345", "nde", bus='"sim:spi"', rate_hz=3200)
    + vibration("lis3dh", "gear", bus='"sim:spi"')
    + vibration("iis3dwb", "fan", bus='"sim:spi"'),
    "a thermometer's troubles": temperature("sim", troubles='[{ kind = "stuck" }, { kind = "lost" }]'),
}


@pytest.mark.parametrize("name", BROKEN)
def test_miswired(name: str, tmp_path: Path) -> None:
    document, expected = BROKEN[name]
    found = faults(written(tmp_path, document))
    assert [fault[:2] for fault in found] == [fault[:2] for fault in expected]
    for (_, _, message), (_, _, words) in zip(found, expected, strict=True):
        assert words in message


@pytest.mark.parametrize("name", SOUND)
def test_well_wired(name: str, tmp_path: Path) -> None:
    load(written(tmp_path, SOUND[name]))


def test_a_fault_hides_what_would_follow_from_its_default(tmp_path: Path) -> None:
    text = vibration("lsm6dso", bus='"i2c-3"', rate_hz=6664) + temperature("mcp9808", address='"0x6A"')
    assert [fault[:2] for fault in faults(written(tmp_path, text))] == [
        (4, "vibration[0].bus"),
        (9, "temperature[0].address"),
    ]
