"""ADXL355, byte for byte: what hw.adxl355 talks to."""

from types import MappingProxyType

import numpy as np

from hw.sim.chips.fifo_chip import I32, FifoChip

STATUS, ENTRIES, FIFO_DATA = 0x04, 0x05, 0x11
FILTER, RANGE, POWER_CTL, RESET_REGISTER = 0x28, 0x2C, 0x2D, 0x2F
RESET_CODE = 0x52
STANDBY = 0x01
X_MARK, EMPTY_MARK = 0x01, 0x02
COUNTS_PER_G = {1: 256_000.0, 2: 128_000.0, 3: 64_000.0}
SHADOW = {0x50: 0x1A, 0x51: 0x2B, 0x52: 0x3C, 0x53: 0x4D, 0x54: 0x5E}


class SimAdxl355(FifoChip):
    """hw.sim.bus.Chip."""

    RATES_HZ = MappingProxyType({code: 4000.0 / 2**code for code in range(11)})
    RESET = MappingProxyType(
        {0x00: 0xAD, 0x01: 0x1D, 0x02: 0xED, 0x29: 0x60, RANGE: 0x81, POWER_CTL: STANDBY, **SHADOW}
    )
    READ_ONLY = frozenset({*range(0x12), *SHADOW})

    def power_cycle(self, t_s: float) -> None:
        """Begin anew; no word is half read."""
        self._rest: list[bytes] = []
        super().power_cycle(t_s)

    def mode(self) -> tuple[float, bool]:
        """FILTER unless POWER_CTL says standby; the FIFO always collects."""
        standby = self.registers[POWER_CTL] & STANDBY
        return 0.0 if standby else self.RATES_HZ.get(self.registers[FILTER] & 0x0F, 0.0), not standby

    def scale(self) -> tuple[float, int]:
        """Twenty bits of the range."""
        return COUNTS_PER_G.get(self.registers[RANGE] & 0x03, 256_000.0), 2**19 - 1

    def stored(self, register: int, value: int, t_s: float) -> None:
        """The reset code begins anew."""
        if register == RESET_REGISTER and value == RESET_CODE:
            self.power_cycle(t_s)
        super().stored(register, value, t_s)

    def loaded(self, register: int, t_s: float) -> int:
        """Entries are words; reading STATUS clears the overrun."""
        entries = 3 * len(self.fifo) + len(self._rest)
        if register == ENTRIES:
            return entries
        if register == STATUS:
            overran, self.overran = self.overran, False
            full = len(self.fifo) == self.DEPTH
            return (0x04 if overran else 0) | (0x02 if full else 0) | (0x01 if entries else 0)
        return super().loaded(register, t_s)

    def load(self, register: int, count: int, t_s: float) -> bytes:
        """FIFO_DATA does not go on to the next register: three bytes a word."""
        if register != FIFO_DATA:
            return super().load(register, count, t_s)
        asked = -(-count // 3)
        samples = self.pop(-(-max(0, asked - len(self._rest)) // 3))
        words = self._rest + _words(samples)
        taken, self._rest = words[:asked], words[asked:]
        taken += [bytes([0, 0, EMPTY_MARK])] * (asked - len(taken))
        return b"".join(taken)[:count]


def _words(samples: I32) -> list[bytes]:
    """Each axis left-justified, big-endian, in three bytes; X carries the mark."""
    shifted = ((samples.astype(np.int64) << 4) & 0xFFFFF0) | np.array([X_MARK, 0, 0])
    return [int(word).to_bytes(3, "big") for word in shifted.ravel()]
