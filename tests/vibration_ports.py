"""Every driver of the Vibration port on the same simulated machine, and what that machine truly did."""

import contextlib
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hw.accelerometer import Accelerometer
from hw.adxl345 import Adxl345
from hw.adxl355 import Adxl355
from hw.digitizer import Digitizer
from hw.iis3dwb import Iis3dwb
from hw.lis3dh import Lis3dh
from hw.lsm6dso import Lsm6dso
from hw.monoclock import MonoClock
from hw.player import RecordingVibration
from hw.ports import STANDARD_GRAVITY_MPS2, EndOfSource, Samples, Vibration
from hw.recording import Gap, Recording
from hw.registers import OnI2c, OnSpi
from hw.serial_line import SerialLine
from hw.sim import rotor
from hw.sim.accelerometer import SimAccelerometer
from hw.sim.bus import BusFault, SimI2c, SimSpi
from hw.sim.chips.adxl345 import SimAdxl345
from hw.sim.chips.adxl355 import SimAdxl355
from hw.sim.chips.fifo_chip import FifoChip
from hw.sim.chips.lis3dh import SimLis3dh
from hw.sim.chips.lsm6dso import SimIis3dwb, SimLsm6dso
from hw.sim.clock import SimClock
from hw.sim.digitizer import SimDigitizer
from hw.sim.machine_time import MachineTime

PPM = 30_000.0
SEED = 3


@dataclass(frozen=True)
class Trouble:
    """What a simulated accelerometer without registers can have."""

    kind: str
    start_s: float
    end_s: float
    amount: float = 0.0


class Machine(rotor.Machine):
    """The simulated machine, `gain` times as violent."""

    def __init__(self, gain: float = 1.0) -> None:
        super().__init__(seed=SEED)
        self.gain = gain

    def vibration(self, rate_hz: float, axes: int) -> rotor.Vibration:
        point = super().vibration(rate_hz, axes)
        calm = point.chunk
        point.chunk = lambda true_rate_hz: calm(true_rate_hz) * np.float32(self.gain)  # type: ignore[method-assign]
        return point


def truth(nominal_hz: float, true_hz: float, n: int, began_s: float = 0.0, gain: float = 1.0, mount: int = 1):
    """The first n samples that a sensor without faults takes, shape (n, 3), m/s²."""
    machine = Machine(gain)
    point = [machine.vibration(nominal_hz, 3) for _ in range(mount)][-1]
    point.skip(began_s)
    chunks: list[NDArray[np.float32]] = []
    while sum(map(len, chunks)) < n:
        chunks.append(point.chunk(true_hz))
    accel = np.concatenate(chunks)[:n]
    accel[:, -1] += np.float32(STANDARD_GRAVITY_MPS2)
    return accel


@dataclass
class Mounted:
    """A port on its machine."""

    port: Vibration
    true_hz: float
    clock: MachineTime | None = None
    chip: FifoChip | None = None
    gain: float = 1.0
    lsb: float = 1.0
    """Coarsest step of what it decodes, counts."""
    nominal_hz: float = 0.0

    def truth(self, n: int) -> NDArray[np.float32]:
        if self.chip is None:
            return truth(self.nominal_hz, self.true_hz, n, gain=self.gain)
        motion = self.chip.motion
        return truth(self.nominal_hz, self.true_hz, n, motion.began_s, self.gain, motion.mount)

    def reads(self, count: int) -> list[Samples]:
        drains = []
        for _ in range(count):
            try:
                drains.append(self.port.read())
            except EndOfSource:
                break
        return drains


@dataclass(frozen=True)
class ChipCase:
    """A driver, its simulated chip, and how they are wired. address None = SPI."""

    driver: Callable[..., Accelerometer]
    chip: Callable[..., FifoChip]
    address: int | None
    nominal_hz: float
    lsb: float = 1.0
    options: dict[str, float] = field(default_factory=dict)

    def mount(self, faults: Sequence[BusFault] = (), gain: float = 1.0, ppm: float = PPM, **changes: float):
        clock = MachineTime(SimClock(math.inf, epoch_ns=0))
        chip = self.chip(Machine(gain), clock_ppm=ppm)
        if self.address is None:
            access = OnSpi(SimSpi(clock, chip, faults))
        else:
            access = OnI2c(SimI2c(clock, {self.address: chip}, faults), self.address)
        port = self.driver(access, clock, **(self.options | changes))
        true_hz = self.nominal_hz * (1 + ppm * 1e-6)
        return Mounted(port, true_hz, clock, chip, gain, self.lsb, self.nominal_hz)


