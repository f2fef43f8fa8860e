"""Faults of the wiring: a place or a line used twice, a bus too slow, a time that is not real."""

from collections.abc import Iterator

from appliance.config import Config, Transmitter
from appliance.gpio_use import used_twice
from appliance.sensors import (
    Adxl345Vibration,
    BusVibration,
    ChipTemperature,
    ChipVibration,
    DigitizerVibration,
    Lsm6dsoVibration,
    Mlx90614Temperature,
    RecordedVibration,
    SimTemperature,
    SimVibration,
    TemperatureSensor,
    VibrationSensor,
    driver,
    is_simulated,
    is_spi,
)
from appliance.toml_lines import Keys
from appliance.toml_types import Fault

I2C_HZ: dict[type, int] = {Lsm6dsoVibration: 3332, Adxl345Vibration: 1600}
"""The highest rate that a 400 kHz I2C bus carries, of chips that know a higher one."""
THERMOMETER_TROUBLES = ("stuck", "lost")
LINE_SETTINGS = ("baud", "parity", "stop_bits", "echo", "timeout_s")
"""What transmitters on one line have in common."""
Sensor = VibrationSensor | TemperatureSensor
Place = tuple[str, int | None]


def miswired(config: Config) -> Iterator[Fault]:
    """Every fault of the wiring, real and simulated."""
    sensors: list[tuple[Keys, Sensor]] = [(("vibration", n), s) for n, s in enumerate(config.vibration)]
    sensors += [(("temperature", n), s) for n, s in enumerate(config.temperature)]
    for keys, sensor in sensors:
        yield from _times(config, sensor, keys)
        yield from _only_simulated(sensor, keys)
        yield from _too_fast(sensor, keys)
        yield from _thermometer_troubles(sensor, keys)
    yield from _places(sensors)
    yield from _slow_chips(sensors)
    yield from _lines(config)
    yield from used_twice(config)


def is_real(sensor: Sensor) -> bool:
    """Whether it measures the world: neither simulated nor recorded."""
    if isinstance(sensor, ChipVibration | ChipTemperature):
        return not is_simulated(sensor.bus)
    return not isinstance(sensor, SimVibration | SimTemperature | RecordedVibration)


def _times(config: Config, sensor: Sensor, keys: Keys) -> Iterator[Fault]:
    if is_real(sensor):
        yield from _real_time(config, f"{sensor.name!r} on {_where(sensor)}", (*keys, "driver"))


def _real_time(config: Config, what: str, key: Keys) -> Iterator[Fault]:
    speed = config.simulation.speed
    if speed != 1.0:
        found = f"{speed:g} beside {what}, which lives in real time"
        yield Fault(("simulation", "speed"), f"{found}; expected 1; set it, or simulate every sensor", (key,))


def _only_simulated(sensor: Sensor, keys: Keys) -> Iterator[Fault]:
    if not isinstance(sensor, ChipVibration | ChipTemperature) or not is_real(sensor):
        return
    remedy = "expected it on a simulated bus only; remove it"
    bus = ((*keys, "bus"),)
    if isinstance(sensor, ChipVibration) and sensor.clock_ppm:
        found = f"{sensor.clock_ppm:g} for a chip on {_where(sensor)}, which has a clock of its own"
        yield Fault((*keys, "clock_ppm"), f"{found}; {remedy}", bus)
    if sensor.troubles:
        found = f"{len(sensor.troubles)} to play on {_where(sensor)}, which has its own"
        yield Fault((*keys, "troubles"), f"{found}; {remedy}", bus)


def _too_fast(sensor: Sensor, keys: Keys) -> Iterator[Fault]:
    most_hz = I2C_HZ.get(type(sensor))
    if most_hz is None or not isinstance(sensor, BusVibration) or is_spi(sensor.bus):
        return
    if sensor.rate_hz > most_hz:
        found = f"{sensor.rate_hz} on {_where(sensor)}, an I2C bus, which carries {most_hz} Hz of it at most"
        spi = "sim:spi" if is_simulated(sensor.bus) else "/dev/spidevB.C"
        remedy = f"expected {most_hz} or less, or an SPI bus; lower it, or wire it to {spi}"
        yield Fault((*keys, "rate_hz"), f"{found}; {remedy}", ((*keys, "bus"),))


