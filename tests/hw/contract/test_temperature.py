"""The contract of hw.ports.Temperature, held against every thermometer on what it shall run on."""

import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance.config import Fault
from appliance.sensors import Trouble
from hw.lm75 import Lm75
from hw.mcp9808 import Mcp9808
from hw.mlx90614 import Mlx90614
from hw.ports import PortError, Reading, Temperature
from hw.sim.bus import KINDS as KINDS_OF_FAULT
from hw.sim.bus import BusFault, SimI2c
from hw.sim.chips.thermometers import Lm75Chip, Mcp9808Chip, Mlx90614Chip, Tmp117Chip
from hw.sim.clock import SimClock
from hw.sim.machine_time import MachineTime
from hw.sim.rotor import Machine
from hw.sim.thermometer import SimThermometer
from hw.sysfs_temperature import SysfsTemperature
from hw.tmp117 import Tmp117
from hw.w1_thermometer import W1Thermometer

HEATING = (Fault("overheating", 0.0, 600.0, 1.0),)
I2C = {
    "tmp117": (Tmp117, Tmp117Chip, 0x48, {}, 0.0078125),
    "mcp9808": (Mcp9808, Mcp9808Chip, 0x18, {}, 0.0625),
    "lm75": (Lm75, Lm75Chip, 0x4A, {"bits": 9}, 0.5),
    "lm75b": (Lm75, Lm75Chip, 0x4A, {"bits": 11}, 0.125),
    "tmp102": (Lm75, Lm75Chip, 0x49, {"bits": 12}, 0.0625),
    "mlx90614": (Mlx90614, Mlx90614Chip, 0x5A, {}, 0.02),
}
FILES = {"ds18b20": 0.001, "hwmon": 0.001, "iio": 0.0625}
KINDS = [*I2C, "sim", *FILES]
OLD_K = 0.1
"""A conversion may be a second old, and the housing warms meanwhile."""
SETTLED_S = 2.0


@dataclass
class Bench:
    """A thermometer that warms with the machine and is away for a while; times are machine time, s."""

    thermometer: Temperature
    true_degc: Callable[[float], float]
    epoch_ns: int
    tolerance_k: float
    away_s: float
    back_s: float
    end_s: float

    def until(self, end_s: float) -> list[tuple[float, Reading | str]]:
        """What reading gives up to then: (time, reading or fault)."""
        found: list[tuple[float, Reading | str]] = []
        t_s = 0.0
        while t_s < end_s:
            try:
                reading = self.thermometer.read()
            except PortError as fault:
                found.append((t_s, str(fault)))
                continue
            if reading is not None:
                t_s = (reading.host_ns - self.epoch_ns) * 1e-9
                found.append((t_s, reading))
        return found


def i2c(kind: str, faults: Sequence[BusFault], machine: Machine, period_s: float = 1.0) -> Temperature:
    """A thermometer of that kind on a bus with those faults, two seconds after power-on."""
    driver, chip, address, options, _ = I2C[kind]
    clock = MachineTime(SimClock(math.inf, epoch_ns=0))
    clock.sleep(SETTLED_S)
    bus = SimI2c(clock, {address: chip(machine, **options)}, faults, speed_hz=100_000.0)
    return driver(bus, clock, address, period_s, **options)


class Kernel:
    """hw.bus.Clock whose every look makes a kernel file say the temperature of the machine, or vanish."""

    def __init__(self, kind: str, folder: Path, machine: Machine) -> None:
        names = {"ds18b20": "28-0123456789ab/temperature", "hwmon": "hwmon7/temp1_input"}
        self.path = folder / names.get(kind, "iio:device0/in_temp_raw")
        self.path.parent.mkdir(parents=True)
        self.iio = kind == "iio"
        if self.iio:
            (self.path.parent / "in_temp_scale").write_text("62.5\n")
            (self.path.parent / "in_temp_offset").write_text("-20\n")
        self.thermal = machine.thermal()
        self.clock = MachineTime(SimClock(math.inf, epoch_ns=0))

    def now_ns(self) -> int:
        t_s = self.clock.t_s
        if 20.0 <= t_s < 25.0:
            self.path.unlink(missing_ok=True)
        else:
            mdegc = round(self.thermal.degc(t_s) * 1e3)
            self.path.write_text(f"{round(mdegc / 62.5) + 20 if self.iio else mdegc}\n")
        return self.clock.now_ns()

    def sleep(self, seconds: float) -> None:
        self.clock.sleep(seconds)
        self.now_ns()


