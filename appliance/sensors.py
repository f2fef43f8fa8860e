"""The sensors of a configuration: one table a driver, simulated, recorded or on a real bus."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

Token = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$",
        description="a to z, 0 to 9 and '-', 1 to 32 characters",
    ),
]
Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Whole = Annotated[int, Meta(ge=0)]
STANDARD_GRAVITY_MPS2 = 9.80665
"""Here once more beside hw.ports: configuration and uplink import nothing of hw."""
BlockSeconds = Annotated[float, Meta(ge=0.005, le=1.0)]
ClockPpm = Annotated[float, Meta(ge=-200_000, le=200_000)]
PeriodSeconds = Annotated[float, Meta(ge=0.1, le=600)]
I2cAddress = Annotated[int, Meta(ge=0x03, le=0x77)]
I2cBus = Annotated[
    str,
    Meta(
        pattern=r"^(/dev/i2c-[0-9]+|sim:i2c)$",
        description="/dev/i2c-N, or sim:i2c for a chip on the simulated machine",
    ),
]
SpiBus = Annotated[
    str,
    Meta(
        pattern=r"^(/dev/spidev[0-9]+[.][0-9]+|sim:spi)$",
        description="/dev/spidevB.C, or sim:spi for a chip on the simulated machine",
    ),
]
AnyBus = Annotated[
    str,
    Meta(
        pattern=r"^(/dev/i2c-[0-9]+|/dev/spidev[0-9]+[.][0-9]+|sim:i2c|sim:spi)$",
        description="/dev/i2c-N, /dev/spidevB.C, or sim:i2c or sim:spi for a chip on the simulated machine",
    ),
]


class Trouble(Struct, forbid_unknown_fields=True, frozen=True):
    """A simulated sensor trouble between start_s and end_s."""

    kind: Literal["dropout", "stuck", "clip", "fallen", "clock_drift", "lost"]
    """What happens to the sensor."""
    start_s: NotNegative = 0.0
    """Machine time of its begin, s."""
    end_s: Positive = 1e9
    """Machine time of its end, s."""
    amount: ClockPpm = 0.0
    """Clock drift, ppm; the other kinds do not use it."""


class BusTrouble(Struct, forbid_unknown_fields=True, frozen=True):
    """A fault of a simulated bus between start_s and end_s."""

    kind: Literal["nack", "stuck_sda", "slow", "corrupt", "swapped", "brownout"]
    """No answer, a held line, slow transfers, wrong bytes, another chip, a chip that begins anew."""
    start_s: NotNegative = 0.0
    """Machine time of its begin, s."""
    end_s: Positive = 1e9
    """Machine time of its end, s."""
    amount: NotNegative = 0.0
    """slow: seconds more a transfer; corrupt: share of the bytes read."""


class SimVibration(Struct, forbid_unknown_fields=True, frozen=True, tag_field="driver", tag="sim"):
    """An accelerometer on the simulated machine."""

    name: Token
    """The sensor's name in channels and topics; unique in the file."""
    rate_hz: Annotated[float, Meta(ge=50, le=100_000)] = 6400.0
    """Nominal samples per second."""
    axes: Annotated[int, Meta(ge=1, le=3)] = 3
    """Axes measured; the last one carries gravity."""
    block_s: Annotated[float, Meta(ge=0.005, le=1.0)] = 0.1
    """Seconds of samples in one block; a limit acts once a block."""
    range_g: Positive = 16.0
    """Full scale, ± g."""
    clock_ppm: ClockPpm = 0.0
    """How wrong the sensor's own clock is, ppm."""
    troubles: tuple[Trouble, ...] = ()
    """Sensor troubles to play."""


class RecordedVibration(Struct, forbid_unknown_fields=True, frozen=True, tag_field="driver", tag="recording"):
    """A recording played as if it were a sensor: CSV, WAV or evidence .npz."""

    name: Token
    """The sensor's name in channels and topics; unique in the file."""
    path: Path
    """The recording; a relative path begins at this file's folder."""
    rate_hz: Annotated[float, Meta(ge=50, le=200_000)] | None = None
    """Samples per second, where the recording does not say."""
    units: Literal["g", "m/s2"] = "g"
    """Unit of the recording, where it does not say."""
    axes: Annotated[int, Meta(ge=1, le=3)] | None = None
    """Columns that are axes, where the recording does not say."""
    block_s: Annotated[float, Meta(ge=0.005, le=1.0)] = 0.1
    """Seconds of samples in one block; a limit acts once a block."""
    speed: Annotated[float, Meta(ge=0)] = 1.0
    """How many times faster than real time; 0 = as fast as it can."""


