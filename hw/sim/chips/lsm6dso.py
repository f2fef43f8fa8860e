"""LSM6DSO and IIS3DWB, byte for byte: what hw.lsm6dso and hw.iis3dwb talk to."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from hw.sim.chips.fifo_chip import FifoChip
from hw.sim.rotor import Machine

FIFO_CTRL3, FIFO_CTRL4 = 0x09, 0x0A
WHO_AM_I, CTRL1_XL, CTRL3_C, CTRL9_XL = 0x0F, 0x10, 0x12, 0x18
STATUS1, STATUS2 = 0x3A, 0x3B
FREQ_FINE, TAG = 0x63, 0x78
SW_RESET, IF_INC = 0x01, 0x04
CONTINUOUS = 0x06
WORD = 7
COUNTS_PER_G = {0: 1e6 / 61, 1: 1e6 / 488, 2: 1e6 / 122, 3: 1e6 / 244}
MARKERS = 2
"""Samples after power-up that hold 0x7FFD."""


class SimLsm6dso(FifoChip):
    """hw.sim.bus.Chip."""

    DEPTH = 512
    ID = 0x6C
    RATES_HZ: Mapping[int, float] = MappingProxyType({7: 833.0, 8: 1666.0, 9: 3332.0, 10: 6664.0})
    RESET = MappingProxyType({WHO_AM_I: ID, CTRL3_C: IF_INC, CTRL9_XL: 0xE0})
    READ_ONLY = frozenset({WHO_AM_I, STATUS1, STATUS2, FREQ_FINE, *range(TAG, TAG + WORD)})

    def __init__(
        self, machine: Machine, clock_ppm: float = 0.0, noise_mps2: float = 0.0, fine: int = 0
    ) -> None:
        """fine: what INTERNAL_FREQ_FINE says of the oscillator, in 0.15 %, whatever the truth is."""
        self._fine = fine & 0xFF
        super().__init__(machine, clock_ppm, noise_mps2)

    def power_cycle(self, t_s: float) -> None:
        """The factory's trim survives."""
        super().power_cycle(t_s)
        self.registers[FREQ_FINE] = self._fine

    def mode(self) -> tuple[float, bool]:
        """ODR of CTRL1_XL; collected in continuous mode with a batch rate."""
        rate_hz = self.RATES_HZ.get(self.registers[CTRL1_XL] >> 4, 0.0)
        batch = self.registers[FIFO_CTRL3] & 0x0F
        return rate_hz, bool(batch) and self.registers[FIFO_CTRL4] & 0x07 == CONTINUOUS

    def scale(self) -> tuple[float, int]:
        """Full scale of CTRL1_XL."""
        return COUNTS_PER_G[self.registers[CTRL1_XL] >> 2 & 0x03], 32767

    def stored(self, register: int, value: int, t_s: float) -> None:
        """SW_RESET clears itself."""
        if register == CTRL3_C and value & SW_RESET:
            self.power_cycle(t_s)
        super().stored(register, value, t_s)

    def loaded(self, register: int, t_s: float) -> int:
        """FIFO level; reading FIFO_STATUS2 clears the latched overrun."""
        level = len(self.fifo)
        if register == STATUS1:
            return level & 0xFF
        if register == STATUS2:
            latched, self.overran = self.overran, False
            return level >> 8 | (0x60 if level == self.DEPTH else 0) | (0x08 if latched else 0)
        return super().loaded(register, t_s)

    def load(self, register: int, count: int, t_s: float) -> bytes:
        """From the tag on, words: the address goes from 0x7E back to 0x78."""
        if register != TAG:
            return super().load(register, count, t_s)
        asked = -(-count // WORD)
        numbers = self.first() + np.arange(min(asked, len(self.fifo)))
        samples = self.pop(asked).astype("<i2")
        samples[numbers < MARKERS] = 0x7FFD
        words = np.zeros((asked, WORD), np.uint8)
        words[: len(samples), 0] = [_tag(number) for number in numbers.tolist()]
        words[: len(samples), 1:] = samples.view(np.uint8).reshape(-1, 6)
        return words.tobytes()[:count]


class SimIis3dwb(SimLsm6dso):
    """hw.sim.bus.Chip: 26667 Hz or nothing."""

    ID = 0x7B
    RATES_HZ = MappingProxyType({10: 26667.0})  # XL_EN is 101, and the bit below it 0
    RESET = MappingProxyType({WHO_AM_I: ID, CTRL3_C: IF_INC, CTRL9_XL: 0xE0})


def _tag(number: int) -> int:
    """Accelerometer, slot counter of two bits, even parity."""
    tag = 0x02 << 3 | (number & 3) << 1
    return tag | tag.bit_count() & 1
