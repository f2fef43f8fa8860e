"""Every sensor of a configuration, opened from its TOML: on the simulated machine, and where nothing is."""

import re
import time
from pathlib import Path

import numpy as np
import pytest
from appliance_processes import Folder, end, heard

from appliance.check import load
from appliance.config import Config
from appliance.errors import ApplianceError, ConfigError
from appliance.guard.sensors import World, open_temperature, open_vibration
from appliance.records import ChannelState, GuardState
from hw.ports import STANDARD_GRAVITY_MPS2, PortError, Temperature, Vibration
from hw.sim.accelerometer import SimAccelerometer
from hw.sim.bus import KINDS
from hw.sim.clock import SimClock
from hw.sim.digitizer import SimDigitizer
from hw.sim.rotor import Machine

G = STANDARD_GRAVITY_MPS2
FAST = "simulation.speed = 200\nlimits.peak_mps2 = { danger = 15 }\nlimits.rms_mps2 = { danger = 9 }\n"
HOUSING_DEGC = 48.0

# bus, driver and keys: (place in its faults, rate in Hz, g a count)
VIBRATION = {
    'bus = "sim:i2c"\ndriver = "lsm6dso"\naddress = 0x6B\nrate_hz = 833\nrange_g = 4': (
        "LSM6DSO at 0x6b",
        833,
        122e-6,
    ),
    'bus = "sim:i2c"\ndriver = "lsm6dso"': ("LSM6DSO at 0x6a", 3332, 488e-6),
    'bus = "sim:spi"\ndriver = "lsm6dso"\nrate_hz = 6664': ("LSM6DSO on SPI", 6664, 488e-6),
    'bus = "sim:spi"\ndriver = "iis3dwb"\nrange_g = 2': ("IIS3DWB on SPI", 26667, 61e-6),
    'bus = "sim:i2c"\ndriver = "adxl345"\naddress = 0x1D\nrate_hz = 1600': ("ADXL345 at 0x1d", 1600, 1 / 256),
    'bus = "sim:spi"\ndriver = "adxl345"\nrate_hz = 3200': ("ADXL345 on SPI", 3200, 1 / 256),
    'bus = "sim:i2c"\ndriver = "lis3dh"\naddress = 0x19\nrate_hz = 400\nrange_g = 2': (
        "LIS3DH at 0x19",
        400,
        0.001,
    ),
    'bus = "sim:spi"\ndriver = "lis3dh"': ("LIS3DH on SPI", 1344, 0.012),
    'bus = "sim:i2c"\ndriver = "adxl355"\naddress = 0x53\nrate_hz = 500\nrange_g = 2': (
        "ADXL355 at 0x53",
        500,
        1 / 16000,
    ),
}
# driver and keys: (place in its faults, °C of its lowest bit)
TEMPERATURE = {
    'driver = "tmp117"\naddress = 0x49': ("TMP117 at 0x49", 1 / 128),
    'driver = "mcp9808"\naddress = 0x1F': ("MCP9808 at 0x1f", 1 / 16),
    'driver = "mlx90614"\naddress = 0x5B': ("MLX90614 at 0x5b", 0.02),
    'driver = "lm75"': ("LM75 at 0x48", 0.5),
    'driver = "lm75"\nbits = 11\naddress = 0x4F': ("LM75B at 0x4f", 1 / 8),
    'driver = "lm75"\nbits = 12': ("TMP102 at 0x48", 1 / 16),
}


def config_of(folder: Path, text: str) -> Config:
    path = folder / "appliance.toml"
    path.write_text(text)
    return load(path)


def accelerometer(folder: Path, keys: str, before: str = "") -> Vibration:
    config = config_of(folder, f'{before}[[vibration]]\nname = "de"\n{keys}\n')
    return open_vibration(config.vibration[0], World(config.simulation))


def thermometer(folder: Path, keys: str, before: str = "") -> Temperature:
    config = config_of(folder, f'{before}[[temperature]]\nname = "housing"\n{keys}\n')
    return open_temperature(config.temperature[0], World(config.simulation))


