"""ST LSM6DSO, LSM6DSOX, ISM330DHCX: accelerometers with a tagged FIFO of 512 words, over I2C or SPI.

Registers and codes: ST's own C driver (lsm6dso_reg.h, BSD licence), datasheet DS12140 6.5.7; sensitivity from
its table 2 "Mechanical characteristics", noise densities likewise [K: not re-read on the page]. The gyroscope
stays off. At 3332 Hz the FIFO takes 52 % of a 400 kHz bus and holds 154 ms.
"""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from hw.accelerometer import I16, Accelerometer, Drained, Figures
from hw.bus import Clock
from hw.ports import PortError
from hw.registers import Access, Registers

I8 = NDArray[np.int8]

IDS = {0x6C: "LSM6DSO, LSM6DSOX", 0x6B: "ISM330DHCX, LSM6DSR"}
DEPTH = 512
SERVICE = 64
"""448 bytes, 10 ms of a 400 kHz bus: others on it wait no longer."""
WORD = 7
ODR_CODES = {833.0: 0x7, 1666.0: 0x8, 3332.0: 0x9, 6664.0: 0xA}
RANGES = {2: (0x0, 61e-6, 70e-6), 4: (0x2, 122e-6, 75e-6), 8: (0x3, 244e-6, 80e-6), 16: (0x1, 488e-6, 110e-6)}
"""g: code, g a count, noise density g/√Hz."""
CONTINUOUS = 0x06
BDU_IF_INC = 0x44
SW_RESET = 0x01
RESET_S = 0.01
FREQ_FINE_STEP = 0.0015
OVERRUN = 0x48
"""FIFO_STATUS2: full, and has been full since it was last read."""
MARKER = 0x7FFD
"""From here on a value is no sample while the filter settles."""
SETTLING = 16
"""Samples within which such markers come."""


def _tag_counts() -> I8:
    """Slot counter of each tag byte of an accelerometer word, -1 where it is none or its parity is odd."""
    counts = np.full(256, -1, np.int8)
    for slot in range(4):
        tag = 0x02 << 3 | slot << 1
        counts[tag | tag.bit_count() & 1] = slot
    return counts


_TAG_COUNTS = _tag_counts()


class Register(IntEnum):
    """The registers used."""

    FIFO_CTRL1 = 0x07
    FIFO_CTRL2 = 0x08
    FIFO_CTRL3 = 0x09
    FIFO_CTRL4 = 0x0A
    WHO_AM_I = 0x0F
    CTRL1_XL = 0x10
    CTRL3_C = 0x12
    FIFO_STATUS1 = 0x3A
    INTERNAL_FREQ_FINE = 0x63
    FIFO_DATA_OUT_TAG = 0x78


