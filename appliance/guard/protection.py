"""The trip path of one machine as a straight line: block, validity, limits, rack, relay; then tell.

No thread, no file, no socket of its own: the process around it brings samples and carries events away, and
`appliance replay` drives the very same object from a recording.
"""

import threading
import time
from collections.abc import Callable, Mapping

import msgspec

from appliance.channel_list import listed
from appliance.clock import WallClock
from appliance.config import Config
from appliance.guard import channels, quantities
from appliance.guard.actuator import Actuator
from appliance.guard.channel import Change, What
from appliance.guard.contacts import Contacts
from appliance.guard.judge import measured, scored, sloped
from appliance.guard.latch import Latch
from appliance.guard.latency import LatencyHistogram
from appliance.guard.limits import Slope
from appliance.guard.rack import Idle, Input, NotOk, Outcome, Rack, Stop, Testing, Tick, Value
from appliance.guard.report import Reporter
from appliance.guard.sensor import VibrationWatch
from appliance.guard.silence import Silence
from appliance.guard.trace import Tracer
from appliance.records import (
    Action,
    Event,
    EventKind,
    GuardState,
    MachineState,
    SampleBlock,
    Score,
    Severity,
    TemperatureReading,
    Trace,
    Validity,
)
from appliance.requests import ProofTest, Reply, Request, Reset
from hw.ports import Quantities, Reading, Relay, Samples, Vibration

_DEGC_RANGE = (-55.0, 200.0)
_FRESH_NS = 5_000_000_000
_TEMPERATURE_SLOPE_S = 120.0
"""A bearing that seizes must not hide in ten steady minutes before."""
_TICK_S = 0.2
_KEEP_S = 60.0
"""So often a bypass or a shelving that runs is written down, for what is left of it after a power cut."""
_DAY_NS = 86_400 * 1_000_000_000

Tell = Callable[[Event | Latch], None]


