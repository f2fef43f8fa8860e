"""The devices of a configuration, opened: sensors and the shutdown output."""

import os

from appliance.config import Config
from appliance.daemon import EPOCH_VARIABLE
from appliance.guard.output import open_health, open_relay
from appliance.guard.sensors import World, open_temperature, open_vibration
from appliance.sensors import RecordedVibration


class Devices:
    """Every sensor and the relay. live: whether sensor time is the host's own monotonic clock."""

    def __init__(self, config: Config) -> None:
        """Raises ApplianceError: a bus or a line that cannot be had. A chip that is silent is found later."""
        # A simulated machine goes on when the guard dies, as a real one does.
        epoch_ns = os.environ.get(EPOCH_VARIABLE)
        world = World(config.simulation, int(epoch_ns) if epoch_ns else None)
        self.vibration = {spec.name: open_vibration(spec, world) for spec in config.vibration}
        self.temperature = {spec.name: open_temperature(spec, world) for spec in config.temperature}
        self.relay = open_relay(config.relay)
        self.health = open_health(config.relay)
        self.live = config.simulation.speed == 1.0 and all(
            spec.speed == 1.0 for spec in config.vibration if isinstance(spec, RecordedVibration)
        )
