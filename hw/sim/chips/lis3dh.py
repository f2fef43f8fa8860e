"""LIS3DH, byte for byte: what hw.lis3dh talks to."""

from types import MappingProxyType

import numpy as np

from hw.sim.chips.fifo_chip import FifoChip

CTRL1, CTRL4, CTRL5 = 0x20, 0x23, 0x24
OUT, SAMPLE = 0x28, 6
FIFO_CTRL, FIFO_SRC = 0x2E, 0x2F
LOW_POWER, HIGH_RESOLUTION, FIFO_EN = 0x08, 0x08, 0x40
STREAM = 0x80
GO_ON = 0x80
"""Bit of the register's byte: go on by itself to the next register."""
MG_PER_COUNT = {0: 1.0, 1: 2.0, 2: 4.0, 3: 12.0}


class SimLis3dh(FifoChip):
    """hw.sim.bus.Chip."""

    RATES_HZ = MappingProxyType({1: 1.0, 2: 10.0, 3: 25.0, 4: 50.0, 5: 100.0, 6: 200.0, 7: 400.0, 9: 1344.0})
    RESET = MappingProxyType({0x0F: 0x33, CTRL1: 0x07})
    READ_ONLY = frozenset({0x0F, *range(OUT, OUT + SAMPLE), FIFO_SRC})

    def mode(self) -> tuple[float, bool]:
        """CTRL_REG1; collected where CTRL_REG5 and FIFO_CTRL_REG say so."""
        code, low_power = self.registers[CTRL1] >> 4, self.registers[CTRL1] & LOW_POWER
        rate_hz = 5376.0 if code == 9 and low_power else self.RATES_HZ.get(code, 0.0)
        return rate_hz, bool(self.registers[CTRL5] & FIFO_EN) and self.registers[FIFO_CTRL] & 0xC0 == STREAM

    def scale(self) -> tuple[float, int]:
        """Twelve bits; ten without HR have counts of four."""
        return 1000.0 / MG_PER_COUNT[self.registers[CTRL4] >> 4 & 0x03], 2047

    def transfer(self, write: bytes, read_bytes: int, t_s: float) -> bytes:
        """See hw.sim.bus.Chip; without GO_ON every byte read is the same register's."""
        if not write or write[0] & GO_ON:
            return super().transfer(bytes([write[0] & ~GO_ON]) + write[1:] if write else b"", read_bytes, t_s)
        first = super().transfer(write, min(read_bytes, 1), t_s)
        return first * read_bytes

    def from_spi(self, first: int) -> int:
        """On SPI the bit to go on is bit 6."""
        return (first & 0x3F) | (GO_ON if first & 0x40 else 0)

    def loaded(self, register: int, t_s: float) -> int:
        """FIFO_SRC_REG: 32 samples read as 31 and an overrun."""
        if register != FIFO_SRC:
            return super().loaded(register, t_s)
        level = len(self.fifo)
        full = level == self.DEPTH
        watermark = level > self.registers[FIFO_CTRL] & 0x1F
        return (0x80 if watermark else 0) | (0x40 if full else 0) | (0 if level else 0x20) | min(level, 31)

    def load(self, register: int, count: int, t_s: float) -> bytes:
        """From OUT_X_L on, samples: the address goes from 0x2D back to 0x28."""
        if register != OUT:
            return super().load(register, count, t_s)
        asked = -(-count // SAMPLE)
        samples = self.pop(asked)
        if not self.registers[CTRL4] & HIGH_RESOLUTION:
            samples = samples & ~3
        left = (samples << 4).astype(np.dtype("<i2")).tobytes()
        return (left + bytes(SAMPLE * asked))[:count]
