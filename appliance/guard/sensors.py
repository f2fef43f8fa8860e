"""The sensors of a configuration, opened: on their real bus, on the simulated machine, or from a recording.

A driver is imported where a configuration names it: a guard holds in memory only what it uses.
"""

import math
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from appliance.config import Simulation
from appliance.errors import ApplianceError
from appliance.sensors import (
    Adxl345Vibration,
    BusTemperature,
    BusTrouble,
    BusVibration,
    DigitizerVibration,
    Iis3dwbVibration,
    Lm75Temperature,
    Mlx90614Temperature,
    RecordedVibration,
    SimTemperature,
    SimVibration,
    SysfsTemperature,
    TemperatureSensor,
    VibrationSensor,
    W1Temperature,
    driver,
    is_simulated,
    is_spi,
)
from hw.bus import I2c
from hw.ports import STANDARD_GRAVITY_MPS2, PortError, Temperature, Vibration
from hw.registers import Access, OnI2c, OnSpi
from hw.sim.clock import SimClock
from hw.sim.rotor import Machine

if TYPE_CHECKING:
    from hw.sim.machine_time import MachineTime

SPI_HZ = 5_000_000
Device = TypeVar("Device")


class Part(NamedTuple):
    """Where a chip's driver and its simulation are: (module, class)."""

    driver: tuple[str, str]
    simulation: tuple[str, str]


PARTS = {
    "lsm6dso": Part(("hw.lsm6dso", "Lsm6dso"), ("hw.sim.chips.lsm6dso", "SimLsm6dso")),
    "iis3dwb": Part(("hw.iis3dwb", "Iis3dwb"), ("hw.sim.chips.lsm6dso", "SimIis3dwb")),
    "adxl345": Part(("hw.adxl345", "Adxl345"), ("hw.sim.chips.adxl345", "SimAdxl345")),
    "lis3dh": Part(("hw.lis3dh", "Lis3dh"), ("hw.sim.chips.lis3dh", "SimLis3dh")),
    "adxl355": Part(("hw.adxl355", "Adxl355"), ("hw.sim.chips.adxl355", "SimAdxl355")),
    "tmp117": Part(("hw.tmp117", "Tmp117"), ("hw.sim.chips.thermometers", "Tmp117Chip")),
    "mcp9808": Part(("hw.mcp9808", "Mcp9808"), ("hw.sim.chips.thermometers", "Mcp9808Chip")),
    "mlx90614": Part(("hw.mlx90614", "Mlx90614"), ("hw.sim.chips.thermometers", "Mlx90614Chip")),
    "lm75": Part(("hw.lm75", "Lm75"), ("hw.sim.chips.thermometers", "Lm75Chip")),
}


class World:
    """What simulated sensors share: one machine, one clock. epoch_ns: when it was switched on, None = now."""

    def __init__(self, simulation: Simulation, epoch_ns: int | None = None) -> None:
        self.machine = Machine(
            seed=simulation.seed,
            shaft_hz=simulation.shaft_hz,
            resonance_hz=simulation.resonance_hz,
            faults=simulation.faults,
            duty=simulation.duty,
        )
        self.clock = SimClock(simulation.speed, epoch_ns)


def open_vibration(spec: VibrationSensor, world: World) -> Vibration:
    """The sensor of this table. Raises ApplianceError: its bus cannot be had."""
    if isinstance(spec, RecordedVibration):
        return _recorded(spec)
    if isinstance(spec, DigitizerVibration):
        return _digitizer(spec)
    if not isinstance(spec, SimVibration):
        return _chip_vibration(spec, world)
    from hw.sim.accelerometer import SimAccelerometer

    return SimAccelerometer(
        world.machine,
        world.clock,
        rate_hz=spec.rate_hz,
        axes=spec.axes,
        block_s=spec.block_s,
        range_g=spec.range_g,
        clock_ppm=spec.clock_ppm,
        troubles=spec.troubles,
    )


def open_temperature(spec: TemperatureSensor, world: World) -> Temperature:
    """The thermometer of this table. Raises ApplianceError: its bus cannot be had."""
    from hw.monoclock import MonoClock

    if isinstance(spec, SimTemperature):
        from hw.sim.thermometer import SimThermometer

        return SimThermometer(world.machine, world.clock, spec.period_s, spec.troubles)
    if isinstance(spec, W1Temperature):
        from hw.w1_thermometer import W1Thermometer

        return W1Thermometer(spec.serial, MonoClock(), spec.period_s)
    if isinstance(spec, SysfsTemperature):
        from hw import sysfs_temperature

        return sysfs_temperature.SysfsTemperature(spec.file, MonoClock(), spec.period_s)
    return _chip_temperature(spec, world)


