"""One sensor's adapter: learns a new condition once it is accepted, and follows slow change where it may.

Nothing is gathered or learnt while an alarm stands or a zone is C or D. What was adapted is put in force on
probation, the model before it is kept, and the guard's journal tells of every act.
"""

import contextlib
import logging
import time
from collections.abc import Callable

from appliance.analysis import adaptation, ledger, own, slots
from appliance.analysis.bundle import Bundle
from appliance.analysis.gathering import standing
from appliance.analysis.ledger import Spent
from appliance.analysis.novelty import Waiting
from appliance.analysis.slow_change import SlowChange
from appliance.analysis.stream import SensorStream
from appliance.config import Config
from appliance.daemon import Daemon
from appliance.errors import BudgetError, BundleError, LearningError
from appliance.records import GuardState, ModelAct, Severity
from appliance.requests import Learn

log = logging.getLogger(__name__)

POLICY = "appliance"
"""Who accepts where `models.new_condition` says so."""


class Adapter:
    """Follows one sensor's stream; training is a thread of its own."""

    def __init__(self, sensor: str, config: Config, daemon: Daemon, tell: Callable[[ModelAct], None]) -> None:
        self._sensor = sensor
        self._config = config
        self._daemon = daemon
        self._tell = tell
        self._folder = config.bundle_dir(sensor)
        self._standing = "the guard has not told its state yet"
        self._adapting = False
        self._told: Waiting | None = None

    def attach(self, stream: SensorStream) -> None:
        """A stream was opened."""
        stream.may_learn = not self._standing
        period_s = self._config.models.adapt_every_h * 3600
        if period_s and stream.bundle and not self._budget_spent(stream.model):
            stream.slow_change = SlowChange(period_s)

    def follow(self, state: GuardState) -> None:
        """What the guard says of the machine."""
        self._standing = standing(state, self._sensor, again=False)

    def asked(self, request: Learn, stream: SensorStream | None) -> None:
        """A person says that the new condition is normal (`accept`), or that it is not (`refuse`)."""
        watch = stream.novelty if stream else None
        if stream is None or watch is None or not (watch.waiting or watch.finding):
            if request.act in ("accept", "refuse"):
                self._say("learn.refused", f"no new operating condition to {request.act}", "warning", request)
        elif request.act == "refuse":
            watch.refuse()
            words = "the new operating condition is not normal: its scores count until known running is back"
            self._say("condition.refused", words, asked=request)
        elif request.act == "accept":
            why_not = self._standing or (
                "" if watch.waiting else f"{watch.progress:.0%} gathered; ask again later"
            )
            if why_not or watch.waiting is None or self._adapting:
                words = why_not or "the model is being adapted; ask again later"
                self._say("learn.refused", f"not accepted: {words}", "warning", request)
            else:
                self._accept(stream, watch.waiting, request)

    def turn(self, stream: SensorStream) -> None:
        """After each block: tell what waits; adapt as far as the policy says so."""
        stream.may_learn = not self._standing
        if self._adapting or stream.bundle is None or stream.novelty is None:
            return
        waiting, slow_change = stream.novelty.waiting, stream.slow_change
        by_policy = self._config.models.new_condition == "accept"
        if waiting and waiting is not self._told and not (by_policy and self._standing):
            self._told = waiting
            words = f"new operating condition gathered ({waiting.finding.words}), {len(waiting.seen)} windows"
            if by_policy:
                self._say("condition.gathered", f"{words}; accepted by models.new_condition")
                self._accept(stream, waiting, Learn(self._sensor, "accept", POLICY, "models.new_condition"))
            else:
                self._say(
                    "condition.gathered", f"{words}; say with `appliance condition` whether it is normal"
                )
        elif slow_change and slow_change.due and not (self._standing or waiting):
            rows, speeds_hz = slow_change.take()
            parent, features = stream.bundle, stream.extractor.features
            self._start(
                stream,
                parent,
                lambda: adaptation.followed(parent, features, rows, speeds_hz, time.time_ns()),
                f"slow change, {len(rows)} windows",
                Learn(self._sensor, "accept", POLICY, "models.adapt_every_h"),
            )

    def _accept(self, stream: SensorStream, waiting: Waiting, asked: Learn) -> None:
        parent, features = stream.bundle, stream.extractor.features
        if parent is not None:
            self._start(
                stream,
                parent,
                lambda: adaptation.accepted(parent, features, waiting.seen, time.time_ns()),
                f"new condition ({waiting.finding.words}), {len(waiting.seen)} windows",
                asked,
            )

    def _start(
        self, stream: SensorStream, parent: Bundle, make: Callable[[], Bundle], what: str, asked: Learn
    ) -> None:
        self._adapting = True
        self._daemon.start(
            f"adapt-{self._sensor}",
            lambda _: self._adapt(stream, parent, make, what, asked),
            stall_s=120.0,
        )

    def _adapt(
        self, stream: SensorStream, parent: Bundle, make: Callable[[], Bundle], what: str, asked: Learn
    ) -> None:
        """In the background; the stream is opened anew with what comes of it."""
        try:
            child = self._in_force(make(), parent, asked)
        except BudgetError as fault:
            stream.slow_change = None
            self._spend(Spent(parent.id, str(fault)))
            self._say("model.drift_budget_spent", f"{fault}; slow change is followed no more", "warning")
        except (LearningError, BundleError) as fault:
            self._say("model.adaptation_refused", str(fault), "warning", asked)
        else:
            if stream.novelty:
                stream.novelty.answered()
            thresholds = f"threshold {parent.threshold:.2f} before, {child.threshold:.2f} now"
            words = f"{child.id} in force, {parent.id} adapted to {what}; {thresholds}; on probation"
            self._say("model.adapted", words, asked=asked)
        self._adapting = False

    def _in_force(self, made: Bundle, parent: Bundle, asked: Learn) -> Bundle:
        """The child, signed, in force instead of its parent, unless an alarm has come meanwhile."""
        if self._standing:
            raise LearningError(f"not adapted: {self._standing}")
        child = own.signed(made, self._config, self._sensor)
        slots.enforce(child, self._folder, over=parent.id, probation=True)
        with contextlib.suppress(OSError):  # the journal tells of it too
            ledger.note(self._folder, f"adapted from {parent.id}", child.id, asked.who, asked.why)
        return child

    def _budget_spent(self, model: str) -> bool:
        """Whether slow change went too far for this model, in an earlier run perhaps."""
        try:
            spent = ledger.spent(self._folder)
        except BundleError as fault:
            self._say("model.drift_budget_spent", f"{fault}; slow change is not followed", "warning")
            return True
        return spent is not None and spent.model == model

    def _spend(self, spent: Spent) -> None:
        try:
            ledger.keep_spent(self._folder, spent)
        except OSError as fault:
            log.warning("%s: the spent drift budget cannot be noted: %s", self._sensor, fault)

    def _say(self, event: str, words: str, severity: Severity = "info", asked: Learn | None = None) -> None:
        """Into the guard's journal and our log."""
        log.log(logging.INFO if severity == "info" else logging.WARNING, "%s: %s", self._sensor, words)
        who, why = (asked.who, asked.why) if asked else ("", "")
        self._tell(ModelAct(self._sensor, event, words, severity, who, why))
