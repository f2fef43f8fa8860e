"""Simulated thermometer chips on the bearing housing: registers byte for byte, conversions in time."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from hw.mlx90614 import AMBIENT, OBJECT, pec
from hw.sim.rotor import Machine
from hw.sim.thermal import AMBIENT_DEGC

READS = {AMBIENT, OBJECT}


class _WordChip(ABC):
    """A chip with big-endian words behind a pointer; each conversion renews `temperature`."""

    temperature: int
    conversion_s: float
    reset: Mapping[int, int]
    writable: frozenset[int] = frozenset()

    def __init__(self, machine: Machine, offset_k: float = 0.0) -> None:
        """Glue it on. offset_k: what this copy reads too high."""
        self._thermal = machine.thermal()
        self._offset_k = offset_k
        self._begun_s = 0.0
        self._converted = 0
        self._pointer = 0
        self._words = dict(self.reset)

    def power_cycle(self, t_s: float) -> None:
        """Begin anew: no conversion yet."""
        self._begun_s, self._converted, self._pointer = t_s, 0, 0
        self._words = dict(self.reset)

    def transfer(self, write: bytes, read_bytes: int, t_s: float) -> bytes:
        """See hw.sim.bus.Chip. A register that is not there reads as zero."""
        self._convert(t_s)
        if write:
            self._pointer = write[0]
        if len(write) == 3 and self._pointer in self.writable:
            self._words[self._pointer] = int.from_bytes(write[1:], "big")
        word = self._words.get(self._pointer, 0).to_bytes(2, "big")
        return (word * (read_bytes // 2 + 1))[:read_bytes]

    def _convert(self, t_s: float) -> None:
        done = int((t_s - self._begun_s) / self.conversion_s)
        if done > self._converted:
            self._converted = done
            degc = self._thermal.degc(self._begun_s + done * self.conversion_s) + self._offset_k
            self._words[self.temperature] = self.word(degc) & 0xFFFF

    @abstractmethod
    def word(self, degc: float) -> int:
        """The temperature register at so many °C."""


class Tmp117Chip(_WordChip):
    """TMP117: 0x8000 until its first conversion."""

    temperature, conversion_s = 0x00, 1.0
    reset = {0x00: 0x8000, 0x01: 0x0220, 0x02: 0x6000, 0x03: 0x8000, 0x0F: 0x0117}  # noqa: RUF012 - read only
    writable = frozenset({0x01, 0x02, 0x03})

    def word(self, degc: float) -> int:
        """Counts of 7.8125 m°C."""
        return round(degc / 0.0078125)


class Mcp9808Chip(_WordChip):
    """MCP9808: alert flags above a 13-bit temperature."""

    temperature, conversion_s = 0x05, 0.25
    reset = {0x05: 0x0000, 0x06: 0x0054, 0x07: 0x0400, 0x08: 0x0003}  # noqa: RUF012 - read only
    writable = frozenset({0x01, 0x02, 0x03, 0x04})

    def word(self, degc: float) -> int:
        """Counts of 1/16 °C; the limits are 0 °C after power-on, so that warm means "above both"."""
        counts = round(degc * 16.0)
        return counts & 0x1FFF | (0xC000 if counts > 0 else 0x2000)


class Lm75Chip(_WordChip):
    """LM75 (bits = 9), LM75B (11) or TMP102 (12)."""

    temperature, conversion_s = 0x00, 0.1
    reset = {0x00: 0x0000, 0x01: 0x0000, 0x02: 0x4B00, 0x03: 0x5000}  # noqa: RUF012 - read only
    writable = frozenset({0x01, 0x02, 0x03})

    def __init__(self, machine: Machine, bits: int = 9, offset_k: float = 0.0) -> None:
        """As any; bits: of the temperature."""
        super().__init__(machine, offset_k)
        self._step = 1 << (16 - bits)

    def word(self, degc: float) -> int:
        """Counts of 1/256 °C, the upper bits only."""
        return round(degc * 256.0 / self._step) * self._step


class Mlx90614Chip:
    """MLX90614 looking at the housing: little-endian words, each with its PEC if sends_pec."""

    def __init__(self, machine: Machine, address: int = 0x5A, *, sends_pec: bool = True) -> None:
        """Point it. address: its own, which is part of the PEC."""
        self._thermal = machine.thermal()
        self._address = address
        self.sends_pec = sends_pec

    def power_cycle(self, t_s: float) -> None:
        """It keeps nothing; a quarter of a second later it measures as before."""

    def transfer(self, write: bytes, read_bytes: int, t_s: float) -> bytes:
        """See hw.sim.bus.Chip. An unknown command answers with the error bit."""
        degc = AMBIENT_DEGC if write == bytes([AMBIENT]) else self._thermal.degc(round(t_s, 1))
        word = round((degc + 273.15) / 0.02) if write[0] in READS else 0x8000
        answer = word.to_bytes(2, "little")
        if self.sends_pec:
            answer += bytes([pec(bytes([self._address << 1, write[0], self._address << 1 | 1]) + answer)])
        return answer.ljust(read_bytes, b"\xff")[:read_bytes]
