"""A smart transmitter on a Modbus line: numbers instead of samples."""

from hw.bus import Clock
from hw.modbus import Modbus
from hw.pace import Pace
from hw.ports import PortError, Quantities, Quantity
from hw.register_map import RegisterMap


class Transmitter:
    """hw.ports.Scalars on a slave whose registers a map explains."""

    def __init__(
        self, modbus: Modbus, slave: int, registers: RegisterMap, clock: Clock, period_s: float = 1.0
    ) -> None:
        """Take part. period_s: seconds between questions; most transmitters count anew once a second."""
        self.period_s = period_s
        self.units = registers.units
        self._modbus = modbus
        self._slave = slave
        self._map = registers
        self._clock = clock
        self._pace = Pace(clock, period_s)

    def read(self) -> Quantities | None:
        """The next reading, None while it is not due. Raises PortError."""
        if not self._pace.due():
            return None
        words = self._modbus.read(self._slave, self._map.function, self._map.first, self._map.count)
        host_ns = self._clock.now_ns()
        try:
            values = self._map.values(words)
        except ValueError as fault:
            raise PortError(
                f"{self._map.part}, slave {self._slave}: {fault}; check the map and the part"
            ) from fault
        self._pace.taken()
        return Quantities(
            {name: Quantity(value, self.units[name]) for name, value in values.items()}, host_ns
        )
