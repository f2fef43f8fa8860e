"""The registers of one chip, over I2C or SPI: every write read back, every configuration looked at again.

Messages here do not name the chip; its driver puts that in front.
"""

from enum import IntEnum
from typing import NamedTuple, Protocol

from hw.bus import I2c, Spi, Transfer
from hw.ports import PortError

SPI_READ = 0x80


class Burst(NamedTuple):
    """Bits that a chip wants in the register's byte to go on by itself to the next register."""

    i2c: int = 0
    spi: int = 0


class Access(Protocol):
    """A chip on its bus."""

    place: str
    """For messages: "at 0x6a", "on SPI"."""

    def prepare_read(self, register: int, count: int, burst: Burst) -> Transfer:
        """Read `count` bytes from this register on."""

    def prepare_write(self, register: int, value: int) -> Transfer:
        """Write one register."""

    def recover(self) -> None:
        """Free the bus, where it can be blocked."""


class OnI2c:
    """A chip at an address of an I2C bus."""

    def __init__(self, bus: I2c, address: int) -> None:
        self._bus = bus
        self._address = address
        self.place = f"at {address:#04x}"

    def prepare_read(self, register: int, count: int, burst: Burst) -> Transfer:
        """See Access."""
        return self._bus.prepare(self._address, bytes([register | (burst.i2c if count > 1 else 0)]), count)

    def prepare_write(self, register: int, value: int) -> Transfer:
        """See Access."""
        return self._bus.prepare(self._address, bytes([register, value]), 0)

    def recover(self) -> None:
        """See Access."""
        self._bus.recover()


class OnSpi:
    """A chip with a chip select of its own. Bit 7 of the first byte says "read"."""

    place = "on SPI"

    def __init__(self, device: Spi) -> None:
        self._device = device

    def prepare_read(self, register: int, count: int, burst: Burst) -> Transfer:
        """See Access."""
        return self._device.prepare(bytes([SPI_READ | register | (burst.spi if count > 1 else 0)]), count)

    def prepare_write(self, register: int, value: int) -> Transfer:
        """See Access."""
        return self._device.prepare(bytes([register, value]), 0)

    def recover(self) -> None:
        """Nothing to free: no chip can hold an SPI bus."""


class Registers:
    """Verified registers of one chip."""

    def __init__(self, access: Access, burst: Burst = Burst()) -> None:  # noqa: B008 - immutable
        """burst: what the chip wants for reads of several registers."""
        self._access = access
        self._burst = burst
        self._reads: dict[IntEnum, Transfer] = {}
        self._written: dict[IntEnum, int] = {}

    def prepare(self, register: IntEnum, count: int) -> Transfer:
        """A transfer that reads up to `count` bytes from this register on."""
        return self._access.prepare_read(register, count, self._burst)

    def read(self, register: IntEnum) -> int:
        """One register. Raises BusError."""
        if register not in self._reads:
            self._reads[register] = self.prepare(register, 1)
        return int(self._reads[register].run()[0])

    def expect(self, register: IntEnum, parts: dict[int, str]) -> int:
        """Read an identification. parts: the values that will do, and what each of them is.

        Raises:
            PortError: another value: another part, or none.
        """
        found = self.read(register)
        if found not in parts:
            expected = " or ".join(f"{value:#04x} ({part})" for value, part in parts.items())
            raise PortError(
                f"{_named(register)} reads {found:#04x}, expected {expected}; check part and address"
            )
        return found

    def command(self, register: IntEnum, value: int) -> None:
        """Write a register that does not keep what is written (reset). Raises BusError."""
        self._access.prepare_write(register, value).run()

    def write(self, register: IntEnum, value: int) -> None:
        """Write a register and read it back. Raises PortError: it holds something else."""
        self.command(register, value)
        self._written[register] = value
        self._compare(register, value, "check the wiring and the pull-ups")

    def check(self) -> None:
        """Compare the configuration with what was written. Raises PortError: the chip has begun anew."""
        for register, value in self._written.items():
            self._compare(register, value, "brown-out or another part: check the supply")

    def forget(self) -> None:
        """The chip is about to be configured anew."""
        self._written.clear()

    def recover(self) -> None:
        """Free the bus after a fault. Raises BusError."""
        self._access.recover()

    def _compare(self, register: IntEnum, value: int, advice: str) -> None:
        found = self.read(register)
        if found != value:
            raise PortError(f"{_named(register)} reads {found:#04x}, expected {value:#04x}; {advice}")


def _named(register: IntEnum) -> str:
    return f"register {register.name} ({register.value:#04x})"
