"""The Modbus transmitters of a configuration, opened: one master a line, a pty for each simulated one.

Drivers and simulation are imported where a configuration has transmitters.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from appliance import register_maps
from appliance.config import Transmitter
from appliance.guard.sensors import World
from hw.ports import Scalars
from hw.register_map import RegisterMap

if TYPE_CHECKING:
    from hw.bus import Clock
    from hw.modbus import Modbus
    from hw.sim.modbus_slave import ModbusSlave

PARITY: dict[str, Literal["N", "E", "O"]] = {"none": "N", "even": "E", "odd": "O"}


class ModbusLines:
    """Every line that transmitters are on; a simulated transmitter lives until `close`."""

    def __init__(self, world: World, folder: Path) -> None:
        """folder: where the ttys of simulated transmitters appear."""
        self._world = world
        self._folder = folder
        self._masters: dict[Path, Modbus] = {}
        self._slaves: list[ModbusSlave] = []

    def open(self, spec: Transmitter) -> Scalars:
        """The transmitter of this table; its tty is opened when it is read. Raises ConfigError: its map."""
        from hw import transmitter

        registers = register_maps.load(spec.map)
        tty = self._simulated(spec, registers) if spec.simulated else Path(spec.port)
        return transmitter.Transmitter(
            self._master(tty, spec), spec.slave, registers, self._clock(spec), spec.period_s
        )

    def close(self) -> None:
        """Let every line go, and end what is simulated."""
        for master in self._masters.values():
            master.close()
        for slave in self._slaves:
            slave.unplug()
        self._slaves.clear()

    def _master(self, tty: Path, spec: Transmitter) -> "Modbus":
        """The one of this line."""
        from hw.modbus import Modbus
        from hw.serial_line import SerialLine

        if tty not in self._masters:
            line = SerialLine(tty, spec.baud, PARITY[spec.parity], spec.stop_bits)
            self._masters[tty] = Modbus(line, spec.timeout_s, echo=spec.echo)
        return self._masters[tty]

    def _clock(self, spec: Transmitter) -> "Clock":
        from hw.monoclock import MonoClock
        from hw.sim.machine_time import MachineTime

        return MachineTime(self._world.clock, follows=True) if spec.simulated else MonoClock()

    def _simulated(self, spec: Transmitter, registers: RegisterMap) -> Path:
        """The tty of a new one on the simulated machine."""
        from hw.sim.modbus_slave import ModbusSlave
        from hw.sim.transmitter import MachineRegisters

        self._folder.mkdir(parents=True, exist_ok=True)
        words = MachineRegisters(self._world.machine, self._world.clock, registers)
        slave = ModbusSlave(self._folder / f"{spec.name}.tty", spec.slave, words, echo=spec.echo)
        self._slaves.append(slave)
        return slave.link
