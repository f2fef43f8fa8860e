"""ST LIS3DH: 12 bits, FIFO of 32, over I2C or SPI: the inexpensive one.

Registers: datasheet DocID17530. At ±16 g a count is 12 mg, not 8 (its table 4 "Mechanical characteristics"),
noise density 220 µg/√Hz at ±2 g; in 12-bit mode the bandwidth is rate / 9: 149 Hz at 1344 Hz, table 10
"Operating mode selection" [K: not re-read on the page]. Good for imbalance and looseness, not for bearings.
"""

from enum import IntEnum

import numpy as np

from hw.accelerometer import Accelerometer, Drained, Figures
from hw.bus import Clock
from hw.ports import PortError
from hw.registers import Access, Burst, Registers

IDS = {0x33: "LIS3DH"}
DEPTH = 32
SERVICE = 12
SAMPLE = 6
NOISE_G_RTHZ = 220e-6
RATE_CODES = {100.0: 0x5, 200.0: 0x6, 400.0: 0x7, 1344.0: 0x9}
RANGES = {2: (0x0, 1e-3), 4: (0x1, 2e-3), 8: (0x2, 4e-3), 16: (0x3, 12e-3)}
"""g: code, g a count."""
XYZ = 0x07
BDU_HR = 0x88
FIFO_EN = 0x40
BYPASS, STREAM = 0x00, 0x80 | SERVICE
OVERRUN, EMPTY, STORED = 0x40, 0x20, 0x1F


class Register(IntEnum):
    """The registers used."""

    WHO_AM_I = 0x0F
    CTRL_REG1 = 0x20
    CTRL_REG4 = 0x23
    CTRL_REG5 = 0x24
    OUT_X_L = 0x28
    FIFO_CTRL_REG = 0x2E
    FIFO_SRC_REG = 0x2F


class Lis3dh(Accelerometer):
    """hw.ports.Vibration on a LIS3DH. full scale 2, 4, 8 or 16 g."""

    def __init__(
        self,
        access: Access,
        clock: Clock,
        rate_hz: float = 1344.0,
        range_g: int = 16,
        block_s: float = 0.1,
    ) -> None:
        """rate_hz: 100, 200, 400 or 1344; bandwidth is a ninth of it."""
        if rate_hz not in RATE_CODES or range_g not in RANGES:
            raise ValueError(
                f"LIS3DH at {rate_hz} Hz, {range_g} g: expected {sorted(RATE_CODES)} Hz and "
                f"{sorted(RANGES)} g; choose one of each"
            )
        self._range, lsb_g = RANGES[range_g]
        self._rate = RATE_CODES[rate_hz]
        figures = Figures(rate_hz, lsb_g, 2047, NOISE_G_RTHZ, rate_hz / 9.0, DEPTH, SERVICE)
        registers = Registers(access, Burst(i2c=0x80, spi=0x40))
        super().__init__(f"LIS3DH {access.place}", registers, clock, figures, block_s)
        self._status = registers.prepare(Register.FIFO_CTRL_REG, 2)
        self._samples = registers.prepare(Register.OUT_X_L, SAMPLE * DEPTH)

    def identify(self) -> None:
        """Compare WHO_AM_I."""
        self.registers.expect(Register.WHO_AM_I, IDS)

    def configure(self) -> None:
        """Power down, range, an empty FIFO, then the rate."""
        self.registers.write(Register.CTRL_REG1, XYZ)
        self.registers.write(Register.CTRL_REG4, BDU_HR | self._range << 4)
        self.registers.write(Register.CTRL_REG5, FIFO_EN)
        self.registers.write(Register.FIFO_CTRL_REG, BYPASS)
        self.registers.write(Register.FIFO_CTRL_REG, STREAM)
        self.registers.write(Register.CTRL_REG1, self._rate << 4 | XYZ)

    def drain(self) -> Drained:
        """FIFO_CTRL_REG must read as written; then all samples in one burst, whose low nibbles are 0."""
        control, source = (int(byte) for byte in self._status.run())
        if control != STREAM:
            raise PortError(
                f"register FIFO_CTRL_REG reads {control:#04x}, expected {STREAM:#04x}; "
                "brown-out or a disturbed bus: check supply and wiring"
            )
        level = DEPTH if source & OVERRUN else 0 if source & EMPTY else source & STORED
        if level == 0:
            return Drained(np.empty((0, 3), np.int16), 0, overrun=False)
        raw = np.frombuffer(self._samples.run(SAMPLE * level).tobytes(), "<i2").reshape(level, 3)
        if (raw & 0x0F).any():
            raise PortError("sample of more than 12 bits, expected 12; a disturbed bus: check the wiring")
        return Drained((raw >> 4).astype(np.int16), level, bool(source & OVERRUN))

    def standby(self) -> None:
        """Power down."""
        self.registers.command(Register.CTRL_REG1, XYZ)
