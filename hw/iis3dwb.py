"""ST IIS3DWB: 26667 Hz, 6.3 kHz bandwidth, SPI only; the FIFO of the LSM6DSO family.

Registers: ST's own C driver (iis3dwb_reg.h, BSD licence). Sensitivity and noise of three axes from datasheet
DS12569 table 2 "Mechanical characteristics" [K: not re-read on the page]. 512 words last 19 ms.
"""

from hw.accelerometer import Figures
from hw.bus import Clock
from hw.lsm6dso import DEPTH, TaggedFifo
from hw.registers import Access

IDS = {0x7B: "IIS3DWB"}
RATE_HZ = 26667.0
BANDWIDTH_HZ = 6300.0
NOISE_G_RTHZ = 75e-6
XL_EN = 0xA0
BATCH = 0x0A
SERVICE = 213
RANGES = {2: (0x0, 61e-6), 4: (0x2, 122e-6), 8: (0x3, 244e-6), 16: (0x1, 488e-6)}
"""g: code, g a count."""


class Iis3dwb(TaggedFifo):
    """hw.ports.Vibration on an IIS3DWB. full scale 2, 4, 8 or 16 g."""

    def __init__(self, access: Access, clock: Clock, range_g: int = 16, block_s: float = 0.1) -> None:
        """access: SPI; the chip has no I2C."""
        if range_g not in RANGES:
            raise ValueError(f"IIS3DWB at {range_g} g: expected one of {sorted(RANGES)} g; choose one")
        code, lsb_g = RANGES[range_g]
        figures = Figures(RATE_HZ, lsb_g, 32767, NOISE_G_RTHZ, BANDWIDTH_HZ, DEPTH, SERVICE)
        part = f"IIS3DWB {access.place}"
        super().__init__(part, access, clock, figures, block_s, IDS, XL_EN | code << 2, BATCH)
