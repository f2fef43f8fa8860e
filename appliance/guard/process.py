"""The guard process: samplers in the trip path, contacts, and three workers that tell of it afterwards."""

import gc
import logging
import os
import sys
import time
from functools import partial
from pathlib import Path

import msgspec

from appliance import __version__, wire
from appliance.clock import WallClock
from appliance.config import Config
from appliance.daemon import Daemon, Worker
from appliance.errors import ApplianceError
from appliance.guard import latch as latches
from appliance.guard.devices import Devices
from appliance.guard.durable import Durable
from appliance.guard.feed import Feed
from appliance.guard.health import Health
from appliance.guard.inputs import PERIOD_S, Debounced
from appliance.guard.journal import Journal
from appliance.guard.lock import only_guard
from appliance.guard.protection import Protection
from appliance.guard.realtime import claim, share_heap
from appliance.guard.reminder import Reminder
from appliance.guard.seal import digest
from appliance.records import Event, EventKind, GuardState, Severity
from appliance.wear import written_bytes
from hw.ports import EndOfSource, PortError, Quantities, Scalars, Temperature, Vibration
from hw.waveform import RecordingError

log = logging.getLogger(__name__)

_RETRY_S = 0.5
_LINE_STALL_S = 30.0
"""A transmitter waits while others on its line are asked, which takes seconds where they are silent."""
_STATE_PERIOD_S = 1.0
_STATE_LEAST_S = 0.02


