"""Banner QM30VT2: vibration and temperature transmitter, RS-485, 19200 8N1, slave 1 from the factory.

The alias block 45201 to 45222 (PDU 5200), every quantity in one read; its imperial twins are left out. Band
10 Hz to 4 kHz, the high-frequency RMS 1 to 4 kHz. Source: Golioth's driver and Banner's manual, which agree;
maps found elsewhere do not. A QM42VT1 has another map.
"""

from hw.register_map import Register, RegisterMap

BAUD, SLAVE = 19200, 1
_MILLI_G_MPS2 = 9.80665e-3

QM30VT2 = RegisterMap(
    "Banner QM30VT2",
    (
        Register("z-velocity-rms", 5201, "mm/s", 0.001),
        Register("temperature", 5203, "°C", 0.01, kind="int16", low=-40.0, high=105.0),
        Register("x-velocity-rms", 5205, "mm/s", 0.001),
        Register("z-peak", 5206, "m/s²", _MILLI_G_MPS2),
        Register("x-peak", 5207, "m/s²", _MILLI_G_MPS2),
        Register("z-peak-velocity-frequency", 5208, "Hz", 0.1),
        Register("x-peak-velocity-frequency", 5209, "Hz", 0.1),
        Register("z-rms", 5210, "m/s²", _MILLI_G_MPS2),
        Register("x-rms", 5211, "m/s²", _MILLI_G_MPS2),
        Register("z-kurtosis", 5212, "1", 0.001),
        Register("x-kurtosis", 5213, "1", 0.001),
        Register("z-crest", 5214, "1", 0.001),
        Register("x-crest", 5215, "1", 0.001),
        Register("z-velocity-peak", 5217, "mm/s", 0.001),
        Register("x-velocity-peak", 5219, "mm/s", 0.001),
        Register("z-high-frequency-rms", 5220, "m/s²", _MILLI_G_MPS2),
        Register("x-high-frequency-rms", 5221, "m/s²", _MILLI_G_MPS2),
    ),
    block=(5200, 22),
)