class ChipVibration(Struct, forbid_unknown_fields=True, frozen=True, tag_field="driver"):
    """A vibration chip on a bus."""

    name: Token
    """The sensor's name in channels and topics; unique in the file."""
    block_s: Annotated[float, Meta(ge=0.005, le=0.25)] = 0.1
    """Seconds of samples in one block; a limit acts once a block."""
    clock_ppm: ClockPpm = 0.0
    """How wrong the chip's own clock is, ppm; on the simulated bus only."""
    troubles: tuple[BusTrouble, ...] = ()
    """Faults to play; on the simulated bus only."""
    axes: ClassVar[int] = 3


class Lsm6dsoVibration(ChipVibration, forbid_unknown_fields=True, frozen=True, tag="lsm6dso"):
    """LSM6DSO, LSM6DSOX or ISM330DHCX: the first choice, complete for ISO 10–1000 Hz at 3332 Hz over I2C."""

    bus: AnyBus = "/dev/i2c-1"
    """Where it is wired; 6664 Hz needs SPI."""
    address: Annotated[Literal[0x6A, 0x6B], Meta(description="0x6A or 0x6B")] = 0x6A
    """On I2C: 0x6A or 0x6B."""
    rate_hz: Literal[833, 1666, 3332, 6664] = 3332
    """Nominal samples per second."""
    range_g: Literal[2, 4, 8, 16] = 16
    """Full scale, ± g."""


class Iis3dwbVibration(ChipVibration, forbid_unknown_fields=True, frozen=True, tag="iis3dwb"):
    """IIS3DWB: 26667 Hz, 6 kHz of bandwidth, for bearings. SPI only."""

    bus: SpiBus = "/dev/spidev0.0"
    """Where it is wired."""
    range_g: Literal[2, 4, 8, 16] = 16
    """Full scale, ± g."""

    @property
    def rate_hz(self) -> float:
        """Nominal samples per second; the part has one rate."""
        return 26667.0


class Adxl345Vibration(ChipVibration, forbid_unknown_fields=True, frozen=True, tag="adxl345"):
    """ADXL345, ±16 g: 800 Hz on I2C, 1600 Hz as well as the bus can, 3200 Hz over SPI."""

    bus: AnyBus = "/dev/i2c-1"
    """Where it is wired."""
    address: Annotated[Literal[0x53, 0x1D], Meta(description="0x53 or 0x1D")] = 0x53
    """On I2C: 0x53 or 0x1D."""
    rate_hz: Literal[100, 200, 400, 800, 1600, 3200] = 800
    """Nominal samples per second."""

    @property
    def range_g(self) -> float:
        """Full scale, ± g."""
        return 16.0


class Lis3dhVibration(ChipVibration, forbid_unknown_fields=True, frozen=True, tag="lis3dh"):
    """LIS3DH in high-resolution mode: about 150 Hz of bandwidth at 1344 Hz, too little for ISO 10–1000 Hz."""

    bus: AnyBus = "/dev/i2c-1"
    """Where it is wired."""
    address: Annotated[Literal[0x18, 0x19], Meta(description="0x18 or 0x19")] = 0x18
    """On I2C: 0x18 or 0x19."""
    rate_hz: Literal[100, 200, 400, 1344] = 1344
    """Nominal samples per second."""
    range_g: Literal[2, 4, 8, 16] = 16
    """Full scale, ± g."""


class Adxl355Vibration(ChipVibration, forbid_unknown_fields=True, frozen=True, tag="adxl355"):
    """ADXL355: the least noise, for slow machines. I2C only."""

    bus: I2cBus = "/dev/i2c-1"
    """Where it is wired."""
    address: Annotated[Literal[0x1D, 0x53], Meta(description="0x1D or 0x53")] = 0x1D
    """0x1D or 0x53."""
    rate_hz: Literal[125, 250, 500, 1000, 2000, 4000] = 2000
    """Nominal samples per second; bandwidth is a quarter of it."""
    range_g: Literal[2, 4, 8] = 8
    """Full scale, ± g."""


class DigitizerVibration(
    Struct, forbid_unknown_fields=True, frozen=True, tag_field="driver", tag="digitizer"
):
    """A microcontroller that streams samples over USB; its frames are in docs/DIGITIZER.md."""

    name: Token
    """The sensor's name in channels and topics; unique in the file."""
    port: Path
    """Its tty, best by its stable name in /dev/serial/by-id."""
    rate_hz: Annotated[float, Meta(ge=50, le=100_000)]
    """Nominal samples per second; its frames must say the same."""
    scale_mps2: Positive
    """Acceleration of one count, m/s²; its frames must say the same."""
    full_scale_counts: Annotated[int, Meta(ge=1, le=32767)] = 32767
    """Largest count; its frames must say the same."""
    axes: Annotated[int, Meta(ge=1, le=3)] = 3
    """Axes in a frame."""
    dc_coupled: bool = True
    """Whether gravity is in the signal."""
    block_s: BlockSeconds = 0.1
    """Seconds of samples in one block; a limit acts once a block."""

    @property
    def range_g(self) -> float:
        """Full scale, ± g."""
        return self.scale_mps2 * self.full_scale_counts / STANDARD_GRAVITY_MPS2