def first_reading(port: Temperature) -> float:
    """The first that is no fault: a part just powered has no conversion yet."""
    end_s = time.monotonic() + 5.0
    while time.monotonic() < end_s:
        try:
            if (reading := port.read()) is not None:
                return reading.degc
        except PortError as fault:
            assert "power-on value" in str(fault)  # noqa: PT017 - the one that may come
    raise AssertionError("no reading within 5 s")


@pytest.mark.parametrize("keys", VIBRATION)
def test_a_chip_on_the_simulated_machine(keys, tmp_path):
    place, rate_hz, lsb_g = VIBRATION[keys]
    port = accelerometer(tmp_path, f"{keys}\nblock_s = 0.2", FAST)
    with pytest.raises(PortError, match=f"^{place}: read before start"):
        port.read()
    assert port.rate_hz == rate_hz
    assert port.scale_mps2 == pytest.approx(lsb_g * G)
    port.start()
    drains = [port.read() for _ in range(10)]
    port.stop()
    accel = np.concatenate([drain.counts for drain in drains]) * port.scale_mps2
    assert sum(drain.lost for drain in drains) == 0
    assert len(accel) == pytest.approx(10 * 0.2 * rate_hz, rel=0.15)
    assert accel[:, 2].mean() == pytest.approx(G, rel=0.02)
    assert np.abs(accel[:, :2].mean(axis=0)).max() < 0.3
    assert 0.2 < accel.std(axis=0).max() < 3.0


def test_a_block_is_as_long_as_configured(tmp_path):
    port = accelerometer(tmp_path, 'driver = "lsm6dso"\nbus = "sim:i2c"\nblock_s = 0.04', FAST)
    port.start()
    assert np.mean([len(port.read().counts) for _ in range(20)]) == pytest.approx(0.04 * 3332, rel=0.1)


def test_a_wrong_clock_of_a_simulated_chip_is_its_own(tmp_path):
    port = accelerometer(tmp_path, 'driver = "adxl345"\nbus = "sim:i2c"\nclock_ppm = 30_000', FAST)
    port.start()
    drains = [port.read() for _ in range(60)]
    span_s = (drains[-1].host_ns - drains[9].host_ns) * 1e-9
    measured_hz = sum(len(drain.counts) for drain in drains[10:]) / span_s
    assert measured_hz == pytest.approx(1.03 * 800, rel=0.005)


@pytest.mark.parametrize("keys", TEMPERATURE)
def test_a_thermometer_on_the_simulated_machine(keys, tmp_path):
    _, step_degc = TEMPERATURE[keys]
    degc = first_reading(thermometer(tmp_path, f'{keys}\nbus = "sim:i2c"', FAST))
    assert degc == pytest.approx(HOUSING_DEGC, abs=2.0)
    zero_degc = -273.15 if "mlx90614" in keys else 0.0
    steps = (degc - zero_degc) / step_degc
    assert steps == pytest.approx(round(steps), abs=1e-6)


@pytest.mark.parametrize("keys", TEMPERATURE)
def test_a_thermometer_that_does_not_answer(keys, tmp_path):
    port = thermometer(tmp_path, f'{keys}\nbus = "sim:i2c"\ntroubles = [{{ kind = "nack" }}]', FAST)
    with pytest.raises(PortError, match=f"^{TEMPERATURE[keys][0]}: .+ no acknowledge.+check its wiring"):
        port.read()


def test_whether_a_check_byte_counts_is_as_configured(tmp_path):
    checks = [
        thermometer(tmp_path, f'driver = "mlx90614"\nbus = "sim:i2c"\ncheck_pec = {word}').checks_pec  # type: ignore[attr-defined]
        for word in ("true", "false")
    ]
    assert checks == [True, False]


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        ('driver = "lsm6dso"\nbus = "/dev/i2c-99"', "/dev/i2c-99"),
        ('driver = "lis3dh"\nbus = "/dev/spidev9.9"', "/dev/spidev9.9"),
        ('driver = "iis3dwb"\nbus = "/dev/spidev9.9"', "/dev/spidev9.9"),
    ],
)
def test_a_chip_on_a_bus_that_is_not_there(keys, place, tmp_path):
    with pytest.raises(ApplianceError, match=f"^de: {place}: .+, expected .+; .+ENOENT"):
        accelerometer(tmp_path, keys)


