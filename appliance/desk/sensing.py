"""The self-test of sensors: each is opened, read for 2 s of its own time and judged as the guard does."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from appliance.config import Config, Transmitter
from appliance.desk.finding import Finding, fail, ok
from appliance.errors import ApplianceError
from appliance.guard.devices import running_world
from appliance.guard.modbus_lines import ModbusLines
from appliance.guard.sensor import VibrationWatch
from appliance.guard.sensors import World, open_temperature, open_vibration
from appliance.records import GuardState, Validity
from appliance.sensors import TemperatureSensor, VibrationSensor, driver
from appliance.unit import with_unit
from hw.ports import STANDARD_GRAVITY_MPS2, EndOfSource, PortError, Vibration
from hw.waveform import RecordingError

READ_S = 2.0
PATIENCE_S = 10.0
"""Real time in which a sensor must have given its READ_S."""
_GRAVITY_G = (0.8, 1.2)
_TURNED_DEG = 10.0
_END_SHARE = 0.2
_DEGC = (-55.0, 200.0)
_TRIES, _PAUSE_S = 3, 0.3
Answer = TypeVar("Answer")
_REMEDY = {
    Validity.GAP: "samples missing; expected none; look for a slow bus or a busy processor",
    Validity.STUCK: "an axis does not move; expected at least noise; check the part and its wiring",
    Validity.CLIP: "full scale reached; expected less; set a larger range_g or check the mounting",
    Validity.GRAVITY: "gravity gone or turned; expected 1 g at rest; check the mounting",
    Validity.CLOCK: "sample rate off by more than 5 %; expected the nominal one; check the part and rate_hz",
}


@dataclass(slots=True)
class Take:
    """What was read. counts: one array (n, axes) a block."""

    watch: VibrationWatch
    counts: list[NDArray[np.int16]] = field(default_factory=list)
    validity: Validity = Validity.OK


def tried(config: Config) -> list[Finding]:
    """Every sensor of the configuration, one after the other; nothing else may use them meanwhile."""
    world = running_world(config.simulation)
    findings = [_vibration(spec, world) for spec in config.vibration]
    findings += [_temperature(spec, world) for spec in config.temperature]
    lines = ModbusLines(world, config.run_dir)
    try:
        return findings + [_transmitter(spec, lines) for spec in config.transmitter]
    finally:
        lines.close()


def told(config: Config, state: GuardState) -> list[Finding]:
    """Every sensor as the running guard sees it."""
    found = {
        name: f"{clock.rate_hz:.2f} Hz ({clock.ppm:+.0f} ppm), {clock.lost} lost"
        for clock in state.clocks
        for name in [clock.sensor]
    }
    found |= {one.sensor: f"{one.degc:.2f} °C" for one in state.temperatures if one.degc is not None}
    for one in state.quantities:
        if one.value is not None:
            words = with_unit(f"{one.quantity} {one.value:.3g}", one.unit)
            found[one.sensor] = f"{found[one.sensor]}, {words}" if one.sensor in found else words
    sensors = [("vibration", s.name) for s in config.vibration]
    sensors += [("temperature", s.name) for s in config.temperature]
    sensors += [("transmitter", s.name) for s in config.transmitter]
    findings = []
    for kind, name in sensors:
        bad = [c for c in state.channels if c.channel.startswith(f"{name}.") and not c.ok]
        words = found.get(name, "")
        if bad or not words:
            reason = ", ".join(f"{c.channel} NOT OK: {c.reason}" for c in bad) or "nothing heard of it"
            reason += "; expected a healthy sensor; stop the guard and run selftest again for more"
            findings.append(fail(f"{kind} {name}", reason))
        else:
            findings.append(ok(f"{kind} {name}", f"the guard says {words}"))
    return findings


def _vibration(spec: VibrationSensor, world: World) -> Finding:
    what = f"vibration {spec.name}"
    try:
        sensor = open_vibration(spec, world)
        try:
            take = _read(spec.name, sensor)
        finally:
            sensor.stop()
    except (ApplianceError, PortError, RecordingError) as fault:
        return fail(what, fault)
    if not take.counts:
        return fail(
            what, f"no samples in {PATIENCE_S:.0f} s; expected {sensor.rate_hz:g} Hz; check the wiring"
        )
    faults, gravity = _gravity(sensor, take)
    faults = [words for bit, words in _REMEDY.items() if bit in take.validity] + faults
    clock = take.watch.clock
    rms = np.concatenate(take.counts).std(axis=0) * sensor.scale_mps2
    words = ", ".join(
        (
            str(getattr(sensor, "part", driver(spec))),
            f"{clock.rate_hz:.2f} Hz ({clock.ppm:+.0f} ppm of {clock.nominal_hz:.2f})",
            f"RMS {' '.join(f'{axis:.3g}' for axis in rms)} m/s² (noise {sensor.noise_mps2:.2g})",
            *([gravity] if gravity else []),
            f"{clock.lost} lost",
        )
    )
    return fail(what, f"{' / '.join(faults)} ({words})") if faults else ok(what, words)


def _read(name: str, sensor: Vibration) -> Take:
    """READ_S of samples, or all that came. Raises PortError."""
    take = Take(VibrationWatch(name, sensor))
    deadline_s = time.monotonic() + PATIENCE_S
    sensor.start()
    taken_s = 0.0
    while time.monotonic() < deadline_s and not (taken_s >= READ_S and take.watch.clock.trusted):
        try:
            samples = sensor.read()
        except EndOfSource:
            break
        if len(samples.counts):
            block = take.watch.judge(samples)[0]
            take.counts.append(samples.counts.copy())
            take.validity |= block.validity
            taken_s += block.n / sensor.rate_hz
    return take


def _gravity(sensor: Vibration, take: Take) -> tuple[list[str], str]:
    """Faults of the gravity vector, and the vector in words; nothing where it is not seen whole."""
    if not sensor.dc_coupled or sensor.axes != 3:
        return [], ""
    counts = np.concatenate(take.counts)
    part = max(1, round(_END_SHARE * len(counts)))
    first, last = (end.mean(axis=0) * sensor.scale_mps2 for end in (counts[:part], counts[-part:]))
    vector_g = counts.mean(axis=0) * sensor.scale_mps2 / STANDARD_GRAVITY_MPS2
    size_g = float(np.linalg.norm(last)) / STANDARD_GRAVITY_MPS2
    faults = []
    if not _GRAVITY_G[0] <= size_g <= _GRAVITY_G[1]:
        low, high = _GRAVITY_G
        faults.append(f"gravity {size_g:.2f} g; expected {low:g} to {high:g}; check range, part and mounting")
    scale = max(float(np.linalg.norm(first) * np.linalg.norm(last)), 1e-9)
    turned_deg = float(np.degrees(np.arccos(np.clip(first @ last / scale, -1.0, 1.0))))
    if turned_deg > _TURNED_DEG:
        faults.append(f"it turned by {turned_deg:.0f}° while read; expected none; fasten the sensor")
    axis = int(np.abs(vector_g).argmax())
    return faults, f"gravity {size_g:.2f} g mostly on {'-' if vector_g[axis] < 0 else '+'}{'xyz'[axis]}"


def _temperature(spec: TemperatureSensor, world: World) -> Finding:
    what = f"temperature {spec.name}"
    try:
        thermometer = open_temperature(spec, world)
        reading = _first(thermometer.read)
    except (ApplianceError, PortError) as fault:
        return fail(what, fault)
    part = getattr(thermometer, "part", driver(spec))
    if reading is None:
        return fail(what, f"{part}: no reading in {PATIENCE_S:.0f} s; expected one; check the wiring")
    if not _DEGC[0] <= reading.degc <= _DEGC[1]:
        low, high = _DEGC
        return fail(what, f"{part}: {reading.degc:g} °C; expected {low:g} to {high:g}; check the part")
    return ok(what, f"{part}, {reading.degc:.2f} °C")


def _transmitter(spec: Transmitter, lines: ModbusLines) -> Finding:
    what = f"transmitter {spec.name}"
    where = f"{spec.map.name}, slave {spec.slave} on {spec.port}"
    try:
        answer = _first(lines.open(spec).read)
    except (ApplianceError, PortError) as fault:
        return fail(what, fault)
    if answer is None:
        return fail(what, f"{where}: no answer in {PATIENCE_S:.0f} s; expected one; check the wiring")
    shown = (with_unit(f"{name} {one.value:.3g}", one.unit) for name, one in answer.by_name.items())
    return ok(what, f"{where}: {', '.join(shown)}")


def _first(read: Callable[[], Answer | None]) -> Answer | None:
    """The first answer; a part fresh from power-on gets a few tries. Raises PortError: the last fault."""
    deadline_s = time.monotonic() + PATIENCE_S
    faults = 0
    while time.monotonic() < deadline_s:
        try:
            if (answer := read()) is not None:
                return answer
        except PortError:
            faults += 1
            if faults == _TRIES:
                raise
            time.sleep(_PAUSE_S)
    return None
