"""The devices of a configuration, opened: the one place that knows every driver."""

import math
import os

from appliance.config import Config, RecordedVibration, SimVibration
from appliance.guard.output import open_relay
from hw.ports import Relay, Temperature, Vibration
from hw.sim.accelerometer import SimAccelerometer
from hw.sim.clock import SimClock
from hw.sim.rotor import Machine
from hw.sim.thermometer import SimThermometer

EPOCH_VARIABLE = "APPLIANCE_SIM_EPOCH_NS"
"""Environment: CLOCK_MONOTONIC at which the simulated machine was switched on; unset = now."""


class Devices:
    """Every sensor and the relay. live: whether sensor time is the host's own monotonic clock."""

    def __init__(self, config: Config) -> None:
        simulation = config.simulation
        self._machine = Machine(
            seed=simulation.seed,
            shaft_hz=simulation.shaft_hz,
            resonance_hz=simulation.resonance_hz,
            faults=simulation.faults,
            duty=simulation.duty,
        )
        # A simulated machine goes on when the guard dies, as a real one does.
        epoch_ns = os.environ.get(EPOCH_VARIABLE)
        self._clock = SimClock(simulation.speed, int(epoch_ns) if epoch_ns else None)
        self.vibration = {spec.name: self._vibration(spec) for spec in config.vibration}
        self.temperature: dict[str, Temperature] = {
            spec.name: SimThermometer(self._machine, self._clock, spec.period_s, spec.troubles)
            for spec in config.temperature
        }
        self.relay: Relay = open_relay(config.relay)
        self.live = simulation.speed == 1.0 and all(
            spec.speed == 1.0 for spec in config.vibration if isinstance(spec, RecordedVibration)
        )

    def _vibration(self, spec: SimVibration | RecordedVibration) -> Vibration:
        if isinstance(spec, RecordedVibration):
            # Only a desk plays recordings: a device need not hold their readers in memory.
            from hw.player import RecordingVibration  # noqa: PLC0415
            from hw.recording import load  # noqa: PLC0415

            played = load(spec.path, spec.rate_hz, spec.units, spec.axes)
            clock = SimClock(spec.speed or math.inf)
            return RecordingVibration(played, spec.block_s, clock)
        return SimAccelerometer(
            self._machine,
            self._clock,
            rate_hz=spec.rate_hz,
            axes=spec.axes,
            block_s=spec.block_s,
            range_g=spec.range_g,
            clock_ppm=spec.clock_ppm,
            troubles=spec.troubles,
        )
