"""Analog Devices ADXL345: 13 bits, ±16 g, FIFO of 32, over I2C or SPI.

Registers: datasheet rev. G, register map; sensitivity 256 counts a g and noise 0.75 LSB rms at 100 Hz from
its table 1 [K: not re-read on the page]. Up to 800 Hz on a 400 kHz bus says the datasheet; 1600 Hz is best
effort there, 3200 Hz needs SPI. A sample costs a transfer of its own: the data registers do not wrap.
Idea of the integrity check: Klipper's ADXL345, which reads FIFO_CTL and FIFO_STATUS behind the six bytes.
"""

from enum import IntEnum

import numpy as np

from hw.accelerometer import Accelerometer, Drained, Figures
from hw.bus import U8, Clock
from hw.ports import PortError
from hw.registers import Access, Burst, Registers

IDS = {0xE5: "ADXL345"}
DEPTH = 32
SERVICE = 8
LSB_G = 1.0 / 256.0
FULL_SCALE = 4095
NOISE_G_RTHZ = 290e-6
RATE_CODES = {100.0: 0xA, 200.0: 0xB, 400.0: 0xC, 800.0: 0xD, 1600.0: 0xE, 3200.0: 0xF}
FULL_RES_16_G = 0x0B
MEASURE, STANDBY = 0x08, 0x00
BYPASS, STREAM = 0x00, 0x80 | SERVICE
OVERRUN = 0x01
ENTRIES = 0x7F
"""FIFO_STATUS without the trigger bit; more than 32 is no such chip."""
MOST = 2 * DEPTH
"""Samples of one drain, however fast they come."""


class Register(IntEnum):
    """The registers used."""

    DEVID = 0x00
    BW_RATE = 0x2C
    POWER_CTL = 0x2D
    INT_SOURCE = 0x30
    DATA_FORMAT = 0x31
    DATAX0 = 0x32
    FIFO_CTL = 0x38
    FIFO_STATUS = 0x39


class Adxl345(Accelerometer):
    """hw.ports.Vibration on an ADXL345."""

    def __init__(self, access: Access, clock: Clock, rate_hz: float = 800.0, block_s: float = 0.1) -> None:
        """rate_hz: 100 to 3200, doubling. On I2C 800 at most by the datasheet, 1600 at one's own risk."""
        if rate_hz not in RATE_CODES:
            raise ValueError(f"ADXL345 at {rate_hz} Hz: expected one of {sorted(RATE_CODES)}; choose one")
        figures = Figures(rate_hz, LSB_G, FULL_SCALE, NOISE_G_RTHZ, rate_hz / 2.0, DEPTH, SERVICE)
        registers = Registers(access, Burst(spi=0x40))
        super().__init__(f"ADXL345 {access.place}", registers, clock, figures, block_s)
        self._code = RATE_CODES[rate_hz]
        self._sample = registers.prepare(Register.DATAX0, 8)
        self._rows = np.empty((MOST, 8), np.uint8)
        self._fullest = 0

    def identify(self) -> None:
        """Compare DEVID."""
        self.registers.expect(Register.DEVID, IDS)

    def configure(self) -> None:
        """Standby, rate, full resolution, an empty FIFO, measure."""
        self.registers.write(Register.POWER_CTL, STANDBY)
        self.registers.write(Register.BW_RATE, self._code)
        self.registers.write(Register.DATA_FORMAT, FULL_RES_16_G)
        self.registers.write(Register.FIFO_CTL, BYPASS)
        self.registers.write(Register.FIFO_CTL, STREAM)
        self.registers.write(Register.POWER_CTL, MEASURE)

    def drain(self) -> Drained:
        """Sample by sample until none is left; each carries FIFO_CTL and what remains behind it."""
        overrun = bool(self.registers.read(Register.INT_SOURCE) & OVERRUN)
        level = remaining = self.registers.read(Register.FIFO_STATUS) & ENTRIES
        n = self._fullest = 0
        while remaining and n < MOST:
            row = self._sample.run()
            self._rows[n] = row
            remaining = int(row[7]) & ENTRIES
            self._fullest = max(self._fullest, remaining)
            n += 1
        rows = self._rows[:n]
        self._check(rows, level)
        counts = rows[:, :6].copy().view("<i2").astype(np.int16, copy=False)
        return Drained(counts, level, overrun)

    def overran(self) -> bool:
        """A FIFO that was full leaves all but one of its samples behind the next one taken."""
        return self._fullest >= DEPTH - 1

    def standby(self) -> None:
        """Stop measuring."""
        self.registers.command(Register.POWER_CTL, STANDBY)

    def _check(self, rows: U8, level: int) -> None:
        """Thirteen bits carry their sign in four more, FIFO_CTL reads as written, 32 samples at most."""
        sign = rows[:, 1:6:2] & 0xF0
        signs = ((sign == 0) | (sign == 0xF0)).all(axis=1)
        whole = signs & (rows[:, 6] == STREAM) & (rows[:, 7] & ENTRIES <= DEPTH)
        if level <= DEPTH and whole.all():
            return
        found = rows[int(whole.argmin())].tobytes().hex(" ") if level <= DEPTH else f"{level} entries"
        raise PortError(
            f"sample {found}: expected sign bits, FIFO_CTL {STREAM:#04x}, at most {DEPTH} entries; "
            "brown-out or a disturbed bus: check supply and wiring"
        )
