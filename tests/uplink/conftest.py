"""What several tests of the uplink start from."""

import pytest
from running import Plant


@pytest.fixture
def plant(mosquitto):
    """A subscriber to everything, at a broker of its own: `port`, `broker`."""
    broker = mosquitto()
    plant = Plant(broker.port)
    plant.port = broker.port
    plant.broker = broker
    yield plant
    plant.close()
