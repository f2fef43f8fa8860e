"""Follows the slots of one sensor while it runs: what is put in force, candidates, rollback."""

import logging
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from appliance.analysis import bundle as bundles
from appliance.analysis import ledger, slots
from appliance.analysis.ledger import Trial
from appliance.analysis.stream import SensorStream
from appliance.analysis.trial import Shadow
from appliance.errors import BundleError
from appliance.models import Models
from appliance.records import ModelAct

log = logging.getLogger(__name__)

_PERIOD_S = 0.5
_KEEP_S = 10.0


class Rollout:
    """One sensor's slots as the analysis sees them. People change them at any time (`appliance model`)."""

    def __init__(self, folder: Path, models: Models, journal: Callable[[ModelAct], None]) -> None:
        """journal: takes what the guard is to journal."""
        self._folder = folder
        self._models = models
        self._journal = journal
        self._active = slots.target(folder, slots.ACTIVE)
        self._trial = ("", "")
        self._look_s = self._keep_s = 0.0

    def follow(self, stream: SensorStream) -> bool:
        """Look at the slots now and then. True: another bundle is in force, open the stream anew."""
        now_s = time.monotonic()
        if now_s < self._look_s:
            return False
        self._look_s = now_s + _PERIOD_S
        active = slots.target(self._folder, slots.ACTIVE)
        if active != self._active:
            self._active = active
            self._trial = ("", "")
            if active != stream.model:
                return True
        try:
            self._follow_trial(stream)
            self._settle(stream, now_s)
        except (BundleError, OSError) as fault:
            log.warning("%s: %s", stream.sensor, fault)
        return False

    def _follow_trial(self, stream: SensorStream) -> None:
        """Begin the trial that the slots ask for; end one that they no longer ask for."""
        candidate = slots.target(self._folder, slots.CANDIDATE)
        stage = "shadow" if candidate not in (None, self._active) else "probation"
        wanted = (stage, candidate if stage == "shadow" else stream.model)
        if not stream.model or wanted == self._trial:
            return
        self._trial, stream.trial = (wanted[0], wanted[1] or ""), None
        if stage == "shadow":
            self._shadow(stream, str(candidate))
        else:
            self._probation(stream)

    def _shadow(self, stream: SensorStream, candidate: str) -> None:
        last = ledger.trial(self._folder)
        if last and (last.model, last.other, last.verdict) == (candidate, stream.model, "good"):
            self._passed(stream, last)
            return
        figures = Trial(candidate, stream.model, "shadow")
        try:
            bundle = bundles.load(self._folder / candidate)
            stream.require(bundle)
        except BundleError as fault:
            self._end(stream, figures, str(fault))
            return
        stream.trial = Shadow(figures, bundle, bundle, self._models)
        slots.keep_trial(self._folder, figures)
        log.info("%s: candidate %s runs in shadow", stream.sensor, candidate)

    def _probation(self, stream: SensorStream) -> None:
        last = ledger.trial(self._folder)
        if not last or (last.stage, last.model, last.verdict) != ("probation", stream.model, ""):
            return
        tried, other = bundles.load(self._folder / last.model), bundles.load(self._folder / last.other)
        stream.require(other)
        stream.trial = Shadow(Trial(last.model, last.other, "probation"), tried, other, self._models)
        log.info("%s: %s is on probation beside %s", stream.sensor, last.model, last.other)

    def _settle(self, stream: SensorStream, now_s: float) -> None:
        """Keep the figures of the trial; act on its verdict."""
        if stream.trial is None:
            return
        figures = stream.trial.figures
        if figures.verdict == "bad":
            stream.trial = None
            self._end(stream, figures, figures.reason)
        elif figures.verdict == "good":
            stream.trial = None
            slots.keep_trial(self._folder, figures)
            event, what = f"{figures.stage}_passed", f"{figures.stage} passed"
            self._tell(stream, figures, event, what, f"{figures.windows} windows")
            self._passed(stream, figures)
        elif now_s >= self._keep_s:
            self._keep_s = now_s + _KEEP_S
            slots.keep_trial(self._folder, figures)

    def _passed(self, stream: SensorStream, figures: Trial) -> None:
        """A candidate that ended its shadow well is promoted at once if the file says so."""
        if figures.stage == "shadow" and self._models.promote == "auto":
            slots.promote(self._folder, figures.model)
            self._tell(stream, figures, "promoted", "promoted", "models.promote")

    def _end(self, stream: SensorStream, figures: Trial, why: str) -> None:
        """Out of its slot with the model tried; offered again it is tried again."""
        self._trial = ("", "")
        if figures.stage == "shadow":
            if not slots.withdraw(self._folder, figures.model):
                return
            event, what = "candidate_removed", "candidate removed"
        else:
            slots.rollback(self._folder, figures.model)
            event, what = "rolled_back", f"rolled back to {figures.other}"
        ledger.keep_trial(self._folder, msgspec.structs.replace(figures, verdict="bad", reason=why))
        self._tell(stream, figures, event, what, why)

    def _tell(self, stream: SensorStream, figures: Trial, event: str, what: str, why: str) -> None:
        """Into our log, beside the slots, and into the guard's journal."""
        good = figures.verdict == "good"
        log.log(
            logging.INFO if good else logging.WARNING,
            "%s: %s: %s: %s",
            stream.sensor,
            figures.model,
            what,
            why,
        )
        ledger.note(self._folder, what, figures.model, "appliance", why)
        words = f"{figures.model}: {what}: {why}"
        self._journal(ModelAct(stream.sensor, f"model.{event}", words, "info" if good else "warning"))
