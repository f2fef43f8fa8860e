"""A chip that knows its own trim: the guard measures against what the chip says, not the datasheet."""

from appliance.guard.sensor import VibrationWatch
from appliance.records import Validity
from hw.lsm6dso import Lsm6dso
from hw.registers import OnI2c
from hw.sim.bus import SimI2c
from hw.sim.chips.lsm6dso import SimLsm6dso
from hw.sim.clock import SimClock
from hw.sim.machine_time import MachineTime
from hw.sim.rotor import Machine


def test_a_part_trimmed_by_nine_per_cent_is_no_clock_fault():
    clock = MachineTime(SimClock(0.0))
    chip = SimLsm6dso(Machine(), clock_ppm=90_000.0, noise_mps2=0.05, fine=60)
    sensor = Lsm6dso(OnI2c(SimI2c(clock, {0x6A: chip}), 0x6A), clock)
    watch = VibrationWatch("de", sensor)
    sensor.start()
    blocks = [watch.judge(sensor.read())[0] for _ in range(40)]
    assert abs(blocks[-1].rate_hz / (3332.0 * 1.09) - 1) < 5e-4
    assert abs(watch.clock.ppm) < 500
    assert blocks[-1].validity == Validity.OK