class Impatient:
    """A Temperature whose caller waits half a second after a fault, as the guard does, in machine time."""

    def __init__(self, thermometer: Temperature, clock: Kernel) -> None:
        self.thermometer, self.clock = thermometer, clock
        self.period_s = thermometer.period_s

    def read(self) -> Reading | None:
        try:
            return self.thermometer.read()
        except PortError:
            self.clock.sleep(0.5)
            raise


@pytest.fixture(params=KINDS)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    kind, machine = request.param, Machine(faults=HEATING)
    truth = Machine(faults=HEATING).thermal().degc
    if kind in I2C:
        thermometer = i2c(kind, [BusFault("nack", 20.0, 25.0)], machine)
        yield Bench(thermometer, truth, 0, I2C[kind][4] / 2 + OLD_K, 20.0, 25.0, 60.0)
    elif kind == "sim":
        clock = SimClock(math.inf, epoch_ns=0)
        thermometer = SimThermometer(machine, clock, 1.0, [Trouble("lost", 20.0, 25.0)])
        yield Bench(thermometer, truth, 0, 0.1, 20.0, 25.0, 60.0)
    else:
        kernel = Kernel(kind, tmp_path, machine)
        if kind == "ds18b20":
            thermometer = W1Thermometer("28-0123456789ab", kernel, 1.0, tmp_path)
        else:
            name = "hwmon*/temp1_input" if kind == "hwmon" else "iio:device*/in_temp_raw"
            thermometer = SysfsTemperature(str(tmp_path / name), kernel, 1.0)
        yield Bench(Impatient(thermometer, kernel), truth, 0, FILES[kind] + OLD_K, 20.0, 25.0, 60.0)


def test_it_warms_with_the_machine_and_comes_back_after_it_was_away(bench: Bench) -> None:
    found = bench.until(bench.end_s)
    readings = [(t_s, x) for t_s, x in found if isinstance(x, Reading)]
    faults = [x for _, x in found if isinstance(x, str)]
    for t_s, reading in readings:
        assert abs(reading.degc - bench.true_degc(t_s)) <= bench.tolerance_k
    times = [t_s for t_s, _ in readings]
    before = [b - a for a, b in itertools.pairwise(times) if b < bench.away_s]
    assert len(before) >= 3
    assert sum(before) / len(before) == pytest.approx(bench.thermometer.period_s, rel=0.15)
    assert not [t_s for t_s in times if bench.away_s + 0.3 <= t_s < bench.back_s - 0.3]
    assert [t_s for t_s in times if t_s >= bench.back_s]
    assert faults
    assert all("expected" in fault for fault in faults)


def test_the_first_reading_comes_at_once_and_no_call_blocks(bench: Bench) -> None:
    assert bench.thermometer.read() is not None
    for _ in range(4):
        begin = time.monotonic()
        bench.thermometer.read()
        assert time.monotonic() - begin < 0.6


@pytest.mark.parametrize("fault", KINDS_OF_FAULT)
@pytest.mark.parametrize("kind", I2C)
def test_a_fault_of_the_bus_gives_no_wrong_reading(kind: str, fault: str) -> None:
    amount = {"corrupt": 0.15, "slow": 0.05}.get(fault, 0.0)
    thermometer = i2c(kind, [BusFault(fault, 20.0, 40.0, amount)], Machine(faults=HEATING), period_s=0.5)
    truth = Machine(faults=HEATING).thermal().degc
    found = Bench(thermometer, truth, 0, 0.0, 20.0, 40.0, 60.0).until(60.0)
    readings = [(t_s, x.degc) for t_s, x in found if isinstance(x, Reading)]
    faults = [x for _, x in found if isinstance(x, str)]
    if kind in {"lm75", "lm75b"} and fault == "swapped":  # the part has no id: nobody can know
        readings = [(t_s, degc) for t_s, degc in readings if not 20.0 <= t_s < 40.0]
    elif fault == "slow":  # what comes late is right all the same
        assert faults == []
    elif (kind, fault) != ("mlx90614", "brownout"):  # it keeps no settings, and no reading is missed
        assert faults
        assert all("expected" in x for x in faults)
    wrong = [(t_s, degc) for t_s, degc in readings if abs(degc - truth(t_s)) > I2C[kind][4] / 2 + OLD_K]
    assert wrong == []
    assert max(t_s for t_s, _ in readings) >= 60.0
