"""The devices of a configuration, opened: sensors, contacts and the shutdown output."""

import os

from appliance.config import Config, Simulation
from appliance.daemon import EPOCH_VARIABLE
from appliance.guard.inputs import open_inputs
from appliance.guard.modbus_lines import ModbusLines
from appliance.guard.output import open_health, open_relay
from appliance.guard.sensors import World, open_temperature, open_vibration
from appliance.sensors import RecordedVibration


def running_world(simulation: Simulation) -> World:
    """The simulated machine as the environment says it runs: it goes on when a guard dies, as a real one."""
    epoch_ns = os.environ.get(EPOCH_VARIABLE)
    return World(simulation, int(epoch_ns) if epoch_ns else None)


class Devices:
    """Every sensor and contact, and the relay. live: whether sensor time is the host's monotonic clock."""

    def __init__(self, config: Config) -> None:
        """Raises ApplianceError: a bus or a line that cannot be had. A chip that is silent is found later."""
        world = running_world(config.simulation)
        self.vibration = {spec.name: open_vibration(spec, world) for spec in config.vibration}
        self.temperature = {spec.name: open_temperature(spec, world) for spec in config.temperature}
        self.lines = ModbusLines(world, config.run_dir)
        self.transmitter = {spec.name: self.lines.open(spec) for spec in config.transmitter}
        self.relay = open_relay(config.relay)
        self.health = open_health(config.relay)
        self.inputs = open_inputs(config.inputs)
        self.live = config.simulation.speed == 1.0 and all(
            spec.speed == 1.0 for spec in config.vibration if isinstance(spec, RecordedVibration)
        )
