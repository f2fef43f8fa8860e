"""A chip as its registers: a pointer, values after reset, registers that cannot be written."""

from collections.abc import Mapping


class RegisterChip:
    """hw.sim.bus.Chip. A driver writes the register's number, then values, or reads on from there."""

    RESET: Mapping[int, int] = {}
    """Values other than 0 after power-on."""
    READ_ONLY: frozenset[int] = frozenset()

    def __init__(self) -> None:
        self.registers = bytearray(256)
        self._pointer = 0
        self.power_cycle(0.0)

    def power_cycle(self, t_s: float) -> None:  # noqa: ARG002 - a chip with a clock needs it
        """Begin anew with the reset values."""
        self.registers[:] = bytes(256)
        for register, value in self.RESET.items():
            self.registers[register] = value

    def transfer(self, write: bytes, read_bytes: int, t_s: float) -> bytes:
        """See hw.sim.bus.Chip."""
        if write:
            self._pointer = write[0]
        for value in write[1:]:
            if self._pointer not in self.READ_ONLY:
                self.registers[self._pointer] = value
                self.stored(self._pointer, value, t_s)
            self._pointer = (self._pointer + 1) & 0xFF
        return self.load(self._pointer, read_bytes, t_s) if read_bytes else b""

    def from_spi(self, first: int) -> int:
        """See hw.sim.bus.Chip: bit 7 says "read"."""
        return first & 0x7F

    def load(self, register: int, count: int, t_s: float) -> bytes:
        """What `count` bytes read from this register on are."""
        return bytes(self.loaded((register + i) & 0xFF, t_s) for i in range(count))

    def loaded(self, register: int, t_s: float) -> int:  # noqa: ARG002 - a status depends on time
        """One register as it reads."""
        return self.registers[register]

    def stored(self, register: int, value: int, t_s: float) -> None:
        """Act on a write."""