class Guard:
    """Everything the guard process owns."""

    def __init__(self, config: Config, config_file: Path) -> None:
        self._config = config
        self._lock_file = only_guard(config.run_dir)
        latch_path = config.state_dir / "latch.json"
        first_boot = not latch_path.exists()
        latch, fault = latches.read(latch_path)
        if first_boot:  # never tested: the time to the first proof test runs from here
            latch = msgspec.structs.replace(latch, proof_tested_utc_ns=time.time_ns())
        config_sha256 = digest(config_file.read_bytes())
        journal = Journal(config.state_dir / "journal", config_sha256)
        self._durable = Durable(
            config.store_path, journal, latch_path, self._note, self._stored, config.storage.events_bytes
        )
        self.devices = _opened(config)
        clock = WallClock(live=self.devices.live)
        self.protection = Protection(
            config, self.devices.vibration, self.devices.relay, clock, self._durable.take, latch
        )
        self.health = Health(self.devices.health, self.devices.vibration)
        self.feed = Feed(
            _listener(config.socket_path), self.protection, self._state, config.uplink.commands.requests
        )
        self._realtime = self.devices.live
        self._playing = len(self.devices.vibration)
        if fault or first_boot:
            self._durable.take(latch)
        if fault:
            self.protection.note(EventKind.HEALTH, "latch.unreadable", fault, severity="critical")
        tripped = ", still tripped" if latch.tripped else ""
        begun = f"guard {__version__} started, configuration {config_sha256[:12]}{tripped}"
        self.protection.note(EventKind.AUDIT, "boot", begun)
        if journal.config_before not in ("", config_sha256):
            changed = f"the configuration was {journal.config_before[:12]}, now it is {config_sha256[:12]}"
            who = f"owner of the file: {_owner(config_file)}"
            self.protection.note(EventKind.AUDIT, "config.changed", changed, who=who)

    def start(self, daemon: Daemon) -> None:
        """Start the workers; the trip path first."""
        gc.collect()
        gc.freeze()
        sys.setswitchinterval(0.0005)
        for name, sensor in self.devices.vibration.items():
            daemon.start(f"sample-{name}", partial(self._sample, name=name, sensor=sensor))
        for name, thermometer in self.devices.temperature.items():
            daemon.start(f"read-{name}", partial(self._read, name=name, port=thermometer))
        for name, transmitter in self.devices.transmitter.items():
            body = partial(self._read, name=name, port=transmitter)
            daemon.start(f"read-{name}", body, stall_s=_LINE_STALL_S)
        if self.devices.inputs:
            daemon.start("contacts", self._read_contacts)
        daemon.start("feed", self._serve)
        self._durable.start(daemon)

    def stop(self, *, failed: bool) -> None:
        """The end has come: the relay as `on_stop` says, but a fault drops it."""
        if failed or self._config.on_stop == "trip":
            self.protection.stop()

    def close(self) -> None:
        """Release everything once the workers have ended."""
        for sensor in self.devices.vibration.values():
            sensor.stop()
        self.devices.lines.close()
        self.feed.close()
        self._durable.close()

    def _state(self) -> GuardState:
        """What the protection says, with what only the process knows."""
        seq, sha256 = self._durable.head
        return msgspec.structs.replace(
            self.protection.state(),
            events_accepted=self._durable.accepted,
            pid=os.getpid(),
            log_seq=seq,
            log_sha256=sha256,
            written_bytes=written_bytes(),
        )

    def _stored(self, event: Event) -> None:
        self.feed.tell(event)

    def _note(self, kind: EventKind, type_: str, message: str, severity: Severity) -> None:
        self.protection.note(kind, type_, message, severity=severity)

    def _sample(self, worker: Worker, name: str, sensor: Vibration) -> None:
        """Trip path: read, judge, drive the relay, then pass the block on."""
        if self._realtime:
            claim()
        running = faulty = False
        while not worker.stop.is_set():
            worker.beat()
            try:
                if not running:
                    sensor.start()
                    running = True
                samples = sensor.read()
            except PortError as fault:
                got_ns = time.perf_counter_ns()
                self.protection.fault(name, str(fault), got_ns)
                if not faulty:
                    log.warning("%s: %s; starting it again until it answers", name, fault)
                running, faulty = False, True
                self.health.moved(name)
                worker.stop.wait(_RETRY_S)
                continue
            except EndOfSource:
                self._source_ended(worker, name)
                return
            if faulty:
                self.protection.restarted(name)
                faulty = False
            block = self.protection.block(name, samples, time.perf_counter_ns())
            self.health.moved(name)
            if block is not None:
                self.feed.publish(block)
                self._publish_trace()

    def _read(self, worker: Worker, name: str, port: Temperature | Scalars) -> None:
        """The same path for what comes as numbers."""
        faulty = False
        while not worker.stop.is_set():
            worker.beat()
            try:
                answer = port.read()
            except PortError as fault:
                self.protection.fault(name, str(fault), time.perf_counter_ns())
                if not faulty:
                    log.warning("%s: %s; asking again until it answers", name, fault)
                faulty = True
                worker.stop.wait(_RETRY_S)
                continue
            except EndOfSource:
                return
            if answer is None:
                continue
            faulty = False
            got_ns = time.perf_counter_ns()
            if isinstance(answer, Quantities):
                self.protection.quantities(name, answer, got_ns)
            else:
                self.feed.publish(self.protection.reading(name, answer, got_ns))

    def _read_contacts(self, worker: Worker) -> None:
        """Bypass key, start-up, reset, running; of one that cannot be read is told, once."""
        contacts = {name: Debounced(port) for name, port in self.devices.inputs.items()}
        while not worker.stop.wait(PERIOD_S):
            worker.beat()
            for name, contact in contacts.items():
                fault_before = contact.fault
                if not contact.read(time.monotonic()):
                    continue
                self.protection.contact(name, active=contact.active, got_ns=time.perf_counter_ns())
                if contact.fault:
                    words = f"{name} cannot be read, nothing is taken from it: {contact.fault}"
                    self.protection.note(EventKind.HEALTH, "contact.lost", words)
                elif fault_before:
                    self.protection.note(EventKind.HEALTH, "contact.restored", f"{name} answers again")

    def _publish_trace(self) -> None:
        if trace := self.protection.trace():
            self.feed.publish(trace)

    def _source_ended(self, worker: Worker, name: str) -> None:
        log.info("%s: recording played to its end", name)
        self._playing -= 1
        if self._playing == 0:
            worker.stop.set()

    def _serve(self, worker: Worker) -> None:
        """Listeners: requests in, state out on change and once a second."""
        told_version, told_s = -1, 0.0
        reminder = Reminder()
        while not worker.stop.is_set():
            worker.beat()
            self.feed.turn(0.05)
            self.protection.watch()
            self._publish_trace()
            version, now_s = self.protection.version, time.monotonic()
            quiet_s = now_s - told_s
            if quiet_s >= _STATE_PERIOD_S or (version != told_version and quiet_s >= _STATE_LEAST_S):
                state = self._state()
                self.feed.publish(state)
                told_version, told_s = version, now_s
                if reminder.tells(now_s, due=state.proof_test_due):
                    words = f"no proof test of the relay for {self._config.protection.proof_test_days:g} days"
                    self.protection.note(
                        EventKind.HEALTH, "proof_test.due", f"{words}; run `appliance prooftest`"
                    )


def run(config: Config, config_file: Path) -> int:
    """Guard until a signal or the end of a recording. Returns the exit status."""
    share_heap()
    daemon = Daemon("guard")
    guard = Guard(config, config_file)
    guard.start(daemon)
    status = 1
    try:
        status = daemon.run(
            ready=lambda: guard.protection.protecting, stopping=lambda: guard.stop(failed=daemon.failed)
        )
    finally:
        try:
            guard.stop(failed=status != 0)
        finally:
            guard.close()
    return status


def _owner(path: Path) -> str:
    """Who may have changed the file, by name or number."""
    try:
        return path.owner()
    except KeyError:
        return str(path.stat().st_uid)


def _opened(config: Config) -> Devices:
    try:
        return Devices(config)
    except (PortError, RecordingError) as fault:
        raise ApplianceError(str(fault)) from fault


def _listener(path: Path) -> wire.Listener:
    try:
        return wire.Listener(path)
    except OSError as fault:
        raise ApplianceError(
            f"{path}: {fault}; expected a place for a socket, at most 107 bytes long; set run_dir"
        ) from fault