CHIPS = {
    "lsm6dso-i2c-3332": ChipCase(Lsm6dso, SimLsm6dso, 0x6A, 3332.0),
    "lsm6dso-i2c-833-2g": ChipCase(
        Lsm6dso, SimLsm6dso, 0x6B, 833.0, options={"rate_hz": 833.0, "range_g": 4}
    ),
    "lsm6dso-spi-6664": ChipCase(Lsm6dso, SimLsm6dso, None, 6664.0, options={"rate_hz": 6664.0}),
    "iis3dwb-spi": ChipCase(Iis3dwb, SimIis3dwb, None, 26667.0),
    "adxl345-i2c-800": ChipCase(Adxl345, SimAdxl345, 0x53, 800.0),
    "adxl345-i2c-1600": ChipCase(Adxl345, SimAdxl345, 0x53, 1600.0, lsb=2.0, options={"rate_hz": 1600.0}),
    "adxl345-spi-3200": ChipCase(Adxl345, SimAdxl345, None, 3200.0, lsb=2.0, options={"rate_hz": 3200.0}),
    "lis3dh-i2c": ChipCase(Lis3dh, SimLis3dh, 0x18, 1344.0),
    "lis3dh-spi": ChipCase(Lis3dh, SimLis3dh, None, 1344.0),
    "lis3dh-i2c-400-4g": ChipCase(Lis3dh, SimLis3dh, 0x19, 400.0, options={"rate_hz": 400.0, "range_g": 4}),
    "adxl355-i2c-2000": ChipCase(Adxl355, SimAdxl355, 0x1D, 2000.0),
    "adxl355-i2c-4000-2g": ChipCase(
        Adxl355, SimAdxl355, 0x53, 4000.0, options={"rate_hz": 4000.0, "range_g": 4}
    ),
}


def _accelerometer(ppm: float = PPM, troubles: Sequence[Trouble] = (), gain: float = 1.0) -> Mounted:
    clock = SimClock(math.inf, epoch_ns=0)
    port = SimAccelerometer(Machine(gain), clock, 6400.0, clock_ppm=ppm, troubles=troubles)
    port.noise_mps2 = 0.0
    return Mounted(port, 6400.0 * (1 + ppm * 1e-6), gain=gain, nominal_hz=6400.0)


def _recording(gaps: tuple[Gap, ...] = (), gain: float = 1.0) -> Mounted:
    accel = truth(3200.0, 3200.0, 64_000, gain=gain)
    played = Recording("r", 3200.0, accel, ("x", "y", "z"), gaps=gaps)
    port = RecordingVibration(played, 0.1, SimClock(math.inf, epoch_ns=0))
    return Mounted(port, 3200.0, gain=gain, nominal_hz=3200.0)


class _Source(SimAccelerometer):
    """Says since when it samples."""

    began_s = 0.0

    def start(self) -> None:
        super().start()
        self.began_s = self._vibration.t_s


@dataclass
class Streamed(Mounted):
    """A digitizer: it has sampled before it was listened to, and numbers its samples."""

    source: _Source | None = None
    first: int = 0

    def reads(self, count: int) -> list[Samples]:
        drains = [self.port.read()]
        waiting = sum(len(one.frame.counts) for one in self.port._arrived)
        self.first = self.port._next_seq - waiting - len(drains[0].counts)
        return drains + super().reads(count - 1)

    def truth(self, n: int) -> NDArray[np.float32]:
        whole = truth(self.nominal_hz, self.true_hz, self.first + n, self.source.began_s, self.gain)
        return whole[self.first :]


_plugged = contextlib.ExitStack()


def unplug_all() -> None:
    """Close what `PORTS` has plugged into pseudo-terminals."""
    _plugged.close()


def _digitizer(ppm: float = PPM, gain: float = 1.0) -> Mounted:
    """In real time: a tty has no other."""
    folder = Path(_plugged.enter_context(tempfile.TemporaryDirectory()))
    source = _Source(Machine(gain), SimClock(), 6400.0, block_s=0.01, clock_ppm=ppm)
    source.noise_mps2 = 0.0
    device = SimDigitizer(folder / "tty", source)
    _plugged.callback(device.unplug)
    port = Digitizer(SerialLine(folder / "tty"), MonoClock(), 6400.0, source.scale_mps2, settle_s=0.0)
    _plugged.callback(port.stop)
    true_hz = 6400.0 * (1 + ppm * 1e-6)
    return Streamed(port, true_hz, gain=gain, nominal_hz=6400.0, source=source)


PORTS: dict[str, Callable[..., Mounted]] = {
    "simulated": _accelerometer,
    "recording": _recording,
    "digitizer": _digitizer,
    **{name: case.mount for name, case in CHIPS.items()},
}
