"""Plays a scenario: the real trip path in machine time, in lockstep with sensors of its making."""

import difflib
import time
from pathlib import Path
from typing import Any

from expectation import differences
from scenario import Away, Contact, Edge, Expect, Opinion, Scenario, Step
from stage_sensor import Sensor

from appliance.check import load
from appliance.clock import WallClock
from appliance.guard import latch as latches
from appliance.guard.latch import Latch
from appliance.guard.protection import Protection
from appliance.records import Event, EventKind, MachineState, Quality, Score
from hw.sim.relay import SimRelay

MAPS = Path(__file__).parent / "scenarios" / "maps"
BEGIN_UTC_NS = 1_800_000_000 * 10**9
BOOT_S = 10.0  # the guard starts so long after the power comes
TURN_S = 0.05  # of the guard process
SCORE_TURNS = 20
DAY_NS = 86_400 * 10**9
ALARMS = ("alarm.raised", "alarm.cleared", "alarm.repeated")
ENERGISED = {True: "energised", False: "de-energised"}


class Stage:
    """One play: everything that happened, and where it was not as expected."""

    def __init__(self, scenario: Scenario, folder: Path) -> None:
        """folder: where the configuration is written and the latch is kept."""
        self._scenario, self._folder = scenario, folder
        (folder / "maps").symlink_to(MAPS)
        (folder / "appliance.toml").write_text(scenario.config)
        self._config = load(folder / "appliance.toml")
        specs: list[Any] = [*self._config.vibration, *self._config.temperature, *self._config.transmitter]
        self._sensors = {spec.name: Sensor(spec) for spec in specs}
        self._opinions = {spec.name: Opinion("learning") for spec in self._config.vibration}
        self._contacts = dict.fromkeys(self._config.inputs.wired, False)
        self._turn = 0
        self._boot_s = -BOOT_S
        self._jump_ns = 0
        self._told: list[str] = []
        self._edges: list[tuple[float, bool]] = []
        self._timeline: list[tuple[float, str]] = []
        self._failed = False
        self._start()

    def play(self) -> str:
        """The timeline if something was not as expected, "" otherwise."""
        for step in self._scenario.step:
            self._until(step.at_s)
            if step.do:
                self._do(step)
            self._expect(step.expect)
            self._go_on(step)
        self._compare_edges(self._scenario.relay)
        self._compare_events()
        return self._report() if self._failed else ""

    # What happens

    def _go_on(self, step: Step) -> None:
        """Signals and opinions from here on."""
        for name, raw in step.signal.items():
            if name not in self._sensors:
                raise ValueError(
                    f"signal.{name} at {step.at_s:g} s: expected one of {', '.join(self._sensors)}"
                )
            self._sensors[name].feel(raw, self._now_s)
        for name, opinion in step.model.items():
            if name not in self._opinions:
                raise ValueError(
                    f"model.{name} at {step.at_s:g} s: expected one of {', '.join(self._opinions)}"
                )
            self._opinions[name] = opinion

    def _start(self) -> None:
        """As the guard process begins; its relay's line is taken de-energised."""
        if self._energised:
            self._edge(energised=False)
        latch, fault = latches.read(self._latch_path, self._utc_ns)
        self._relay = SimRelay(contact=self._config.relay.contact)  # type: ignore[union-attr]
        ports = {name: one.port for name, one in self._sensors.items() if one.port}
        self._protection = Protection(
            self._config,
            ports,
            self._relay,
            WallClock(live=False),
            self._tell,
            latch,
            monotonic_s=lambda: self._now_s - self._boot_s,
            utc_ns=self._utc_ns,
        )
        self._note("guard started" + (", still tripped" if latch.tripped else ""))
        if fault:
            self._tell(latch)
            self._protection.note(EventKind.HEALTH, "latch.unreadable", fault)
        for sensor in self._sensors.values():
            sensor.taken_s = self._now_s + sensor.period_s
        for name, closed in self._contacts.items():
            self._protection.contact(name, active=closed, got_ns=time.perf_counter_ns())

    def _until(self, at_s: float) -> None:
        """Let machine time go on."""
        if at_s < self._now_s - TURN_S / 2:
            raise ValueError(f"a step at {at_s:g} s, while the guard is away until {self._now_s:g} s")
        while self._turn < round(at_s / TURN_S):
            self._turn += 1
            for sensor in self._sensors.values():
                while sensor.due_s <= self._now_s + 1e-6:
                    sensor.turn(self._protection, self._boot_s)
                    self._look()
            if self._turn % SCORE_TURNS == 0:
                self._score()
            self._protection.watch()
            self._look()

    def _score(self) -> None:
        for sensor, said in self._opinions.items():
            if said.quality == "silent":
                continue
            quality, state = Quality(said.quality), MachineState(said.machine)
            t1_ns = round((self._now_s - self._boot_s) * 1e9)
            value = said.ratio * 2.0 if quality is Quality.OK else None
            score = Score(sensor, t1_ns - 10**9, t1_ns, quality, state, value, 2.0, progress=0.5)
            self._protection.score(score, time.perf_counter_ns())
            self._look()

    def _do(self, step: Step) -> None:
        """What a step asks for; what is asked of the guard must be granted or refused as expected."""
        assert step.do
        name, deed = step.do.deed
        self._note(f"{name}: {deed}")
        if name == "contact":
            self._move(deed)
            self._protection.contact(deed.name, active=deed.closed, got_ns=time.perf_counter_ns())
        elif name == "wall_clock_jump_days":
            self._jump_ns += round(deed * DAY_NS)
        elif name in ("restart", "power_cut"):
            self._leave(deed, power_cut=name == "power_cut")
        else:
            reply = self._protection.ask(deed)
            self._note(f"answer: {reply.message}")
            if reply.ok is not (step.refused == "") or step.refused not in reply.message:
                self._fail(f"answer: expected {f'refused: {step.refused}' if step.refused else 'granted'}")
        self._look()

    def _leave(self, away: Away, *, power_cut: bool) -> None:
        """The guard goes and comes back. Planned, the relay does as `on_stop` says; a power cut drops it."""
        if power_cut and self._energised:
            self._edge(energised=False)
        elif not power_cut and self._config.on_stop == "trip":
            self._protection.stop()
            self._look()
        if away.latch == "damaged":
            self._latch_path.write_bytes(self._latch_path.read_bytes()[:-9])
        if away.meanwhile:
            self._move(away.meanwhile)
        self._turn += round(away.away_s / TURN_S)
        if power_cut:
            self._boot_s = self._now_s - BOOT_S
        self._start()

    def _move(self, contact: Contact) -> None:
        if contact.name not in self._contacts:
            raise ValueError(
                f"contact {contact.name!r} is not wired; add it to [inputs] of the configuration"
            )
        self._contacts[contact.name] = contact.closed

    # What is seen

    @property
    def _now_s(self) -> float:
        return round(self._turn * TURN_S, 3)

    @property
    def _energised(self) -> bool:
        """What an observer of the line sees."""
        return bool(self._edges) and self._edges[-1][1]

    @property
    def _latch_path(self) -> Path:
        return self._folder / "latch.json"

    def _utc_ns(self) -> int:
        return BEGIN_UTC_NS + round(self._now_s * 1e9) + self._jump_ns

    def _look(self) -> None:
        """Edges of the relay since the last look."""
        for _, energised in self._relay.edges:
            self._edge(energised=energised)
        self._relay.edges.clear()

    def _edge(self, *, energised: bool) -> None:
        self._edges.append((self._now_s, energised))
        self._note(f"relay {ENERGISED[energised]}")

    def _tell(self, item: Event | Latch) -> None:
        if isinstance(item, Latch):
            latches.write(self._latch_path, item)
            return
        self._look()
        by = f"by {item.who}" if item.who else ""
        quiet = "(not announced)" if item.type in ALARMS and item.kind is EventKind.AUDIT else ""
        self._told.append(" ".join(filter(None, (item.type, item.channel, by, quiet))))
        self._note(f"{self._told[-1]}: {item.message}")

    def _note(self, text: str) -> None:
        self._timeline.append((self._now_s, f"  {text}"))

    # What must be

    def _fail(self, text: str) -> None:
        self._failed = True
        self._timeline.append((self._now_s, f"✗ {text}"))

    def _expect(self, expect: Expect) -> None:
        for text in differences(expect, self._protection.state(), ENERGISED[self._energised]):
            self._fail(text)

    def _compare_edges(self, expected: tuple[Edge, ...]) -> None:
        found = [f"{ENERGISED[energised]} at {at_s:g} s" for at_s, energised in self._edges]
        as_expected = len(found) == len(expected) and all(
            ENERGISED[energised] == edge.becomes and edge.between_s[0] <= at_s <= edge.between_s[1]
            for (at_s, energised), edge in zip(self._edges, expected, strict=True)
        )
        if not as_expected:
            wanted = [f"{edge.becomes} within {list(edge.between_s)} s" for edge in expected]
            self._fail(
                f"relay: expected {', '.join(wanted) or 'no move'}; found {', '.join(found) or 'none'}"
            )

    def _compare_events(self) -> None:
        if tuple(self._told) != self._scenario.events:
            self._fail("events (- expected, + found):")
            for line in difflib.ndiff(self._scenario.events, self._told):
                self._fail(f"  {line}")

    def _report(self) -> str:
        lines = [f"{at_s:8.2f} s {text}" for at_s, text in self._timeline]
        return "\n".join((self._scenario.title, "✗: not as expected", *lines))
