"""The self-test of what surrounds the sensors: clock, disk, models, accelerator, broker."""

import os
import select
import shutil
import tempfile
import time

import numpy as np

from appliance.accelerators import EdgeTpuAccelerator
from appliance.analysis import slots
from appliance.analysis.accelerated import Acceleration, golden
from appliance.analysis.bundle import Bundle
from appliance.analysis.stream import SensorStream
from appliance.clock import kernel_clock
from appliance.config import Analysis, Config
from appliance.desk.finding import Finding, fail, note, ok
from appliance.errors import ApplianceError, BundleError
from appliance.sensors import VibrationSensor
from appliance.uplink.credentials import Credentials, Shown
from appliance.uplink.mqtt import Connection
from appliance.uplink.packets import Will
from appliance.uplink.reasons import Lost
from appliance.uplink.topics import prefix

_WRITES, _WRITE_BYTES = 50, 4096
_SLOW_MS = 100.0
_LEAST_FREE_MB = 100.0


def clock() -> Finding:
    """Whether the wall clock may be believed."""
    if kernel_clock().synchronised:
        return ok("clock", "synchronised")
    return note("clock", "running free; expected NTP or an RTC; times of events are estimates until then")


def disk(config: Config) -> Finding:
    """Whether state_dir takes what must last, and how fast."""
    folder = config.state_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            took_ms = []
            for _ in range(_WRITES):
                began_ns = time.perf_counter_ns()
                file.write(bytes(_WRITE_BYTES))
                file.flush()
                os.fsync(file.fileno())
                took_ms.append((time.perf_counter_ns() - began_ns) / 1e6)
        free_mb = shutil.disk_usage(folder).free / 1e6
    except OSError as fault:
        return fail("disk", f"{folder}: {fault.strerror}; expected a folder to write in; set state_dir")
    p99_ms = float(np.percentile(took_ms, 99))
    words = f"{folder}: {free_mb:.0f} MB free, durable write p99 {p99_ms:.1f} ms"
    if free_mb < _LEAST_FREE_MB:
        return fail("disk", f"{words}; expected {_LEAST_FREE_MB:.0f} MB at least; free some")
    if p99_ms > _SLOW_MS:
        return note("disk", f"{words}; expected {_SLOW_MS:.0f} ms at most; the card is slow or worn")
    return ok("disk", words)


def models(config: Config, *, alone: bool) -> list[Finding]:
    """The bundle in force of every sensor, verified; and the accelerator, where nobody else may have it."""
    findings, bundles = [], {}
    for spec in config.vibration:
        try:
            bundle = slots.active(config.bundle_dir(spec.name))
            if bundle is not None:
                _require_fit(bundle, spec, config.analysis)
        except BundleError as fault:
            findings.append(fail(f"model {spec.name}", fault))
            continue
        if bundle is None:
            findings.append(note(f"model {spec.name}", "none yet; it is learnt from normal running"))
        else:
            bundles[spec.name] = bundle
            words = f"{bundle.id}, golden vectors right on {bundle.runner.name}"
            findings.append(ok(f"model {spec.name}", words))
    if isinstance(config.accelerator, EdgeTpuAccelerator):
        findings.append(_accelerator(config.accelerator, bundles, alone=alone))
    return findings


def _require_fit(bundle: Bundle, spec: VibrationSensor, settings: Analysis) -> None:
    """Refuse a bundle that the analysis would refuse for this sensor and learn anew. Raises BundleError."""
    learnt = bundle.manifest.sensor
    axes = spec.axes or learnt.axes  # a recording need not say
    if axes != learnt.axes:
        found = f"made for {learnt.axes} axes, found {axes}"
        raise BundleError(f"bundle {bundle.id}: {found}; learn a baseline for this sensor")
    SensorStream(spec.name, spec.rate_hz or learnt.rate_hz, axes, settings, bundle)


def _accelerator(settings: EdgeTpuAccelerator, bundles: dict[str, Bundle], *, alone: bool) -> Finding:
    if not alone or not bundles:
        reason = "no model yet" if alone else "the running appliance has it"
        return note("accelerator", f"not checked: {reason}")
    acceleration = Acceleration(settings)
    device = acceleration.device
    assert device is not None  # an Edge TPU is configured
    deadline_s = time.monotonic() + settings.start_s
    try:
        for sensor, bundle in bundles.items():
            ours = acceleration.accelerate(sensor, bundle)
            x = golden(bundle).inputs[0]
            before = device.counts.invocations
            while device.counts.invocations == before:  # else the CPU answered
                if device.counts.fault or time.monotonic() > deadline_s:
                    late = (
                        f"not ready in {settings.start_s:g} s; expected golden vectors; check its connection"
                    )
                    return fail("accelerator", device.counts.fault or late)
                ours.runner.invoke(x)
                time.sleep(0.05)
    finally:
        acceleration.close()
    return ok("accelerator", "golden vectors right")


def broker(config: Config) -> Finding:
    """Whether the broker takes us, under a name of its own: the uplink that may be running is not put out."""
    up = config.uplink
    if not up.enabled:
        return note("broker", "uplink.enabled is false: events stay on disk")
    where = f"{up.host}:{up.port}"
    try:
        version = _greeted(config, Credentials(up).read())
    except (ApplianceError, Lost) as fault:
        return fail("broker", f"{fault}; expected a broker at {where}; check uplink and the network")
    return ok("broker", f"{where} took the connection, MQTT {version}")


def _greeted(config: Config, shown: Shown) -> str:
    """Connect, wait for the CONNACK, say goodbye; the version of MQTT that was taken. Raises Lost."""
    name, will = f"{config.machine.device}-selftest", Will(f"{prefix(config.machine)}/selftest", b"")
    link = Connection(config.uplink, name, will, shown=shown)
    try:
        _wait(link)
    except Lost:
        if not link.version_refused and not link.silent:
            raise
    else:
        return "5"
    link = Connection(config.uplink, name, will, shown=shown, version5=False)
    _wait(link)
    return "3.1.1"


def _wait(link: Connection) -> None:
    """Until the broker has taken us; `turn` knows how long that may last. Raises Lost."""
    try:
        while not link.ready:
            writers = [link] if link.wants_write else []
            readable, writable, _ = select.select([link], writers, [], 0.1)
            link.turn(readable=bool(readable), writable=bool(writable))
        link.disconnect()
    finally:
        link.close()