@pytest.mark.parametrize("driver", ["tmp117", "mcp9808", "mlx90614", "lm75"])
def test_a_thermometer_on_a_bus_that_is_not_there(driver, tmp_path):
    with pytest.raises(ApplianceError, match=r"^housing: /dev/i2c-99: .+, expected .+; .+ENOENT"):
        thermometer(tmp_path, f'driver = "{driver}"\nbus = "/dev/i2c-99"')


def test_a_file_of_the_kernel(tmp_path):
    (tmp_path / "hwmon7").mkdir()
    port = thermometer(tmp_path, f'driver = "sysfs"\nfile = "{tmp_path}/hwmon*/temp1_input"')
    with pytest.raises(PortError, match=r"hwmon\*/temp1_input: fits 0 files.+expected one"):
        port.read()
    (tmp_path / "hwmon7" / "temp1_input").write_text("48125\n")
    assert first_reading(port) == 48.125


def test_a_part_that_is_not_on_the_one_wire_bus(tmp_path):
    port = thermometer(tmp_path, 'driver = "w1"\nserial = "28-0123456789ab"')
    with pytest.raises(PortError, match=r"28-0123456789ab: not on the bus, expected it in /sys/bus/w1"):
        port.read()


DIGITIZER = 'driver = "digitizer"\nport = "tty"\nrate_hz = 3200\nscale_mps2 = {scale_mps2!r}\naxes = 2'


def test_a_digitizer_that_is_not_there_and_then_is(tmp_path):
    pytest.importorskip("serial", reason="pyserial is not installed (pip install pyserial)")
    source = SimAccelerometer(Machine(), SimClock(), rate_hz=3200, axes=2, block_s=0.02)
    port = accelerometer(tmp_path, DIGITIZER.format(scale_mps2=source.scale_mps2))
    with pytest.raises(PortError, match=r"tty: No such file or directory, expected a serial line"):
        port.start()
    device = SimDigitizer(tmp_path / "tty", source)
    try:
        port.start()
        drain = next(drain for drain in iter(port.read, None) if len(drain.counts))
        assert drain.counts.shape[1] == 2
        assert drain.counts[:, 1].mean() * port.scale_mps2 == pytest.approx(G, rel=0.05)
    finally:
        port.stop()
        device.unplug()


def test_a_digitizer_may_have_less_than_sixteen_bits(tmp_path):
    said = DIGITIZER.format(scale_mps2=0.06) + "\nfull_scale_counts = 2047"
    assert accelerometer(tmp_path, said).full_scale_counts == 2047
    with pytest.raises(ConfigError, match="120 is beyond the range of every sensor"):
        accelerometer(tmp_path, said.replace("0.06", "0.05"))


def test_chips_of_one_machine_stand_on_the_same_housing(tmp_path):
    """Sensors share one machine: the same shaft is in all of them."""
    text = FAST + "".join(
        f'[[vibration]]\nname = "{name}"\nbus = "sim:i2c"\ndriver = "{driver}"\n'
        for name, driver in (("a", "lsm6dso"), ("b", "adxl345"))
    )
    config = config_of(tmp_path, text)
    world = World(config.simulation)
    for spec in config.vibration:
        port = open_vibration(spec, world)
        port.start()
        accel = np.concatenate([port.read().counts for _ in range(50)])[:, 0] * port.scale_mps2
        spectrum = np.abs(np.fft.rfft((accel - accel.mean()) * np.hanning(len(accel))))
        frequency = np.fft.rfftfreq(len(accel), 1 / port.rate_hz)
        low = (frequency > 10) & (frequency < 35)
        assert frequency[low][spectrum[low].argmax()] == pytest.approx(world.machine.shaft_hz, rel=0.03)