def _chip_vibration(spec: BusVibration, world: World) -> Vibration:
    options: dict[str, Any] = {"block_s": spec.block_s}
    if not isinstance(spec, Iis3dwbVibration):
        options["rate_hz"] = float(spec.rate_hz)
    if not isinstance(spec, Adxl345Vibration):
        options["range_g"] = spec.range_g
    make: Callable[..., Vibration] = _class(PARTS[driver(spec)].driver)
    if is_simulated(spec.bus):
        from hw.sim.machine_time import MachineTime

        clock = MachineTime(world.clock)
        return _made(spec.name, lambda: make(_simulated(spec, world, clock), clock, **options))
    from hw.monoclock import MonoClock

    return _made(spec.name, lambda: make(_wired(spec), MonoClock(), **options))


def _simulated(spec: BusVibration, world: World, clock: "MachineTime") -> Access:
    """A bus of its own on the simulated machine."""
    from hw.sim.bus import SimI2c, SimSpi

    chip = _class(PARTS[driver(spec)].simulation)(world.machine, spec.clock_ppm, _noise_mps2(spec.rate_hz))
    faults = _faults(spec.troubles)
    if isinstance(spec, Iis3dwbVibration) or is_spi(spec.bus):
        return OnSpi(SimSpi(clock, chip, faults, SPI_HZ))
    return OnI2c(SimI2c(clock, {spec.address: chip}, faults), spec.address)


def _wired(spec: BusVibration) -> Access:
    """The bus that is there. Raises BusError."""
    if isinstance(spec, Iis3dwbVibration) or is_spi(spec.bus):
        from hw.spi_linux import LinuxSpi

        return OnSpi(LinuxSpi(Path(spec.bus), SPI_HZ))
    return OnI2c(_i2c(spec.bus), spec.address)


def _chip_temperature(spec: BusTemperature, world: World) -> Temperature:
    part = PARTS[driver(spec)]
    options: dict[str, Any] = {}
    chip_options: dict[str, Any] = {}
    if isinstance(spec, Mlx90614Temperature):
        options["check_pec"] = spec.check_pec
        chip_options["address"] = spec.address
    if isinstance(spec, Lm75Temperature):
        options["bits"] = chip_options["bits"] = spec.bits
    make: Callable[..., Temperature] = _class(part.driver)
    if is_simulated(spec.bus):
        from hw.sim.bus import SimI2c
        from hw.sim.machine_time import MachineTime

        clock = MachineTime(world.clock, follows=True)
        chip = _class(part.simulation)(world.machine, **chip_options)
        bus = SimI2c(clock, {spec.address: chip}, _faults(spec.troubles))
        return _made(spec.name, lambda: make(bus, clock, spec.address, spec.period_s, **options))
    from hw.monoclock import MonoClock

    return _made(spec.name, lambda: make(_i2c(spec.bus), MonoClock(), spec.address, spec.period_s, **options))


def _recorded(spec: RecordedVibration) -> Vibration:
    from hw.player import RecordingVibration
    from hw.recording import load

    played = load(spec.path, spec.rate_hz, spec.units, spec.axes)
    return RecordingVibration(played, spec.block_s, SimClock(spec.speed or math.inf))


def _digitizer(spec: DigitizerVibration) -> Vibration:
    from hw.digitizer import Digitizer
    from hw.monoclock import MonoClock
    from hw.serial_line import SerialLine

    return Digitizer(
        SerialLine(spec.port),
        MonoClock(),
        spec.rate_hz,
        spec.scale_mps2,
        axes=spec.axes,
        full_scale_counts=spec.full_scale_counts,
        dc_coupled=spec.dc_coupled,
        block_s=spec.block_s,
    )


@cache
def _i2c(bus: str) -> I2c:
    """One adapter, however many chips are on it. Raises BusError."""
    from hw.i2c_linux import LinuxI2c

    return LinuxI2c(Path(bus))


def _class(place: tuple[str, str]) -> Any:
    module, name = place
    return getattr(import_module(module), name)


def _made(name: str, make: Callable[[], Device]) -> Device:
    """A device, or an ApplianceError that names its table."""
    try:
        return make()
    except (PortError, ValueError) as fault:
        raise ApplianceError(f"{name}: {fault}") from fault


def _faults(troubles: tuple[BusTrouble, ...]) -> list[Any]:
    from hw.sim.bus import BusFault

    return [BusFault(trouble.kind, trouble.start_s, trouble.end_s, trouble.amount) for trouble in troubles]


def _noise_mps2(rate_hz: float) -> float:
    from hw.sim.accelerometer import NOISE_G_RTHZ

    return NOISE_G_RTHZ * STANDARD_GRAVITY_MPS2 * math.sqrt(rate_hz / 2.0)
