"""A smart transmitter on a Modbus line: numbers instead of samples; one of them may serve as thermometer."""

from hw.bus import Clock
from hw.modbus import Modbus
from hw.pace import Pace
from hw.ports import PortError, Quantities, Reading, Scalars
from hw.register_map import RegisterMap


class Transmitter:
    """hw.ports.Scalars on a slave whose registers a map explains."""

    def __init__(
        self, modbus: Modbus, slave: int, registers: RegisterMap, clock: Clock, period_s: float = 1.0
    ) -> None:
        """Take part. period_s: seconds between questions; most transmitters count anew once a second."""
        self.period_s = period_s
        self.units = {register.name: register.unit for register in registers.registers}
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
            quantities = self._map.quantities(words)
        except ValueError as fault:
            raise PortError(
                f"{self._map.part}, slave {self._slave}: {fault}; check the map and the part"
            ) from fault
        self._pace.taken()
        return Quantities(quantities, host_ns)


class ScalarTemperature:
    """hw.ports.Temperature on one quantity of a Scalars, which nobody else may read."""

    def __init__(self, scalars: Scalars, name: str = "temperature") -> None:
        """Raises ValueError: there is no such quantity, or it is not in °C."""
        unit = scalars.units.get(name)
        if unit != "°C":
            raise ValueError(
                f"quantity {name!r}: {unit or 'not there'}, expected one in °C of {', '.join(scalars.units)}"
            )
        self.period_s = scalars.period_s
        self._scalars = scalars
        self._name = name

    def read(self) -> Reading | None:
        """The next temperature, None while it is not due. Raises PortError."""
        quantities = self._scalars.read()
        if quantities is None:
            return None
        return Reading(quantities.by_name[self._name].value, quantities.host_ns)
