"""Analog Devices ADXL355: 20 bits, low noise, FIFO of 32 samples, over I2C: for slow machines.

Registers: datasheet rev. D and the Linux driver adxl355_core.c; sensitivity 256000 counts a g at ±2 g, noise
density 22.5 µg/√Hz from its table 1 [K: not re-read on the page]. Bandwidth is rate / 4; its digital filter
aliases above. A 20-bit count is rounded to 16 bits: at ±8 g a count of ours is 250 µg, whose rounding adds
72 µg rms to 0.5 mg rms of noise at 2000 Hz (1 %), to 126 µg at 125 Hz (15 %: choose ±2 g there, 62.5 µg).
"""

from enum import IntEnum

import numpy as np

from hw.accelerometer import I16, Accelerometer, Drained, Figures
from hw.bus import U8, Clock
from hw.ports import PortError
from hw.registers import Access, Registers

DEPTH = 32
SERVICE = 12
SAMPLE = 9
NOISE_G_RTHZ = 22.5e-6
RATE_CODES = {4000.0: 0x0, 2000.0: 0x1, 1000.0: 0x2, 500.0: 0x3, 250.0: 0x4, 125.0: 0x5}
RANGES = {2: (0x1, 1 / 16000), 4: (0x2, 1 / 8000), 8: (0x3, 1 / 4000)}
"""g: code, g a count of 16 bits."""
RANGE_RESERVED = 0x80
"""High-speed I2C, as after reset."""
RESET_CODE = 0x52
RESET_S = 0.01
MEASURE, STANDBY = 0x00, 0x01
FIFO_OVERRUN = 0x04
X_MARK, EMPTY_MARK = 0x01, 0x02
MARKS = np.array([X_MARK, 0, 0], np.uint8)
FULL_SCALE = 32767


class Register(IntEnum):
    """The registers used."""

    DEVID_AD = 0x00
    DEVID_MST = 0x01
    PARTID = 0x02
    STATUS = 0x04
    FIFO_DATA = 0x11
    FILTER = 0x28
    FIFO_SAMPLES = 0x29
    RANGE = 0x2C
    POWER_CTL = 0x2D
    RESET = 0x2F
    SHADOW = 0x50


class Adxl355(Accelerometer):
    """hw.ports.Vibration on an ADXL355. full scale 2, 4 or 8 g."""

    def __init__(
        self,
        access: Access,
        clock: Clock,
        rate_hz: float = 2000.0,
        range_g: int = 8,
        block_s: float = 0.1,
    ) -> None:
        """rate_hz: 125 to 4000, doubling; bandwidth is a quarter of it."""
        if rate_hz not in RATE_CODES or range_g not in RANGES:
            raise ValueError(
                f"ADXL355 at {rate_hz} Hz, {range_g} g: expected {sorted(RATE_CODES)} Hz and "
                f"{sorted(RANGES)} g; choose one of each"
            )
        code, lsb_g = RANGES[range_g]
        self._setup = {
            Register.FILTER: RATE_CODES[rate_hz],
            Register.FIFO_SAMPLES: 3 * SERVICE,
            Register.RANGE: RANGE_RESERVED | code,
            Register.POWER_CTL: MEASURE,
        }
        figures = Figures(rate_hz, lsb_g, FULL_SCALE, NOISE_G_RTHZ, rate_hz / 4.0, DEPTH, SERVICE)
        registers = Registers(access)
        super().__init__(f"ADXL355 {access.place}", registers, clock, figures, block_s)
        self._status = registers.prepare(Register.STATUS, 2)
        self._shadow = registers.prepare(Register.SHADOW, 5)
        self._samples = registers.prepare(Register.FIFO_DATA, SAMPLE * DEPTH)

    def identify(self) -> None:
        """Compare the three identifications."""
        self.registers.expect(Register.DEVID_AD, {0xAD: "Analog Devices"})
        self.registers.expect(Register.DEVID_MST, {0x1D: "MEMS"})
        self.registers.expect(Register.PARTID, {0xED: "ADXL355"})

    def configure(self) -> None:
        """Reset until the factory's calibration is loaded (the shadow registers say so), then configure."""
        before = self._shadow.run().tobytes()
        self.registers.command(Register.RESET, RESET_CODE)
        self.clock.sleep(RESET_S)
        after = self._shadow.run().tobytes()
        if after != before:
            raise PortError(
                f"shadow registers read {after.hex(' ')} after reset, expected {before.hex(' ')}: "
                "calibration not loaded; power-cycle the chip"
            )
        for register, value in self._setup.items():
            self.registers.write(register, value)

    def drain(self) -> Drained:
        """Status and level, then whole samples in one burst; only X words carry the X mark."""
        status, entries = (int(byte) for byte in self._status.run())
        level = entries // 3
        if level > DEPTH:
            raise PortError(f"{entries} FIFO entries, expected at most {3 * DEPTH}; check the wiring")
        overrun = bool(status & FIFO_OVERRUN)
        if level == 0:
            return Drained(np.empty((0, 3), np.int16), 0, overrun)
        words, torn = self._aligned(self._samples.run(SAMPLE * level).reshape(-1, 3))
        return Drained(_rounded(words), level, overrun or torn)

    def standby(self) -> None:
        """Stop measuring."""
        self.registers.command(Register.POWER_CTL, STANDBY)

    def _aligned(self, words: U8) -> tuple[U8, bool]:
        """From the first X word on, and whether a sample cut in two, which is lost, came before it."""
        marks = words[:, 2] & (X_MARK | EMPTY_MARK)
        first = int(np.argmax(marks == X_MARK))
        if first > 2 or not np.array_equal(marks[first:], np.resize(MARKS, len(marks) - first)):
            raise PortError("FIFO words without their X marks, expected one in three; check the wiring")
        if first == 0:
            return words, False
        kept = words[first:].copy()
        rest = self._samples.run(3 * first).reshape(-1, 3)  # of the last sample, still in the FIFO
        return np.concatenate((kept, rest)), True


def _rounded(words: U8) -> I16:
    """16-bit counts, shape (n, 3), of 20-bit words, left-justified big-endian in three bytes, saturated."""
    high, middle, low = words.astype(np.int32).T
    counts = (high - (high >= 0x80) * 0x100) << 12 | middle << 4 | low >> 4
    rounded: I16 = np.minimum((counts + 8) >> 4, FULL_SCALE).astype(np.int16)
    return rounded.reshape(-1, 3)
