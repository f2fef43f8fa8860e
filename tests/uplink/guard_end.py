"""The guard's end of its socket, as the uplink meets it."""

import select
from pathlib import Path

from appliance import wire
from appliance.records import (
    ChannelState,
    GuardState,
    Hello,
    Level,
    MachineState,
    Quality,
    Score,
    TemperatureReading,
)

STATE = GuardState(
    at_mono_ns=10_000_000_000,
    at_utc_ns=1_772_446_281_002_000_000,
    time_quality="ntp",
    level=Level.NORMAL,
    tripped=False,
    relay_energised=True,
    machine=MachineState.RUNNING,
    channels=(ChannelState("de.rms", Level.NORMAL, True, 1.0, "m/s2", 15.0, 30.0, 0),),
    clocks=(),
    temperatures=(TemperatureReading("bearing", 1, 40.0),),
)


def score(n: int) -> Score:
    return Score(
        "de",
        n * 10**9,
        (n + 1) * 10**9,
        Quality.OK,
        MachineState.RUNNING,
        0.5,
        1.0,
        "m-1",
        (),
        {"vib_kurt": 3.0},
    )


class Guard:
    """The other end of the socket, with the guard's own wire code."""

    def __init__(self, folder: Path) -> None:
        self.listener = wire.Listener(folder / "guard.sock")
        assert select.select([self.listener], [], [], 5)[0]
        self.link = self.listener.accept()
        assert select.select([self.link], [], [], 5)[0]
        assert self.link.receive() == Hello(role="uplink")

    def close(self) -> None:
        self.link.close()
        self.listener.close()