BusVibration = Lsm6dsoVibration | Iis3dwbVibration | Adxl345Vibration | Lis3dhVibration | Adxl355Vibration
VibrationSensor = SimVibration | RecordedVibration | BusVibration | DigitizerVibration


class SimTemperature(Struct, forbid_unknown_fields=True, frozen=True, tag_field="driver", tag="sim"):
    """A thermometer on the simulated machine."""

    name: Token
    """The sensor's name in channels and topics; unique in the file."""
    period_s: Annotated[float, Meta(ge=0.1, le=600)] = 1.0
    """Seconds between readings."""
    troubles: tuple[Trouble, ...] = ()
    """Sensor troubles to play (stuck, lost)."""


class ChipTemperature(Struct, forbid_unknown_fields=True, frozen=True, tag_field="driver"):
    """A thermometer on a bus."""

    name: Token
    """The sensor's name in channels and topics; unique in the file."""
    bus: I2cBus = "/dev/i2c-1"
    """Where it is wired."""
    period_s: PeriodSeconds = 1.0
    """Seconds between readings."""
    troubles: tuple[BusTrouble, ...] = ()
    """Faults to play; on the simulated bus only."""


class Tmp117Temperature(ChipTemperature, forbid_unknown_fields=True, frozen=True, tag="tmp117"):
    """TMP117 or TMP119: ±0.1 °C."""

    address: Annotated[int, Meta(ge=0x48, le=0x4B, description="0x48 to 0x4B")] = 0x48
    """0x48 to 0x4B."""


class Mcp9808Temperature(ChipTemperature, forbid_unknown_fields=True, frozen=True, tag="mcp9808"):
    """MCP9808. Mind that a LIS3DH may sit at the same address."""

    address: Annotated[int, Meta(ge=0x18, le=0x1F, description="0x18 to 0x1F")] = 0x19
    """0x18 to 0x1F."""


class Mlx90614Temperature(ChipTemperature, forbid_unknown_fields=True, frozen=True, tag="mlx90614"):
    """MLX90614, without contact. At most 100 kHz: give it a bus of its own."""

    address: I2cAddress = 0x5A
    """As programmed."""
    check_pec: bool = True
    """Whether its check byte must be right."""


class Lm75Temperature(ChipTemperature, forbid_unknown_fields=True, frozen=True, tag="lm75"):
    """LM75, TMP75 or TMP102: it cannot be identified, only found plausible."""

    address: Annotated[int, Meta(ge=0x48, le=0x4F, description="0x48 to 0x4F")] = 0x48
    """0x48 to 0x4F."""
    bits: Literal[9, 11, 12] = 9
    """Of the temperature: 9 (LM75), 11 (LM75A, LM75B), 12 (TMP102, TMP75)."""


class W1Temperature(Struct, forbid_unknown_fields=True, frozen=True, tag_field="driver", tag="w1"):
    """DS18B20 on the kernel's 1-Wire bus."""

    name: Token
    """The sensor's name in channels and topics; unique in the file."""
    serial: Annotated[str, Meta(pattern=r"^28-[0-9a-f]{12}$", description="28- and 12 hexadecimal digits")]
    """Its serial number, as in /sys/bus/w1/devices."""
    period_s: PeriodSeconds = 5.0
    """Seconds between readings; a conversion takes 0.75 s."""


class SysfsTemperature(Struct, forbid_unknown_fields=True, frozen=True, tag_field="driver", tag="sysfs"):
    """Any temperature that the kernel measures (hwmon, IIO)."""

    name: Token
    """The sensor's name in channels and topics; unique in the file."""
    file: Annotated[
        str, Meta(pattern=r"^/.+$", description="a path from the root; * stands for what changes at boot")
    ]
    """The kernel's file, e.g. /sys/bus/i2c/devices/1-0048/hwmon/hwmon*/temp1_input."""
    period_s: PeriodSeconds = 1.0
    """Seconds between readings."""


BusTemperature = Tmp117Temperature | Mcp9808Temperature | Mlx90614Temperature | Lm75Temperature
TemperatureSensor = SimTemperature | BusTemperature | W1Temperature | SysfsTemperature


def is_simulated(bus: str) -> bool:
    """Whether this bus is on the simulated machine."""
    return bus.startswith("sim:")


def is_spi(bus: str) -> bool:
    """Whether this bus is SPI, real or simulated; else it is I2C."""
    return "spi" in bus


def driver(sensor: Struct) -> str:
    """The driver that a table names."""
    return str(type(sensor).__struct_config__.tag)
