"""`appliance commission`: from plugged in to guarded, a person at a terminal and the processes running."""

import argparse
import select
import time
from collections.abc import Iterator
from pathlib import Path

from appliance import check, wire
from appliance.analysis import bundle as bundles
from appliance.analysis import manifest as manifests
from appliance.analysis import slots
from appliance.analysis.card import few
from appliance.analysis.gathering import full_windows
from appliance.analysis.manifest import Manifest
from appliance.config import Config
from appliance.desk import machine_class, requests, sensing
from appliance.desk.practice import SPEED, Practice
from appliance.desk.screen import Screen
from appliance.errors import ApplianceError, BundleError
from appliance.preset import find
from appliance.records import GuardState, Hello, Level, MachineState, Notice, Quality, Score
from appliance.requests import Learn
from appliance.unit import with_unit
from appliance.wire import Message

INTERRUPTED = 130
_PATIENCE_S = 10.0
_START_S = 30.0
"""Without a word of the guard: a Pi takes so long to import everything from a cold card."""
_QUIET = ("boot", "relay.energised", "learn.asked", "model.changed")
"""Types of events that say nothing new here."""


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0 once guarded; 1 where something is refused; 130 where the person stops watching."""
    if arguments.simulate:
        with Practice() as practice:
            print(f"A simulated machine, {SPEED:.0f} times faster than real time, in {practice.folder}")
            return _watched(Commissioning(practice.config, practice))
    if (arguments.again or arguments.cancel) and not (arguments.who and arguments.why):
        raise ApplianceError("--again and --cancel: expected --who and --why, for the journal; add them")
    if arguments.cancel:
        return requests.send(arguments.config, Learn("", "cancel", arguments.who, arguments.why))
    again = Learn("", "again", arguments.who, arguments.why) if arguments.again else None
    return _watched(Commissioning(arguments.config, again=again))


def _watched(one: "Commissioning") -> int:
    try:
        return one.run()
    except KeyboardInterrupt:
        one.screen.heading("Stopped.")
        for line in one.remains():
            one.screen.line(line)
        return INTERRUPTED


class Commissioning:
    """One walk through the steps; the guard and the analysis do the work, whoever watches."""

    def __init__(self, path: Path, practice: Practice | None = None, again: Learn | None = None) -> None:
        self.screen = Screen()
        self._path = path
        self._config = check.load(path)
        self._practice = practice
        self._again = again
        self._before: dict[str, str] = {}
        self._state: GuardState | None = None
        self._began_ns = 0
        self._link: wire.Link | None = None
        self._heard_s = 0.0

    def run(self) -> int:
        """Every step in order. Raises ApplianceError: no guard answers."""
        if self._practice is None:
            requests.state(self._path)  # before anything is asked
        self._kind_of_machine()
        self._heard_s = time.monotonic()
        plugged_in_ns = self._practice.start() if self._practice else None
        self._began_ns = self._next().at_mono_ns if plugged_in_ns is None else plugged_in_ns
        if not self._sensors():
            return 1
        self._limits(self._next())
        if self._again and not self._ask():
            return 1
        self.screen.heading("4  Learning normal (machine time, min:s)")
        while not self._guarded(state := self._next()):
            self._progress(state)
        self._card(state)
        return 0

    def remains(self) -> Iterator[str]:
        """What goes on although nobody watches any more."""
        if self._practice:
            yield f"The simulated machine is switched off. Its files are in {self._practice.folder}."
        elif self._state is None:
            yield "Nothing was asked of the appliance, and nothing was changed but what is told above."
        else:
            yield "Limits protect, and learning goes on in the background. Watch it again with"
            yield f"`appliance commission {self._path}`; take a new baseline back with --cancel."

    def _kind_of_machine(self) -> None:
        self.screen.heading("1  Kind of machine")
        if not self._config.machine.preset:
            starts = "from the start below" if self._practice else "from the next start of the guard on"
            self._config = machine_class.choose(self._path, self._config, starts, self.screen)
        if preset := find(self._config.machine.preset):
            edges = " / ".join(f"{edge:g}" for edge in preset.zones.edges_mms)
            self.screen.line(f"{self._config.machine.preset}: zones A/B, B/C, C/D at {edges} mm/s")
            self.screen.line(preset.zones.source)

    def _sensors(self) -> bool:
        """Whether the guard finds every sensor healthy, within the patience of a person."""
        self.screen.heading("2  Sensors, as the guard sees them")
        deadline_s = time.monotonic() + _PATIENCE_S
        while True:
            state = self._next()
            findings = sensing.told(self._config, state)
            sound = all(one.verdict == "ok" for one in findings)
            if (sound and (state.relay_energised or state.tripped)) or time.monotonic() > deadline_s:
                break
        for one in findings:
            self.screen.line(f"{one.verdict:5s} {one.what}: {one.words}")
        if not sound:
            self.screen.line(f"Mend what FAILs, then `appliance commission {self._path}` again.")
        return sound

    def _limits(self, state: GuardState) -> None:
        self.screen.heading("3  In force from the first second, whatever is learnt")
        for one in state.channels:
            if one.alert is not None or one.danger is not None:
                alert, danger = ("-" if limit is None else f"{limit:g}" for limit in (one.alert, one.danger))
                limits = with_unit(f"Alert {alert}, Danger {danger}", one.unit)
                self.screen.line(f"{one.channel:24s} {limits}")
        relay = "energised: the machine may run" if state.relay_energised else "DE-ENERGISED"
        self.screen.line(f"relay                    {relay}{_because(state)}")

    def _ask(self) -> bool:
        """A new baseline; whether it was granted. The one in force stays until the new one is there."""
        assert self._again is not None
        self._before = {score.sensor: score.model for score in self._next().scores}
        self.screen.heading("   A new baseline")
        return requests.send(self._path, self._again) == 0

    def _guarded(self, state: GuardState) -> bool:
        """The relay may drop, no alarm stands, and a model of every sensor's own has judged a window."""
        scores = {score.sensor: score for score in state.scores}
        return (
            state.relay_energised
            and state.bypass is None
            and state.level is Level.NORMAL
            and all(self._scored(scores.get(spec.name)) for spec in self._config.vibration)
        )

    def _scored(self, score: Score | None) -> bool:
        """A window of running was judged OK by a model of its own, a new one where that is wanted."""
        if score is None or score.quality is not Quality.OK or score.state is not MachineState.RUNNING:
            return False
        own = self._slot(score.sensor, slots.ACTIVE)
        return score.model == own and own != self._before.get(score.sensor)

    def _slot(self, sensor: str, slot: str) -> str | None:
        """Id of the bundle in a slot. Raises ApplianceError: we may not look."""
        folder = self._config.bundle_dir(sensor)
        try:
            return slots.target(folder, slot)
        except OSError as fault:
            raise ApplianceError(
                f"{folder}: {fault.strerror}; ask as root or as the appliance's user"
            ) from fault

    def _progress(self, state: GuardState) -> None:
        stamp = self._stamp(state)
        for score in state.scores:
            velocity = next((c for c in state.channels if c.channel == f"{score.sensor}.velocity"), None)
            measured = "" if velocity is None or velocity.value is None else f", {velocity.value:.2f} mm/s"
            zone = f" in zone {velocity.zone}" if velocity and velocity.zone else ""
            words = score.reason or ("scored" if score.model else "nothing heard of learning")
            self.screen.follow(
                score.sensor, stamp, f"{score.sensor}: {score.state.value}{measured}{zone}; {words}"
            )
        if not state.relay_energised or state.bypass:
            bypass = "; a bypass is in force" if state.bypass else ""
            self.screen.follow("relay", stamp, f"not guarded: relay{_because(state)}{bypass}")

    def _card(self, state: GuardState) -> None:
        """What was learnt and what may be expected of it."""
        self.screen.heading(f"5  Guarded after {self._stamp(state).strip()} of the machine's time")
        for spec in self._config.vibration:
            folder = self._config.bundle_dir(spec.name)
            try:
                manifest = manifests.read((folder / slots.ACTIVE / bundles.MANIFEST).read_bytes())
            except (BundleError, OSError) as fault:
                raise ApplianceError(f"{folder}: the model in force cannot be read: {fault}") from fault
            model = next(score.model for score in state.scores if score.sensor == spec.name)
            for line in _figures(manifest, self._config):
                self.screen.line(line)
            before = self._slot(spec.name, slots.PREVIOUS) or "none"
            self.screen.line(f"model {model}, kept before it: {before}")
        if self._practice is None:
            self.screen.line("It goes on without this terminal: `appliance status` shows it at any time.")

    def _stamp(self, state: GuardState) -> str:
        minutes, seconds = divmod((state.at_mono_ns - self._began_ns) // 10**9, 60)
        return f"{minutes:2d}:{seconds:02d}"

    def _next(self) -> GuardState:
        """The next state that the guard tells; events between are shown.

        Raises ApplianceError: silence, or what we asked for was taken back.
        """
        while True:
            if self._practice:
                self._practice.turn()
            message = self._receive()
            if isinstance(message, GuardState):
                self._state, self._heard_s = message, time.monotonic()
                return message
            if isinstance(message, Notice) and message.event.type not in _QUIET and self._state:
                self.screen.line(f"{self._stamp(self._state)}  {message.event.message}")
                if message.event.type == "learn.cancelled" and self._before:
                    raise ApplianceError(
                        f"{message.event.who} took the new baseline back; ask again where it is wanted"
                    )
            if time.monotonic() - self._heard_s > _START_S:
                raise ApplianceError(
                    f"{self._config.socket_path}: no guard answers; start it with `appliance run`"
                )

    def _receive(self) -> Message | None:
        """What the guard says next; connects, and again when the guard comes back."""
        try:
            self._link = self._link or wire.connect(self._config.socket_path, Hello("status"))
            message = self._link.receive()
        except PermissionError as fault:
            raise requests.not_heard(self._config.socket_path, fault) from fault
        except (OSError, wire.Closed):
            self._link = None
            time.sleep(0.1)
            return None
        if message is None:
            select.select([self._link], [], [], 0.2)
        return message


def _because(state: GuardState) -> str:
    return f" ({'; '.join(state.reasons)})" if state.reasons else ""


def _figures(manifest: Manifest, config: Config) -> Iterator[str]:
    """A model as a technician should know it."""
    false, windows, ways = manifest.false_alarms, manifest.memory.windows, len(manifest.recordings)
    hop_s = manifest.windows.window_s * (1 - manifest.windows.overlap)
    full = full_windows(config.analysis.learn_s, hop_s)
    learnt = f"{windows} windows, {ways} way{'s' * (ways > 1)} of running"
    if windows < full:
        more_s = (min(full, 2 * windows) - windows) * hop_s
        grows = f"provisional: it grows to {full} in the background, next in {more_s:.0f} s of running"
    else:
        grows = "mature"
    yield f"{manifest.sensor.name}: learnt from {learnt}; {grows}"
    yield (
        f"threshold {manifest.threshold.value:.2f}: {100 * false.rate:.1f} % of normal windows above it, "
        f"at most {100 * false.rate_at_most:.1f} % (90 % sure)"
    )
    yield (
        f"{false.delay_s:.0f} s above it is an alarm; false alarms to expect in a month of running: "
        f"at most {few(false.per_month)} (90 % sure)"
    )