class Protection:
    """Judges every block and reading, drives the relay, and tells what happened (never blocking)."""

    def __init__(
        self,
        config: Config,
        vibration: Mapping[str, Vibration],
        relay: Relay,
        clock: WallClock,
        tell: Tell,
        latch: Latch | None = None,
        *,
        monotonic_s: Callable[[], float] = time.monotonic,
        utc_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """monotonic_s, utc_ns: the host's clocks, or those of a machine whose time is not the host's."""
        self._monotonic_s, self._utc_ns = monotonic_s, utc_ns
        self._clock = clock
        self._tell = tell
        self._lock = threading.RLock()
        self._report = Reporter(config.machine.asset, clock)
        self._latch = latch or Latch()
        self._rack = Rack(channels.rack_of(config), self._latch)
        self._tracer = Tracer(self._rack)
        self._actuator = Actuator(relay, self._relay_fault, monotonic_s)
        self._watches = {name: VibrationWatch(name, sensor) for name, sensor in vibration.items()}
        self._slopes = {spec.name: Slope(_TEMPERATURE_SLOPE_S) for spec in config.temperature}
        self._velocity_slopes = {name: Slope() for name in self._watches}
        self._readings: dict[str, TemperatureReading] = {}
        self._quantities = quantities.unheard(config)
        self._limited = {spec.name: tuple(spec.limits) for spec in config.transmitter}
        self._scores: dict[str, Score] = {}
        self._models: dict[str, str] = {}
        self._own_delay = {one.name.split(".")[0] for one in listed(config) if one.own_delay}
        self._silence = Silence(config, monotonic_s)
        self._contacts = Contacts(frozenset(config.inputs.wired))
        self._proof_test_ns = round(config.protection.proof_test_days * _DAY_NS)
        self._at_ns = round(monotonic_s() * 1e9)
        self._begun = False
        self._ticked_s = self._kept_s = monotonic_s()
        self.latency = LatencyHistogram()
        self.score_latency = LatencyHistogram()
        self.trip_latency_us: float | None = None
        self.version = 0
        """Grows with every change a listener wants to hear of."""

    def block(self, sensor: str, samples: Samples, got_ns: int) -> SampleBlock | None:
        """Judge one drain of a FIFO. got_ns: `time.perf_counter_ns` when it was in memory. None if empty."""
        if len(samples.counts) == 0:
            return None
        watch = self._watches[sensor]
        with self._lock:
            block, peak_mps2, rms_mps2 = watch.judge(samples)
        t_ns = self._advance(block.t1_mono_ns)
        self._silence.heard(sensor)
        watch.arrivals.append((block.t1_mono_ns, got_ns))
        given = (
            measured(f"{sensor}.peak", peak_mps2, block.validity),
            measured(f"{sensor}.rms", rms_mps2, block.validity),
        )
        self.latency.add(self._take(t_ns, given, got_ns)[1])
        self._velocity(watch, block, t_ns)
        return block

    def reading(self, sensor: str, reading: Reading, got_ns: int) -> TemperatureReading:
        """Judge one temperature; returns it as a record."""
        in_range = _DEGC_RANGE[0] <= reading.degc <= _DEGC_RANGE[1]
        validity = Validity.OK if in_range else Validity.RANGE
        record = TemperatureReading(sensor, reading.host_ns, reading.degc if in_range else None, validity)
        t_ns = self._advance(reading.host_ns)
        self._silence.heard(sensor)
        with self._lock:
            self._readings[sensor] = record
            slope = self._slopes[sensor].update(t_ns, reading.degc) if in_range else None
        given = (
            measured(f"{sensor}.temperature", reading.degc, validity),
            sloped(f"{sensor}.slope", slope, usable=in_range),
        )
        self._take(t_ns, given, got_ns)
        return record

    def quantities(self, sensor: str, answer: Quantities, got_ns: int) -> None:
        """Judge what a transmitter says: those of its quantities that have limits."""
        t_ns = self._advance(answer.host_ns)
        self._silence.heard(sensor)
        with self._lock:
            self._quantities[sensor] = quantities.heard(self._quantities[sensor], answer)
        names = self._limited[sensor]
        self._take(
            t_ns, tuple(Value(f"{sensor}.{name}", answer.by_name[name].value) for name in names), got_ns
        )

    def fault(self, sensor: str, reason: str, got_ns: int) -> None:
        """The device does not answer, and says why."""
        self._silence.faulted(sensor)
        self._blind(sensor, reason, got_ns)

    def score(self, score: Score, got_ns: int) -> None:
        """The model's opinion of a window, and what it says of the machine's state."""
        if score.sensor not in self._watches:
            return
        with self._lock:
            self._scores[score.sensor] = score
        self._silence.scored(score.sensor)
        given = (
            *self._contacts.machine(self._machine_state()),
            scored(score, own_delay=score.sensor in self._own_delay),
        )
        _, latency_us = self._take(score.t1_mono_ns, given, got_ns)
        complete_ns = self._watches[score.sensor].arrived_ns(score.t1_mono_ns)
        if complete_ns is not None:
            self.score_latency.add((got_ns - complete_ns) / 1e3 + latency_us)
        self.version += 1
        if score.model and self._models.get(score.sensor) != score.model:
            self._models[score.sensor] = score.model
            self.note(EventKind.AUDIT, "model.changed", f"{score.sensor}: model {score.model} in force")

    def contact(self, name: str, *, active: bool | None, got_ns: int) -> None:
        """A contact of `[inputs]` was read."""
        if given := self._contacts.changed(name, active=active):
            self._take(self._now_ns(), given, got_ns)

    def watch(self) -> None:
        """Call several times a second: notices silence, and what time alone brings."""
        with self._lock:
            self._actuator.check()
        for sensor, reason in self._silence.sensors():
            self._blind(sensor, reason, time.perf_counter_ns())
        for sensor, reason in self._silence.models():
            with self._lock:
                self._scores.pop(sensor, None)  # what it said last is not so any more
            given = (*self._contacts.machine(self._machine_state()), NotOk(f"{sensor}.score", reason))
            self._take(self._now_ns(), given, time.perf_counter_ns())
        now_s = self._monotonic_s()
        if now_s - self._ticked_s >= _TICK_S:
            self._ticked_s = now_s
            self._take(self._now_ns(), (Tick(),), time.perf_counter_ns())
        if now_s - self._kept_s >= _KEEP_S and (self._latch.bypass or self._latch.shelved_s):
            self._keep()

    def ask(self, request: Request) -> Reply:
        """A person's request; refused with the reason, or granted and told of."""
        if isinstance(request, ProofTest):
            return self._proof_test(request)
        outcome, _ = self._take(self._now_ns(), (request,), time.perf_counter_ns())
        if outcome.refused:
            return Reply(ok=False, message=f"refused: {outcome.refused}")
        if isinstance(request, Reset):
            return Reply(ok=True, message="reset; relay energised" if self._actuator.energised else "reset")
        return Reply(ok=True, message="done")

    def note(
        self,
        kind: EventKind,
        type_: str,
        message: str,
        *,
        action: Action = "none",
        severity: Severity | None = None,
        who: str = "",
        why: str = "",
    ) -> None:
        """Tell of something that is no change of level (start, reset, sensor restarted)."""
        event = self._report.note(
            kind, type_, message, self._at_ns, action=action, severity=severity, who=who, why=why
        )
        self._tell(event)

    def restarted(self, sensor: str) -> None:
        """A vibration sensor answers again after a fault: its clock is measured anew."""
        with self._lock:
            self._watches[sensor].restarted()
        self.note(EventKind.HEALTH, "sensor.restarted", f"{sensor} answers again")

    def stop(self) -> None:
        """Planned stop with `on_stop = "trip"`: de-energise."""
        self._take(self._now_ns(), (Stop(),), time.perf_counter_ns())
        self._actuator.settled()

    @property
    def protecting(self) -> bool:
        """Whether every protected channel has been judged at least once."""
        return self._rack.protecting

    def trace(self) -> Trace | None:
        """What the rack was given since the last call, for evidence."""
        with self._lock:
            return self._tracer.take()

    def state(self) -> GuardState:
        """A snapshot for listeners."""
        with self._lock:
            rack, at = self._rack, self._clock.stamp(self._at_ns)
            return GuardState(
                at_mono_ns=self._at_ns,
                at_utc_ns=at.utc_ns,
                time_quality=at.quality,
                time_error_ms=at.error_ms,
                at_boot_ns=at.boot_ns,
                level=rack.engine.level,
                tripped=rack.tripped,
                relay_energised=self._actuator.energised,
                relay_fault=self._actuator.fault,
                machine=rack.engine.state.machine,
                channels=rack.channels(),
                clocks=tuple(watch.clock_health() for watch in self._watches.values()),
                scores=tuple(self._scores.values()),
                temperatures=tuple(self._readings.values()),
                quantities=sum(self._quantities.values(), ()),
                latency_us=self.latency.summary_us(),
                score_latency_us=self.score_latency.summary_us(),
                trip_latency_us=self.trip_latency_us,
                groups=rack.groups(),
                reasons=tuple(reason.value for reason in rack.interlock.reasons),
                bypass=rack.bypass(),
                bypasses=rack.interlock.state.bypasses,
                multiplying=rack.engine.state.multiplying,
                proof_test_due=self._utc_ns() - self._latch.proof_tested_utc_ns > self._proof_test_ns,
            )

    def _velocity(self, watch: VibrationWatch, block: SampleBlock, t_ns: int) -> None:
        """A spectrum takes longer than the limits of a block may wait: it comes after them."""
        channel = f"{watch.name}.velocity"
        velocity_mms, validity = watch.velocity(block)
        begun = velocity_mms is not None or validity
        if not begun and watch.reads_velocity:  # relay and reset wait until the first second is there
            return
        slope = None
        if velocity_mms is not None:
            slope = self._velocity_slopes[watch.name].update(t_ns, velocity_mms)
        given = (
            measured(channel, velocity_mms, validity) if begun else Idle(channel, "sampled too slowly"),
            sloped(f"{channel}-slope", slope, usable=not validity),
        )
        self._take(t_ns, given, time.perf_counter_ns())

    def _blind(self, sensor: str, reason: str, got_ns: int) -> None:
        """Nothing of this sensor can be judged."""
        t_ns = self._now_ns()
        with self._lock:
            if sensor in self._slopes:
                self._readings[sensor] = TemperatureReading(sensor, t_ns, None, Validity.LOST)
            if sensor in self._limited:
                self._quantities[sensor] = quantities.lost(self._quantities[sensor], t_ns)
            watched = [name for name in self._rack.engine.channels if name.startswith(f"{sensor}.")]
        self._take(
            t_ns, tuple(NotOk(name, reason) for name in watched if not name.endswith(".score")), got_ns
        )

    def _take(self, t_ns: int, given: tuple[Input, ...], got_ns: int) -> tuple[Outcome, float]:
        """Let the rack judge, drive the relay, then tell. Returns the outcome and the latency, µs."""
        with self._lock:
            self._tracer.add(t_ns, given)
            outcome = self._rack.step(t_ns, *given)
            self._tracer.changed(outcome.changes)
            try:
                action = self._actuator.drive(energise=self._rack.interlock.energise)
            finally:
                if outcome.changes:
                    self._keep()
            latency_us = (time.perf_counter_ns() - got_ns) / 1e3
        self._after(outcome.changes, action, latency_us)
        return outcome, latency_us

    def _after(self, changes: list[Change], action: Action, latency_us: float) -> None:
        """Everything that may wait until the relay has moved."""
        if not changes and action == "none":
            return
        self.version += 1
        if action == "relay_opened":
            self.trip_latency_us = latency_us
        told = False
        fired = next((one.state.channel for one in changes if one.what is What.TRIPPED and one.state), "")
        for change in sorted(changes, key=lambda one: one.what is not What.TRIPPED):
            if change.what is What.RAISED and change.name == fired:
                continue  # the trip tells of it
            moved = change.what in (What.TRIPPED, What.RESET)
            told = told or moved
            score = self._fresh_score(change)
            act = action if moved else "none"
            self._tell(self._report.change(change, action=act, latency_us=latency_us, score=score))
        if action == "relay_closed" and not told:
            self.note(EventKind.AUDIT, "relay.energised", "no reason to drop it stands", action=action)

    def _keep(self) -> None:
        """Have the latch written down."""
        self._kept_s = self._monotonic_s()
        kept = msgspec.structs.replace(
            self._rack.kept(),
            proof_tested_utc_ns=self._latch.proof_tested_utc_ns,
            saved_utc_ns=self._utc_ns(),
        )
        self._latch = kept
        self._tell(kept)

    def _proof_test(self, request: ProofTest) -> Reply:
        """Drop the relay, see it drop, let it back."""
        if not self._actuator.energised:
            return Reply(
                ok=False, message="refused: the relay is not energised; a proof test would show nothing"
            )
        self._take(self._now_ns(), (Testing(on=True),), time.perf_counter_ns())
        passed = self._actuator.settled()
        if passed:
            self._latch = msgspec.structs.replace(self._latch, proof_tested_utc_ns=self._utc_ns())
        with self._lock:
            self._keep()
        self._take(self._now_ns(), (Testing(on=False),), time.perf_counter_ns())
        result = "passed: the relay dropped" if passed else "FAILED: the relay did not drop"
        severity: Severity = "info" if passed else "critical"
        words = f"proof test by {request.who} ({request.why}) {result}"
        who, why = request.who, request.why
        self.note(EventKind.AUDIT, "relay.proof_tested", words, severity=severity, who=who, why=why)
        return Reply(ok=passed, message=f"proof test {result}")

    def _fresh_score(self, change: Change) -> Score | None:
        """What the model says of this very moment, if it says anything."""
        score = self._scores.get(change.state.channel.split(".", maxsplit=1)[0]) if change.state else None
        return score if score and self._at_ns - score.t1_mono_ns <= _FRESH_NS else None

    def _machine_state(self) -> MachineState:
        """What the models say the machine does; a single one that sees it run is enough."""
        states = [score.state for score in self._scores.values()]
        running = MachineState.RUNNING in states
        return MachineState.RUNNING if running else next(iter(states), MachineState.UNKNOWN)

    def _relay_fault(self, found: str) -> None:
        self.note(EventKind.HEALTH, "relay.fault", found, severity="critical")

    def _advance(self, t_ns: int) -> int:
        """Follow the sources' time; a recording's may begin anywhere."""
        with self._lock:
            self._at_ns = max(self._at_ns, t_ns) if self._begun else t_ns
            self._begun = True
        return t_ns

    def _now_ns(self) -> int:
        """Machine time, carried on by real time where nothing arrives."""
        return self._at_ns + round(self._silence.all_s * 1e9)
