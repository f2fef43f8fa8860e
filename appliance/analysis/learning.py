"""One sensor's learner: a first model, a new one when a person asks, and each grown until it is mature.

The first model stands on few windows and says so; while it protects, gathering goes on and the baseline is
learnt anew from twice as many windows, again and again, until it is full. Only a mature model, or one from
outside, is kept as `previous`: what grew in between is not worth going back to.
"""

import contextlib
import logging
import time
from collections.abc import Callable

from appliance.analysis import commission, ledger, own, signature, slots
from appliance.analysis.base import OWN_WINDOWS
from appliance.analysis.bundle import Bundle
from appliance.analysis.card import few
from appliance.analysis.commission import Gathered
from appliance.analysis.gathering import FIRST_WINDOWS, Gathering, full_windows, standing
from appliance.analysis.ledger import Spent, Wish
from appliance.analysis.stream import SensorStream
from appliance.config import Config
from appliance.daemon import Daemon, Worker
from appliance.errors import BundleError, LearningError
from appliance.records import GuardState, ModelAct, Severity
from appliance.requests import Learn

log = logging.getLogger(__name__)


class Learner:
    """What is gathered outlives a stream, and the wish of a person outlives the process."""

    def __init__(self, sensor: str, config: Config, daemon: Daemon, tell: Callable[[ModelAct], None]) -> None:
        self._sensor = sensor
        self._config = config
        self._daemon = daemon
        self._tell = tell
        self._folder = config.bundle_dir(sensor)
        self._gathering: Gathering | None = None
        self._in_force: Bundle | None = None
        self._of_base = False
        self._active: str | None = None
        self._grown = ""
        self._training = False
        self._wish: Wish | None = None
        try:
            self._wish = ledger.wish(self._folder)
        except BundleError as fault:
            self._say("learn.dropped", f"a wish for a new baseline cannot be read: {fault}", "warning")
        if self._wish:
            self._say("learn.resumed", "gathering for the new baseline begins again after a restart")

    def attach(self, stream: SensorStream) -> None:
        """A stream was opened, with the bundle in force if there is one: gather from it if there is need."""
        self._of_base = stream.bundle is not None and bool(stream.bundle.manifest.base.name)
        self._in_force = None if self._of_base else stream.bundle
        self._active = slots.target(self._folder, slots.ACTIVE)
        in_force = _id(self._in_force)
        full = full_windows(self._config.analysis.learn_s, stream.hop_s)
        wanted, gathering = self._wanted(full), self._gathering
        if gathering and in_force != self._grown and not self._wish:
            gathering = None
            self._say("learn.ended", f"learning ended: {in_force or 'no model'} is in force instead")
        if gathering and not gathering.fits(stream.extractor, stream.hop_s):
            gathering = None
        if gathering is None:
            gathering = Gathering(self._sensor, stream.extractor, stream.hop_s, full)
        gathering.wanted, gathering.purpose = wanted, self._purpose()
        self._gathering = stream.gathering = gathering if wanted else None
        self._grown = in_force

    def asked(self, request: Learn, stream: SensorStream | None) -> None:
        """A person wants a new baseline (`again`), or not any more (`cancel`)."""
        asked = Wish(request.who, request.why)
        if request.act == "again":
            self._keep(asked)
        elif request.act == "cancel" and self._wish:
            self._say("learn.cancelled", "no new baseline is learnt; the model in force stays", wish=asked)
            self._keep(None)
        else:
            return
        self._gathering = None
        if stream:
            self.attach(stream)

    def follow(self, state: GuardState) -> None:
        """What the guard says of the machine; learning waits while an alarm stands or a zone is bad."""
        if self._gathering:
            self._gathering.stand(standing(state, self._sensor, again=self._wish is not None))

    def turn(self, stream: SensorStream) -> None:
        """Begin to learn, in a thread of its own, when enough is gathered and nothing drifted meanwhile."""
        gathering = self._gathering
        if self._training or gathering is None or gathering.progress < 1.0:
            return
        if _id(self._in_force) != self._grown:  # what was learnt last waits for a stream opened anew
            if slots.target(self._folder, slots.ACTIVE) == self._active:  # or was rolled back at once
                self.attach(stream)
            return
        if drift := gathering.unsteady():
            self._refuse(stream, drift)
            return
        self._training = True
        parts, wish = gathering.parts(), self._wish
        self._daemon.start(
            f"learn-{self._sensor}", lambda worker: self._learn(worker, stream, parts, wish), stall_s=120.0
        )

    def _refuse(self, stream: SensorStream, drift: str) -> None:
        """Nothing is learnt of a machine that drifts. It may settle; but no model grows along with it."""
        if self._in_force is None or self._wish:
            words = f"not learnt: {drift}; expected a steady machine; let it settle, or find what changes"
            self._say("learn.refused", words, "warning")
            return
        words = f"{self._in_force.id} grows no more: {drift}; find what changed, then learn a new baseline"
        self._say("learn.ended", words, "warning")
        self._gathering = stream.gathering = None
        try:
            ledger.keep_spent(self._folder, Spent(self._in_force.id, drift))
        except OSError as fault:
            log.warning("%s: cannot be noted (%s): a restart would grow it", self._sensor, fault.strerror)

    def _wanted(self, full: int) -> int:
        """Windows until the next learning; 0: there is nothing to learn."""
        if self._in_force is None or self._wish:
            return min(full, OWN_WINDOWS) if self._of_base else FIRST_WINDOWS
        return min(full, 2 * _windows(self._in_force)) if self._provisional(full) else 0

    def _provisional(self, full: int) -> bool:
        """Whether the model in force was learnt here, of fewer windows than a mature one, and may grow."""
        if self._in_force is None:
            return False
        manifest = self._in_force.manifest
        if manifest.model.parent_sha256 or _windows(self._in_force) >= full:
            return False
        try:
            spent = ledger.spent(self._folder)
            key = signature.own_key(self._config.device_key_path)
        except BundleError as fault:
            log.warning("%s: %s does not grow: %s", self._sensor, self._in_force.id, fault)
            return False
        drifted = spent is not None and spent.model == self._in_force.id
        return not drifted and manifest.origin.signer == signature.public_key(key)

    def _purpose(self) -> str:
        if self._wish:
            return f" for the new baseline that {self._wish.who} asked for"
        if self._of_base:
            return " until its own model replaces the base"
        return " until the provisional model grows" if self._in_force else " for a provisional model"

    def _learn(self, worker: Worker, stream: SensorStream, parts: list[Gathered], wish: Wish | None) -> None:
        """Train in the background; blocks go on being windowed meanwhile."""

        def progress(_: float) -> None:
            worker.beat()
            if worker.stop.is_set():
                raise LearningError("interrupted by a stop; gathering starts anew at the next start")

        try:
            bundle = commission.learn(
                parts,
                stream.extractor,
                sensor=self._sensor,
                window_s=stream.window_s,
                overlap=self._config.analysis.overlap,
                created_utc_ns=time.time_ns(),
                seed=self._config.analysis.seed,
                progress=progress,
            )
            if wish is self._wish:  # nobody has changed their mind meanwhile
                self._enforce(own.signed(bundle, self._config, self._sensor), stream, wish)
        except (LearningError, BundleError) as fault:
            if self._gathering:
                self._gathering.forget_half()
            if not worker.stop.is_set():
                self._say("learn.failed", f"not learnt: {fault}", "warning")
        self._training = False

    def _enforce(self, bundle: Bundle, stream: SensorStream, wish: Wish | None) -> None:
        """Put it in force. Raises BundleError: it cannot be written, or another is in force by now."""
        full = full_windows(self._config.analysis.learn_s, stream.hop_s)
        before, self._grown = self._grown, bundle.id
        try:
            slots.enforce(bundle, self._folder, over=self._active, keep=not self._provisional(full))
        except BundleError:
            self._grown = before
            raise
        if wish:
            self._keep(None)
        self._say("model.learnt", _told(bundle, full), "info", wish)
        with contextlib.suppress(OSError):  # the journal tells of it too
            who, why = (wish.who, wish.why) if wish else ("appliance", "")
            ledger.note(self._folder, f"learnt from {_windows(bundle)} windows", bundle.id, who, why)

    def _keep(self, wish: Wish | None) -> None:
        """Have the wish outlive us, or be forgotten."""
        self._wish = wish
        try:
            ledger.keep_wish(self._folder, wish)
        except OSError as fault:
            words = f"the wish for a new baseline cannot be written ({fault.strerror}): a restart forgets it"
            self._say("learn.unkept", words, "warning")

    def _say(self, event: str, words: str, severity: Severity = "info", wish: Wish | None = None) -> None:
        """Into the guard's journal and our log."""
        log.log(logging.INFO if severity == "info" else logging.WARNING, "%s: %s", self._sensor, words)
        asked = wish or self._wish
        who, why = (asked.who, asked.why) if asked else ("", "")
        self._tell(ModelAct(self._sensor, event, words, severity, who, why))


def _id(bundle: Bundle | None) -> str:
    return bundle.id if bundle else ""


def _windows(bundle: Bundle) -> int:
    return bundle.manifest.memory.windows


def _told(bundle: Bundle, full: int) -> str:
    """What a person should know of a model that was learnt."""
    manifest, false = bundle.manifest, bundle.manifest.false_alarms
    windows, ways = _windows(bundle), len(manifest.recordings)
    grown = "mature" if windows >= full else f"provisional, grows to {full}"
    return (
        f"learnt {bundle.id} from {windows} windows ({grown}) of {ways} way{'s' * (ways > 1)} of running; "
        f"threshold {bundle.threshold:.2f}, {false.delay_s:.0f} s above it is an alarm; at most "
        f"{few(false.per_month)} false ones a month, 90 % sure"
    )
