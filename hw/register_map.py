"""Which registers of a transmitter mean what: data, not code. A user may write his own map.

Nothing but the standard library, so that whoever reads a configuration can check a map.
"""

import math
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

LAST_ADDRESS = 0xFFFF
MOST_REGISTERS = 125
"""That one question of Modbus may fetch."""
NAME = re.compile(r"(?=.{1,32}$)[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
Kind = Literal["uint16", "int16", "uint32", "int32", "float32"]
FORMATS = {"uint16": ">H", "int16": ">h", "uint32": ">I", "int32": ">i", "float32": ">f"}


@dataclass(frozen=True, slots=True)
class Register:
    """One quantity. Its value is scale · content + offset, in `unit`; out of [low, high] it is a fault.

    name: what it is called from here on, e.g. "z-velocity"; a to z, 0 to 9 and '-'.
    address: PDU address (0-based) of its first register; 45201 of a data sheet is 5200.
    word_order: of two registers the more ("big") or the less significant one comes first.
    """

    name: str
    address: int
    unit: str
    scale: float = 1.0
    offset: float = 0.0
    kind: Kind = "uint16"
    word_order: Literal["big", "little"] = "big"
    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self) -> None:
        """Raises ValueError for a register that cannot be."""
        if not NAME.fullmatch(self.name):
            raise ValueError(
                f"register {self.name!r}: expected a name of a to z, 0 to 9 and single '-', a letter first, "
                "at most 32 characters; rename it"
            )
        if not 0 <= self.address <= LAST_ADDRESS:
            raise ValueError(
                f"register {self.name!r}: address {self.address}, expected 0 to {LAST_ADDRESS}; correct it"
            )
        if self.scale == 0.0 or not math.isfinite(self.scale) or not math.isfinite(self.offset):
            raise ValueError(
                f"register {self.name!r}: scale {self.scale}, offset {self.offset}; "
                "expected finite numbers, scale not 0; correct it"
            )
        if not self.low < self.high:
            raise ValueError(
                f"register {self.name!r}: low {self.low:g}, high {self.high:g}; expected low below high, or "
                "no value is right; correct one of them"
            )

    @property
    def words(self) -> int:
        """How many 16-bit registers it takes."""
        return struct.calcsize(FORMATS[self.kind]) // 2

    def value(self, words: Sequence[int]) -> float:
        """What its registers say, in `unit`."""
        ordered = words if self.word_order == "big" else tuple(reversed(words))
        content = struct.unpack(FORMATS[self.kind], struct.pack(f">{self.words}H", *ordered))[0]
        return float(content * self.scale + self.offset)

    def content(self, value: float) -> tuple[int, ...]:
        """The registers that say `value`, limited to what fits: what a slave answers."""
        raw = (value - self.offset) / self.scale
        if self.kind != "float32":
            bits = 16 * self.words
            low, high = (
                (0, 2**bits - 1) if self.kind.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
            )
            raw = min(max(round(raw), low), high)
        words = struct.unpack(f">{self.words}H", struct.pack(FORMATS[self.kind], raw))
        return words if self.word_order == "big" else tuple(reversed(words))


@dataclass(frozen=True, slots=True)
class RegisterMap:
    """A block of registers that one question fetches, and the quantities in it.

    part: what faults call it.
    function: 3 (holding registers) or 4 (input registers).
    block: (first address, count) to ask for; None = from the first register named to the last.
    """

    part: str
    registers: tuple[Register, ...]
    function: Literal[3, 4] = 3
    block: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        """Raises ValueError: no register, a name twice, or a block too long for one question."""
        if not self.registers:
            raise ValueError(f"map {self.part!r}: no registers, expected at least one; add one")
        names = [register.name for register in self.registers]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"map {self.part!r}: {', '.join(twice)} twice, expected each name once; rename one"
            )
        first, last = self._named()
        if not self.first <= first <= last < self.first + self.count:
            raise ValueError(
                f"map {self.part!r}: registers {first} to {last}, expected them inside its block of "
                f"{self.count} from {self.first}; correct the block, or leave it out"
            )
        if self.first < 0 or self.first + self.count - 1 > LAST_ADDRESS:
            raise ValueError(
                f"map {self.part!r}: {self.first} to {self.first + self.count - 1}, expected addresses "
                f"from 0 to {LAST_ADDRESS}; correct the block or the addresses"
            )
        if self.count > MOST_REGISTERS:
            raise ValueError(
                f"map {self.part!r}: {self.first} to {self.first + self.count - 1} are {self.count} "
                f"registers, expected at most {MOST_REGISTERS} for one question; make two maps"
            )

    @property
    def units(self) -> Mapping[str, str]:
        """Unit of each quantity by its name."""
        return {register.name: register.unit for register in self.registers}

    @property
    def first(self) -> int:
        """PDU address of the first register to fetch."""
        return self.block[0] if self.block else self._named()[0]

    @property
    def count(self) -> int:
        """How many registers to fetch."""
        first, last = self._named()
        return self.block[1] if self.block else last - first + 1

    def _named(self) -> tuple[int, int]:
        """First and last address that a named register takes."""
        return (
            min(register.address for register in self.registers),
            max(register.address + register.words - 1 for register in self.registers),
        )

    def values(self, words: Sequence[int]) -> dict[str, float]:
        """Each quantity, in its unit, in a fetched block of `count` registers.

        Raises:
            ValueError: a value is not finite or out of its range; the message names it.
        """
        found = {}
        for register in self.registers:
            at = register.address - self.first
            value = register.value(words[at : at + register.words])
            if not (math.isfinite(value) and register.low <= value <= register.high):
                raise ValueError(
                    f"{register.name} is {value:g} {register.unit}, "
                    f"expected {register.low:g} to {register.high:g}"
                )
            found[register.name] = value
        return found