class TaggedFifo(Accelerometer):
    """The family: what differs is in its identification, CTRL1_XL and FIFO_CTRL3."""

    def __init__(
        self,
        part: str,
        access: Access,
        clock: Clock,
        figures: Figures,
        block_s: float,
        ids: dict[int, str],
        ctrl1_xl: int,
        batch: int,
    ) -> None:
        """ids: what WHO_AM_I may read; ctrl1_xl: rate and range; batch: rate code of FIFO_CTRL3."""
        registers = Registers(access)
        super().__init__(part, registers, clock, figures, block_s)
        self._nominal_hz = figures.rate_hz
        self._ids = ids
        self._ctrl1_xl = ctrl1_xl
        self._batch = batch
        self._status = registers.prepare(Register.FIFO_STATUS1, 2)
        self._words = registers.prepare(Register.FIFO_DATA_OUT_TAG, WORD * DEPTH)
        self._slot: int | None = None
        self._settling = 0

    def identify(self) -> None:
        """Compare WHO_AM_I."""
        self.registers.expect(Register.WHO_AM_I, self._ids)

    def configure(self) -> None:
        """Reset; continuous FIFO; sampling last. The factory's own measure of the oscillator sets rate_hz."""
        self.registers.command(Register.CTRL3_C, SW_RESET)
        self.clock.sleep(RESET_S)
        self.registers.write(Register.CTRL3_C, BDU_IF_INC)
        fine = self.registers.read(Register.INTERNAL_FREQ_FINE)
        self.rate_hz = self._nominal_hz * (1.0 + FREQ_FINE_STEP * (fine - 256 if fine > 127 else fine))
        self.registers.write(Register.FIFO_CTRL1, SERVICE)
        self.registers.write(Register.FIFO_CTRL2, 0)
        self.registers.write(Register.FIFO_CTRL3, self._batch)
        self.registers.write(Register.FIFO_CTRL4, CONTINUOUS)
        self.registers.write(Register.CTRL1_XL, self._ctrl1_xl)
        self._slot, self._settling = None, SETTLING

    def drain(self) -> Drained:
        """Status, then all words in one burst; each word's tag, parity and slot are checked."""
        low, high = (int(byte) for byte in self._status.run())
        level = low | (high & 0x03) << 8
        if level > DEPTH or high & 0x04:
            raise PortError(
                f"FIFO status {high:#04x}{low:02x}: {level} words, expected at most {DEPTH}; check the wiring"
            )
        if level == 0:
            return Drained(np.empty((0, 3), np.int16), 0, bool(high & OVERRUN))
        words = self._words.run(WORD * level).reshape(level, WORD)
        slots = _TAG_COUNTS[words[:, 0]]
        if slots.min() < 0:
            tag = int(words[int(slots.argmin()), 0])
            raise PortError(
                f"FIFO tag {tag:#04x}, expected an accelerometer word of even parity; check the wiring"
            )
        gap = self._gap(slots)
        counts = words[:, 1:].copy().view("<i2").astype(np.int16, copy=False)
        return Drained(self._settled(counts), level, gap or bool(high & OVERRUN))

    def standby(self) -> None:
        """Power down."""
        self.registers.command(Register.CTRL1_XL, 0)

    def overran(self) -> bool:
        """The chip latches it."""
        return bool(self._status.run()[1] & OVERRUN)

    def _gap(self, slots: I8) -> bool:
        """Whether the slot counter of two bits jumps anywhere: samples are missing."""
        before, self._slot = self._slot, int(slots[-1])
        jumps = bool(((np.diff(slots) - 1) & 3).any())
        return jumps or (before is not None and (int(slots[0]) - before - 1) & 3 != 0)

    def _settled(self, counts: I16) -> I16:
        """Without the markers that stand in for samples right after power-up."""
        if self._settling <= 0:
            return counts
        window = (counts[: self._settling] >= MARKER).any(axis=1)
        self._settling -= len(counts)
        markers = np.flatnonzero(window)
        return counts[int(markers[-1]) + 1 :] if len(markers) else counts


class Lsm6dso(TaggedFifo):
    """hw.ports.Vibration on an LSM6DSO, LSM6DSOX or ISM330DHCX. full scale 2, 4, 8 or 16 g."""

    def __init__(
        self,
        access: Access,
        clock: Clock,
        rate_hz: float = 3332.0,
        range_g: int = 16,
        block_s: float = 0.1,
    ) -> None:
        """rate_hz: 833, 1666, 3332; 6664 needs SPI or a 1 MHz bus."""
        if rate_hz not in ODR_CODES or range_g not in RANGES:
            raise ValueError(
                f"LSM6DSO at {rate_hz} Hz, {range_g} g: expected {sorted(ODR_CODES)} Hz and "
                f"{sorted(RANGES)} g; choose one of each"
            )
        code, lsb_g, noise = RANGES[range_g]
        odr = ODR_CODES[rate_hz]
        figures = Figures(rate_hz, lsb_g, 32767, noise, rate_hz / 2.0, DEPTH, SERVICE)
        part = f"LSM6DSO {access.place}"
        super().__init__(part, access, clock, figures, block_s, IDS, odr << 4 | code << 2, odr)
