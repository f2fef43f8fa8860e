"""WitMotion WTVB01-485: vibration and temperature transmitter, RS-485, 9600 8N1, slave 0x50 from the factory.

One read of 0x34 to 0x46 fetches everything. Source: WitMotion's manual and two drivers. They do not agree on
velocity: newer firmware gives 0.01 mm/s a count, older firmware whole mm/s. Compare with a hand-held meter.
"""

from hw.register_map import Register, RegisterMap

BAUD, SLAVE = 9600, 0x50
UNLOCK_REGISTER, UNLOCK_CODE = 0x69, 0xB588
"""Written before a setting is."""
_COUNT_MPS2 = 16.0 * 9.80665 / 32768.0


def wtvb01(velocity_mms_per_count: float = 0.01) -> RegisterMap:
    """The map of a part whose velocity counts so many mm/s each."""
    return RegisterMap(
        "WitMotion WTVB01-485",
        (
            *(
                Register(f"{axis}-acceleration", 0x34 + i, "m/s²", _COUNT_MPS2, kind="int16")
                for i, axis in AXES
            ),
            *(Register(f"{axis}-velocity", 0x3A + i, "mm/s", velocity_mms_per_count) for i, axis in AXES),
            Register("temperature", 0x40, "°C", 0.01, kind="int16", low=-40.0, high=125.0),
            *(Register(f"{axis}-displacement", 0x41 + i, "µm") for i, axis in AXES),
            *(Register(f"{axis}-frequency", 0x44 + i, "Hz", 0.1) for i, axis in AXES),
        ),
    )


AXES = tuple(enumerate("xyz"))
WTVB01_485 = wtvb01()
