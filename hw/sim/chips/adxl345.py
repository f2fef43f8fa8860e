"""ADXL345, byte for byte: what hw.adxl345 talks to."""

from types import MappingProxyType

import numpy as np

from hw.sim.chips.fifo_chip import FifoChip

BW_RATE, POWER_CTL, INT_SOURCE, DATA_FORMAT = 0x2C, 0x2D, 0x30, 0x31
DATA, DATA_END = 0x32, 0x38
FIFO_CTL, FIFO_STATUS = 0x38, 0x39
MEASURE, FULL_RES = 0x08, 0x08
STREAM = 0x80
FASTEST_WHOLE_HZ = 800.0
"""Above this rate the lowest bit is always 0."""


class SimAdxl345(FifoChip):
    """hw.sim.bus.Chip."""

    RATES_HZ = MappingProxyType({code: 3200.0 / 2 ** (15 - code) for code in range(16)})
    RESET = MappingProxyType({0x00: 0xE5, BW_RATE: 0x0A, INT_SOURCE: 0x02})
    READ_ONLY = frozenset({0x00, INT_SOURCE, *range(DATA, DATA_END), FIFO_STATUS})

    def mode(self) -> tuple[float, bool]:
        """BW_RATE while POWER_CTL says measure; collected in stream mode."""
        measure = self.registers[POWER_CTL] & MEASURE
        rate_hz = self.RATES_HZ[self.registers[BW_RATE] & 0x0F] if measure else 0.0
        return rate_hz, self.registers[FIFO_CTL] & 0xC0 == STREAM

    def scale(self) -> tuple[float, int]:
        """Full resolution: 256 counts a g at any range; else ten bits of the range."""
        form = self.registers[DATA_FORMAT]
        range_g = 2 << (form & 0x03)
        if form & FULL_RES:
            return 256.0, 256 * range_g - 1
        return 512.0 / range_g, 511

    def from_spi(self, first: int) -> int:
        """Bit 6 says "several bytes"."""
        return first & 0x3F

    def loaded(self, register: int, t_s: float) -> int:
        """The first data byte takes a sample out of the FIFO; FIFO_STATUS counts what is left."""
        if register == DATA:
            self._take()
        if register == FIFO_STATUS:
            return len(self.fifo)
        if register == INT_SOURCE:
            level = len(self.fifo)
            watermark = level >= max(1, self.registers[FIFO_CTL] & 0x1F)
            return (0x80 if level else 0) | (0x02 if watermark else 0) | (1 if self.overran else 0)
        return super().loaded(register, t_s)

    def _take(self) -> None:
        """An empty FIFO gives the last sample again."""
        sample = self.pop(1)
        if not len(sample):
            return
        self.overran = False
        if self.motion.rate_hz > FASTEST_WHOLE_HZ * 1.5:
            sample = sample & ~1
        self.registers[DATA:DATA_END] = sample.astype(np.dtype("<i2")).tobytes()
