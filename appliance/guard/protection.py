"""The trip path of one machine as a straight line: block, validity, limits, alarm engine, relay; then tell.

No thread, no file, no socket of its own: the process around it brings samples and carries events away, and
`appliance replay` drives the very same object from a recording.
"""

import math
import threading
import time
from collections.abc import Callable, Mapping

from appliance.clock import WallClock
from appliance.config import Config
from appliance.guard import channels, quantities
from appliance.guard.alarm import AlarmEngine, Transition
from appliance.guard.interlock import Interlock, Reason
from appliance.guard.latch import Latch
from appliance.guard.latency import LatencyHistogram
from appliance.guard.limits import Slope as TemperatureSlope
from appliance.guard.report import Reporter
from appliance.guard.sensor import VibrationWatch
from appliance.records import (
    Action,
    ClockHealth,
    Event,
    EventKind,
    GuardState,
    MachineState,
    Quality,
    Reply,
    Reset,
    SampleBlock,
    Score,
    Severity,
    TemperatureReading,
    Validity,
)
from hw.ports import PortError, Quantities, Reading, Relay, Samples, Vibration

_DEGC_RANGE = (-55.0, 200.0)
_MODEL_SILENT_S = 10.0
_FRESH_NS = 5_000_000_000
_REASON_S = 5.0
"""So long a device's own reason stands: its next try has failed or succeeded by then."""

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
    ) -> None:
        self._relay = relay
        self._clock = clock
        self._tell = tell
        self._lock = threading.RLock()
        self._report = Reporter(config.machine.asset, clock)
        self._engine = AlarmEngine(channels.of(config))
        self._interlock = Interlock()
        self._latch = latch or Latch()
        self._interlock.set(Reason.TRIPPED, stands=self._latch.tripped)
        self._watches = {name: VibrationWatch(name, sensor) for name, sensor in vibration.items()}
        self._slopes = {spec.name: TemperatureSlope() for spec in config.temperature}
        self._readings: dict[str, TemperatureReading] = {}
        self._quantities = quantities.unheard(config)
        self._limited = {spec.name: tuple(spec.limits) for spec in config.transmitter}
        self._scores: dict[str, Score] = {}
        self._models: dict[str, str] = {}
        self._heard_s = dict.fromkeys((*self._watches, *self._slopes, *self._limited), time.monotonic())
        self._faulted_s: dict[str, float] = {}
        self._patience_s = {spec.name: max(1.0, 5 * spec.block_s) for spec in config.vibration}
        slow = (*config.temperature, *config.transmitter)
        self._patience_s |= {spec.name: max(3.0, 3 * spec.period_s) for spec in slow}
        self._score_heard_s = dict.fromkeys(self._watches, time.monotonic())
        self._silent_s = max(_MODEL_SILENT_S, 3 * config.analysis.window_s)
        self._energised = False
        self._at_ns = time.monotonic_ns()
        self._begun = False
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
            changes = [
                self._judge(f"{sensor}.peak", t_ns, peak_mps2, block.validity),
                self._judge(f"{sensor}.rms", t_ns, rms_mps2, block.validity),
            ]
            action = self._drive()
            latency_us = (time.perf_counter_ns() - got_ns) / 1e3
            watch.arrivals.append((block.t1_mono_ns, got_ns))
            self._heard_s[sensor] = time.monotonic()
        self.latency.add(latency_us)
        self._after(changes, action, latency_us)
        return block

    def reading(self, sensor: str, reading: Reading, got_ns: int) -> TemperatureReading:
        """Judge one temperature; returns it as a record."""
        in_range = _DEGC_RANGE[0] <= reading.degc <= _DEGC_RANGE[1]
        validity = Validity.OK if in_range else Validity.RANGE
        record = TemperatureReading(sensor, reading.host_ns, reading.degc if in_range else None, validity)
        with self._lock:
            t_ns = self._advance(reading.host_ns)
            self._readings[sensor] = record
            changes = [self._judge(f"{sensor}.temperature", t_ns, reading.degc, validity)]
            changes.append(self._judge_slope(sensor, t_ns, record.degc))
            action = self._drive()
            latency_us = (time.perf_counter_ns() - got_ns) / 1e3
            self._heard_s[sensor] = time.monotonic()
        self._after(changes, action, latency_us)
        return record

    def quantities(self, sensor: str, answer: Quantities, got_ns: int) -> None:
        """Judge what a transmitter says: those of its quantities that have limits."""
        with self._lock:
            t_ns = self._advance(answer.host_ns)
            self._quantities[sensor] = quantities.heard(self._quantities[sensor], answer)
            changes = [
                self._engine.update(f"{sensor}.{name}", t_ns, answer.by_name[name].value)
                for name in self._limited[sensor]
            ]
            action = self._drive()
            latency_us = (time.perf_counter_ns() - got_ns) / 1e3
            self._heard_s[sensor] = time.monotonic()
        self._after(changes, action, latency_us)

    def fault(self, sensor: str, reason: str, got_ns: int) -> None:
        """The device does not answer, and says why."""
        self._faulted_s[sensor] = time.monotonic()
        self._blind(sensor, reason, got_ns)

    def _blind(self, sensor: str, reason: str, got_ns: int) -> None:
        watched: tuple[str, ...] = ("peak", "rms") if sensor in self._watches else ("temperature", "slope")
        with self._lock:
            t_ns = self._now_ns()
            if sensor in self._slopes:
                self._readings[sensor] = TemperatureReading(sensor, t_ns, None, Validity.LOST)
            if sensor in self._limited:
                watched = self._limited[sensor]
                self._quantities[sensor] = quantities.lost(self._quantities[sensor], t_ns)
            changes = [self._engine.not_ok(f"{sensor}.{quantity}", t_ns, reason) for quantity in watched]
            action = self._drive()
            latency_us = (time.perf_counter_ns() - got_ns) / 1e3
        self._after(changes, action, latency_us)

    def score(self, score: Score, got_ns: int) -> None:
        """The model's opinion of a window."""
        name = f"{score.sensor}.score"
        if score.sensor not in self._watches:
            return
        with self._lock:
            self._scores[score.sensor] = score
            self._score_heard_s[score.sensor] = time.monotonic()
            change = self._judge_score(name, score)
            action = self._drive()
            judged_ns = time.perf_counter_ns()
            complete_ns = self._watches[score.sensor].arrived_ns(score.t1_mono_ns)
        if complete_ns is not None:
            self.score_latency.add((judged_ns - complete_ns) / 1e3)
        self.version += 1
        self._after([change], action, (judged_ns - got_ns) / 1e3)
        if score.model and self._models.get(score.sensor) != score.model:
            self._models[score.sensor] = score.model
            self.note(EventKind.AUDIT, "model.changed", f"{score.sensor}: model {score.model} in force")

    def watch(self) -> None:
        """Call several times a second: notices sensors and models that have fallen silent."""
        now_s = time.monotonic()
        for sensor, heard_s in list(self._heard_s.items()):
            explained = now_s - self._faulted_s.get(sensor, -math.inf) <= _REASON_S
            if now_s - heard_s > self._patience_s[sensor] and not explained:
                self._blind(sensor, f"no data for {now_s - heard_s:.0f} s", time.perf_counter_ns())
        for sensor, heard_s in list(self._score_heard_s.items()):
            if now_s - heard_s > self._silent_s:
                with self._lock:
                    self._scores.pop(sensor, None)  # what it said last is not so any more
                    reason = f"model silent for {now_s - heard_s:.0f} s"
                    change = self._engine.not_ok(f"{sensor}.score", self._now_ns(), reason)
                    action = self._drive()
                self._after([change], action, None)

    def reset(self, request: Reset) -> Reply:
        """Clear the latch; refused while a Danger stands, or before it is known whether one does."""
        with self._lock:
            if not self.protecting:
                return Reply(ok=False, message="refused: not every protected channel has been judged yet")
            changes, standing = self._engine.reset(self._at_ns)
            if standing:
                return Reply(ok=False, message=f"refused: Danger still stands on {', '.join(standing)}")
            self._latch = Latch()
            self._tell(self._latch)
            action = self._drive()
        self._check_relay()
        self.note(EventKind.AUDIT, "trip.reset", f"reset by {request.who}: {request.why}", action=action)
        for change in changes:
            self._tell(self._report.transition(change))
        self.version += 1
        return Reply(ok=True, message="reset; relay energised" if self._energised else "reset")

    def note(
        self,
        kind: EventKind,
        type_: str,
        message: str,
        *,
        action: Action = "none",
        severity: Severity | None = None,
    ) -> None:
        """Tell of something that is no change of level (start, reset, sensor restarted)."""
        self._tell(self._report.note(kind, type_, message, self._at_ns, action=action, severity=severity))

    def restarted(self, sensor: str) -> None:
        """A vibration sensor answers again after a fault: its clock is measured anew."""
        with self._lock:
            self._watches[sensor].restarted()
        self.note(EventKind.HEALTH, "sensor.restarted", f"{sensor} answers again")

    def stop(self) -> None:
        """Planned stop with `on_stop = "trip"`: de-energise."""
        with self._lock:
            self._interlock.set(Reason.STOPPED, stands=True)
            self._drive()

    @property
    def protecting(self) -> bool:
        """Whether every protected channel has been judged at least once."""
        return Reason.STARTING not in self._interlock.reasons

    def state(self) -> GuardState:
        """A snapshot for listeners."""
        with self._lock:
            machine = next((score.state for score in self._scores.values()), MachineState.UNKNOWN)
            return GuardState(
                at_mono_ns=self._at_ns,
                at_utc_ns=self._clock.utc_ns(self._at_ns),
                time_quality=self._clock.quality,
                level=self._engine.level,
                tripped=Reason.TRIPPED in self._interlock.reasons,
                relay_energised=self._energised,
                machine=machine,
                channels=self._engine.states(),
                clocks=tuple(self._clock_health(watch) for watch in self._watches.values()),
                scores=tuple(self._scores.values()),
                temperatures=tuple(self._readings.values()),
                quantities=sum(self._quantities.values(), ()),
                latency_us=self.latency.summary_us(),
                score_latency_us=self.score_latency.summary_us(),
                trip_latency_us=self.trip_latency_us,
            )

    def _judge(self, channel: str, t_ns: int, value: float, validity: Validity) -> Transition | None:
        if not validity:
            return self._engine.update(channel, t_ns, value)
        blind = validity & (Validity.STUCK | Validity.RANGE)  # a fallen sensor that bangs about still trips
        return self._engine.not_ok(channel, t_ns, _words(validity), None if blind else value)

    def _judge_slope(self, sensor: str, t_ns: int, degc: float | None) -> Transition | None:
        channel = f"{sensor}.slope"
        if degc is None:
            return self._engine.not_ok(channel, t_ns, "temperature not usable")
        slope = self._slopes[sensor].update(t_ns, degc)
        if slope is None:
            return self._engine.idle(channel, t_ns, "less than a minute of readings")
        return self._engine.update(channel, t_ns, slope)

    def _judge_score(self, channel: str, score: Score) -> Transition | None:
        t_ns = score.t1_mono_ns
        if score.quality is Quality.LEARNING:
            return self._engine.idle(channel, t_ns, f"learning, {score.progress:.0%}")
        threshold = score.threshold or 0.0
        if score.quality is Quality.NOT_OK or score.value is None or not threshold > 0.0:
            return self._engine.not_ok(channel, t_ns, "window not usable")
        if score.state is not MachineState.RUNNING:
            return self._engine.idle(channel, t_ns, f"machine {score.state.value}")
        return self._engine.update(channel, t_ns, score.value / threshold)

    def _drive(self) -> Action:
        """Put the relay where the interlock says, then tell the durable latch; nothing else moves them."""
        if not self._engine.tripped or self._latch.tripped:
            return self._move_relay()
        self._latch = Latch(tripped=True, channels=self._engine.latched)
        try:
            return self._move_relay()
        finally:
            self._tell(self._latch)

    def _move_relay(self) -> Action:
        self._interlock.set(Reason.TRIPPED, stands=self._latch.tripped)
        if self._engine.judged:
            self._interlock.set(Reason.STARTING, stands=False)
        wanted = self._interlock.energise
        if wanted is self._energised:
            return "none"
        self._relay.write(wanted)
        self._energised = wanted
        return "relay_closed" if wanted else "relay_opened"

    def _after(self, changes: list[Transition | None], action: Action, latency_us: float | None) -> None:
        """Everything that may wait until the relay has moved."""
        real = [change for change in changes if change]
        if not real and action == "none":
            return
        self.version += 1
        if action == "relay_opened":
            self.trip_latency_us = latency_us
        for change in real:
            score = self._fresh_score(change.state.channel)
            fired = action if change.state.first_out else "none"
            self._tell(self._report.transition(change, action=fired, latency_us=latency_us, score=score))
        if action != "none":
            self._check_relay()
        if action == "relay_closed":
            self.note(EventKind.AUDIT, "relay.energised", "every protected channel is judged", action=action)

    def _fresh_score(self, channel: str) -> Score | None:
        """What the model says of this very moment, if it says anything."""
        score = self._scores.get(channel.split(".", maxsplit=1)[0])
        return score if score and self._at_ns - score.t1_mono_ns <= _FRESH_NS else None

    def _check_relay(self) -> None:
        try:
            seen = self._relay.read()
        except PortError as fault:
            self._relay_fault(f"relay read-back failed: {fault}")
            return
        if seen is not self._energised:
            words = {True: "energised", False: "de-energised"}
            found = f"relay reads {words[seen]}, expected {words[self._energised]}; check its wiring"
            self._relay_fault(found)

    def _relay_fault(self, found: str) -> None:
        self.note(EventKind.HEALTH, "relay.fault", found, severity="critical")

    def _advance(self, t_ns: int) -> int:
        """Follow the sources' time; a recording's may begin anywhere."""
        self._at_ns = max(self._at_ns, t_ns) if self._begun else t_ns
        self._begun = True
        return t_ns

    def _now_ns(self) -> int:
        """Machine time, carried on by real time where nothing arrives."""
        silent_s = time.monotonic() - max(self._heard_s.values(), default=time.monotonic())
        return self._at_ns + round(silent_s * 1e9)

    def _clock_health(self, watch: VibrationWatch) -> ClockHealth:
        clock = watch.clock
        late_p50_us, late_p99_us, late_max_us = watch.lateness.summary_us()
        return ClockHealth(
            watch.name,
            clock.rate_hz,
            clock.ppm,
            clock.jitter_ms,
            clock.lost,
            clock.blocks,
            late_p99_us / 1e3,
            late_max_us / 1e3,
            late_p50_us / 1e3,
        )


def _words(validity: Validity) -> str:
    return "+".join(flag.name.lower() for flag in Validity if flag and flag in validity and flag.name)