FAULT = 'troubles = [{{ kind = "{kind}", amount = {amount}, start_s = 20, end_s = 44 }}]'
TROUBLED = {
    "missing": ('bus = "sim:i2c"\ndriver = "lsm6dso"', "nack", 0, "no acknowledge"),
    "held": ('bus = "sim:i2c"\ndriver = "lis3dh"\nrate_hz = 400', "stuck_sda", 0, "a chip holds it low"),
    "exchanged": ('bus = "sim:i2c"\ndriver = "adxl345"', "swapped", 0, "ADXL345"),
    "noisy": ('bus = "sim:i2c"\ndriver = "adxl355"', "corrupt", 0.2, "ADXL355"),
    "dipped": ('bus = "sim:spi"\ndriver = "lis3dh"\nrate_hz = 400', "brownout", 0, "brown-out"),
    "late": ('bus = "sim:spi"\ndriver = "lsm6dso"\nrate_hz = 833', "slow", 1.0, "gap"),
    "thermo": ('bus = "sim:i2c"\ndriver = "tmp117"', "nack", 0, "no acknowledge"),
}


def troubled_config() -> str:
    text = 'state_dir = "state"\nrun_dir = "run"\nsimulation.speed = 8\nuplink.enabled = false\n'
    text += "limits.peak_mps2 = { danger = 70 }\nrelay = { driver = 'sim', edges = 'relay.jsonl' }\n"
    for name, (keys, kind, amount, _) in TROUBLED.items():
        part = "temperature" if name == "thermo" else "vibration"
        fault = FAULT.format(kind=kind, amount=amount)
        text += f'[[{part}]]\nname = "{name}"\n{keys}\n{fault}\n'
    return text


def test_every_bus_fault_is_not_ok_with_its_reason_and_recovers(tmp_path):
    """A real guard: each sensor is OK, then NOT OK with the reason while its fault lasts, then OK again."""
    assert {kind for _, kind, _, _ in TROUBLED.values()} == set(KINDS)
    folder = Folder(tmp_path)
    folder.config.write_text(troubled_config())
    guard = folder.start("guard")
    stages: dict[str, list[str]] = {name: [] for name in TROUBLED}
    try:
        for message in heard(folder.connect(), 40.0):
            if isinstance(message, GuardState):
                _follow(stages, message.channels)
                _read_of_the_dip(stages, folder.log("guard"))
            if all(_went_through(name, told) for name, told in stages.items()):
                break
        assert guard.poll() is None
        assert end(guard)[0] == 0
    finally:
        folder.close()
    assert all(_went_through(name, told) for name, told in stages.items()), f"{stages}\n{folder.log('guard')}"
    silent = [words for told in stages.values() for words in told if words.startswith("no data")]
    assert silent == [], "a silent sensor's own reason stands"
    assert "Traceback" not in folder.log("guard")


def _follow(stages: dict[str, list[str]], channels: tuple[ChannelState, ...]) -> None:
    """Note each new reason of a sensor's first channel; "" is OK."""
    for state in channels:
        name, quantity = state.channel.split(".")
        if quantity not in {"rms", "temperature"} or (not state.ok and not state.reason):
            continue
        told = "" if state.ok else state.reason
        if not stages[name] or stages[name][-1] != told:
            stages[name].append(told)


def _read_of_the_dip(stages: dict[str, list[str]], log: str) -> None:
    """A brown-out may be mended between two states; the log has its reason, and then its end."""
    if re.search(r"dipped: .*brown-out(?s:.*)dipped answers again", log):
        stages["dipped"] = ["", "brown-out", ""]


def _went_through(name: str, told: list[str]) -> bool:
    """OK, the fault with its reason, OK."""
    reason = TROUBLED[name][3]
    at = next((n for n, words in enumerate(told) if n and reason in words and "" in told[:n]), None)
    return at is not None and "" in told[at:]