def _thermometer_troubles(sensor: Sensor, keys: Keys) -> Iterator[Fault]:
    if not isinstance(sensor, SimTemperature):
        return
    for n, trouble in enumerate(sensor.troubles):
        if trouble.kind not in THERMOMETER_TROUBLES:
            found = f"{trouble.kind!r} is no trouble of a thermometer"
            expected = f"one of {', '.join(THERMOMETER_TROUBLES)}"
            yield Fault((*keys, "troubles", n, "kind"), f"{found}; expected {expected}; correct it")


def _places(sensors: list[tuple[Keys, Sensor]]) -> Iterator[Fault]:
    """Two sensors at one place; on the simulated machine each has a bus of its own."""
    owners: dict[Place, Keys] = {}
    for keys, sensor in sensors:
        if not is_real(sensor):
            continue
        place, key = _place(sensor)
        first = owners.setdefault(place, keys)
        if first != keys:
            found = f"{_shown(place)} is already the place of {first[0]}[{first[1]}]"
            about = ((*keys, "bus"), (*keys, "driver"), (*first, key), (*first, "bus"))
            yield Fault((*keys, key), f"{found}; expected one device there; correct one of them", about)


def _slow_chips(sensors: list[tuple[Keys, Sensor]]) -> Iterator[Fault]:
    """An MLX90614 takes 100 kHz, at which no FIFO is emptied in time."""
    fast = {s.bus: (keys, s) for keys, s in sensors if isinstance(s, ChipVibration) and is_real(s)}
    for keys, sensor in sensors:
        if isinstance(sensor, Mlx90614Temperature) and sensor.bus in fast:
            other_keys, other = fast[sensor.bus]
            found = f"{sensor.bus!r} at 100 kHz at most is shared with {other.name!r}, which needs 400 kHz"
            remedy = "expected a bus of its own; move one of them"
            yield Fault((*keys, "bus"), f"{found}; {remedy}", ((*keys, "driver"), (*other_keys, "bus")))


def _lines(config: Config) -> Iterator[Fault]:
    """Transmitters on one line with different settings or one address, or beside a digitizer."""
    taken = {str(s.port): n for n, s in enumerate(config.vibration) if isinstance(s, DigitizerVibration)}
    first_on: dict[str, tuple[int, Transmitter]] = {}
    owners: dict[tuple[str, int], int] = {}
    for n, one in enumerate(config.transmitter):
        if one.simulated:
            continue
        keys: Keys = ("transmitter", n)
        port = (*keys, "port")
        if one.port in taken:
            found = f"{one.port} is already the place of vibration[{taken[one.port]}]"
            remedy = "expected a line of their own for transmitters; correct one of them"
            yield Fault(port, f"{found}; {remedy}", (("vibration", taken[one.port], "port"),))
        yield from _real_time(config, f"{one.name!r} on {one.port}", port)
        m, first = first_on.setdefault(one.port, (n, one))
        for name in LINE_SETTINGS:
            mine, other = getattr(one, name), getattr(first, name)
            if mine != other:
                found = f"{mine} differs from the {other} of transmitter[{m}] on the same line, {one.port}"
                about = (port, ("transmitter", m, name), ("transmitter", m, "port"))
                yield Fault(
                    (*keys, name), f"{found}; expected one setting for all; correct one of them", about
                )
        k = owners.setdefault((one.port, one.slave), n)
        if k != n:
            found = f"slave {one.slave} on {one.port} is already transmitter[{k}]"
            remedy = "expected one transmitter an address; correct one of them"
            about = (port, ("transmitter", k, "slave"), ("transmitter", k, "port"))
            yield Fault((*keys, "slave"), f"{found}; {remedy}", about)


def _place(sensor: Sensor) -> tuple[Place, str]:
    """Where a real sensor is, and the key that says so."""
    if isinstance(sensor, DigitizerVibration):
        return (str(sensor.port), None), "port"
    if isinstance(sensor, ChipVibration | ChipTemperature):
        if is_spi(sensor.bus):
            return (sensor.bus, None), "bus"
        return (sensor.bus, getattr(sensor, "address", None)), "address"
    key = "serial" if hasattr(sensor, "serial") else "file"
    return (getattr(sensor, key), None), key


def _shown(place: Place) -> str:
    where, address = place
    return where if address is None else f"{address:#04x} on {where}"


def _where(sensor: Sensor) -> str:
    return str(getattr(sensor, "bus", driver(sensor)))
