"""The learner in its process, beside a real guard: it matures, begins again, keeps a wish, and gives way."""

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from appliance_processes import Folder, end
from small_machine import RATE_HZ

from appliance.analysis import bundle as bundles
from appliance.analysis import ledger, own, slots
from appliance.analysis import manifest as manifests
from appliance.analysis.autoencoder import F32
from appliance.analysis.base import OWN_WINDOWS
from appliance.analysis.gathering import FIRST_WINDOWS
from appliance.analysis.learning import Learner
from appliance.analysis.ledger import Wish
from appliance.analysis.stream import SensorStream
from appliance.config import Analysis, Config
from appliance.daemon import Daemon
from appliance.records import Event, GuardState, ModelAct, Notice, Score
from appliance.requests import Learn, Reply

PATIENCE_S = 30.0
MATURE_S, GROWING_S = 1.0, 100.0
"""Learning times: of a first model that is mature at once, and of 156 windows, four times a first one."""
GROWN = 156


class Box(Folder):
    """Guard and analysis on a machine that runs thirty times faster; what the guard tells is kept."""

    def begin(self, learn_s: float) -> None:
        self.write(speed=30.0, rate_hz=2000.0, learn_s=learn_s)
        self.start("guard")
        self.analysis = self.start("analysis")
        self.link = self.connect()
        self.events: list[Event] = []
        self.scores: list[Score] = []

    @property
    def slots(self) -> Path:
        return self.folder / "state" / "bundles" / "de"

    def until(self, wanted: Callable[[], object], what: str) -> None:
        end_s = time.monotonic() + PATIENCE_S
        while not wanted():
            assert time.monotonic() < end_s, f"no {what}; {[event.message for event in self.events]}"
            message = self.link.receive()
            if isinstance(message, Notice):
                self.events.append(message.event)
            elif isinstance(message, GuardState):
                self.scores += message.scores
            elif message is None:
                time.sleep(0.01)

    def told(self, kind: str) -> list[Event]:
        return [event for event in self.events if event.type == kind]

    def learnt(self, times: int) -> str:
        """Wait until so many models were learnt; the id of the one in force."""
        self.until(lambda: len(self.told("model.learnt")) >= times, f"model number {times}")
        return str(slots.target(self.slots, slots.ACTIVE))

    def windows(self) -> int:
        active = slots.active(self.slots)
        assert active is not None
        return active.manifest.memory.windows

    def want(self, act: str) -> Reply:
        """Ask as `appliance commission` does."""
        link = self.connect()
        try:
            link.send(Learn("de", act, "anna", "bearing replaced"))  # type: ignore[arg-type]
            end_s = time.monotonic() + 3.0
            while time.monotonic() < end_s:
                message = link.receive()
                if isinstance(message, Reply):
                    return message
                time.sleep(0.005)
            raise AssertionError("no reply")
        finally:
            link.close()


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    one = Box(tmp_path)
    yield one
    one.close()


def test_a_provisional_model_matures_and_takes_no_slot_but_its_own(box: Box) -> None:
    box.begin(GROWING_S)
    first = box.learnt(1)
    assert FIRST_WINDOWS <= box.windows() < GROWN
    assert (
        f"learnt {first} from {FIRST_WINDOWS} windows (provisional, grows to {GROWN})"
        in box.events[-1].message
    )
    box.until(lambda: any(score.model == first for score in box.scores), "score of the provisional model")
    box.until(lambda: "until the provisional model grows" in box.scores[-1].reason, "word of its growing")
    assert box.scores[-1].value is not None
    box.until(lambda: "(mature)" in box.told("model.learnt")[-1].message, "mature model")
    assert box.windows() == GROWN
    assert len(box.told("model.learnt")) > 1
    assert slots.target(box.slots, slots.PREVIOUS) is None
    last = str(slots.target(box.slots, slots.ACTIVE))
    box.until(lambda: box.scores[-1].model == last and box.scores[-1].reason == "", "an end of learning")


def test_a_new_baseline_keeps_the_old_one_while_it_is_gathered_and_after_it_has_grown(box: Box) -> None:
    box.begin(MATURE_S)
    old = box.learnt(1)
    end(box.analysis)
    box.write(speed=30.0, rate_hz=2000.0, learn_s=51.2)  # 80 windows: what is there now has fewer
    box.analysis = box.start("analysis")
    assert box.learnt(2) != old
    mature = box.learnt(2)
    assert box.windows() == 80
    assert slots.target(box.slots, slots.PREVIOUS) is None
    box.until(lambda: box.scores and box.scores[-1].model == mature, "score of the mature model")
    assert box.want("again").message == "asked: learn a new baseline"
    box.until(lambda: "new baseline that anna asked for" in box.scores[-1].reason, "word of the new one")
    assert (box.scores[-1].model, box.scores[-1].value is not None) == (mature, True)
    new = box.learnt(3)
    [asked] = box.told("learn.asked")
    made = box.told("model.learnt")[2]
    assert (made.who, made.why) == (asked.who, asked.why) == ("anna", "bearing replaced")
    assert (slots.target(box.slots, slots.PREVIOUS), ledger.wish(box.slots)) == (mature, None)
    assert box.learnt(4) != new
    assert slots.target(box.slots, slots.PREVIOUS) == mature
    assert bundles.load(box.slots / slots.PREVIOUS).id == mature


def test_a_wish_outlives_a_killed_process_and_the_guard(box: Box) -> None:
    box.begin(MATURE_S)
    old = box.learnt(1)
    assert box.want("again").ok
    box.until(lambda: ledger.wish(box.slots), "a wish on disk")
    box.analysis.kill()
    box.analysis.wait()
    box.analysis = box.start("analysis")
    box.until(lambda: box.told("learn.resumed"), "word of the wish")
    assert box.told("learn.resumed")[0].who == "anna"
    assert box.learnt(2) != old
    assert slots.target(box.slots, slots.PREVIOUS) == old


def test_a_sensor_that_is_not_there_is_refused(box: Box) -> None:
    box.begin(MATURE_S)
    box.until(lambda: box.scores, "a score")
    box.link.send(Learn("nde", "again", "anna", "why not"))
    box.until(lambda: box.told("learn.refused"), "a refusal")
    assert box.told("learn.refused")[0].message.endswith(
        "no such sensor; expected one of de; ask again with its name"
    )


class Desk:
    """A learner without its processes, on a model of its own; told: what it has journaled."""

    def __init__(self, folder: Path, made: bundles.Bundle, learn_s: float) -> None:
        settings = Analysis(window_s=0.5, overlap=0.0, learn_s=learn_s)
        self.config = Config(state_dir=folder, analysis=settings)
        self.slots = self.config.bundle_dir("de")
        self.mine = own.signed(made, self.config, "de")
        slots.enforce(self.mine, self.slots)
        self.stream = SensorStream("de", RATE_HZ, 2, settings, self.mine)
        self.told: list[ModelAct] = []

    def learner(self) -> Learner:
        """A process that starts."""
        one = Learner("de", self.config, Daemon("test"), self.told.append)
        one.attach(self.stream)
        return one

    def events(self) -> list[str]:
        return [act.event for act in self.told]


@pytest.fixture
def desk(tmp_path: Path, made: bundles.Bundle) -> Iterator[Callable[[float], Desk]]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield lambda learn_s: Desk(tmp_path, made, learn_s)
    for number, handler in before.items():
        signal.signal(number, handler)


def test_no_model_grows_along_with_a_machine_that_drifts(
    desk: Callable[[float], Desk], windows: Callable[..., F32]
) -> None:
    one = desk(300.0)
    learner = one.learner()
    gathering = one.stream.gathering
    assert gathering is not None
    assert gathering.wanted == 2 * one.mine.manifest.memory.windows == 200
    steady, drifted = windows(150, 1), [row * (1 + 0.01 * n) for n, row in enumerate(windows(50, 2))]
    for row in (*steady, *drifted):
        gathering.gathered.add(row, 1.0, {}, None)
    learner.turn(one.stream)
    assert one.events() == ["learn.ended"]
    assert f"{one.mine.id} grows no more: axis" in one.told[0].message
    assert one.stream.gathering is None
    one.learner()
    assert one.stream.gathering is None
    assert slots.target(one.slots, slots.ACTIVE) == one.mine.id


def test_a_wish_is_taken_back(desk: Callable[[float], Desk]) -> None:
    one = desk(10.0)
    learner = one.learner()
    assert one.stream.gathering is None  # it is mature
    learner.asked(Learn("de", "cancel", "anna", "nothing there"), one.stream)
    assert one.told == []
    learner.asked(Learn("de", "again", "anna", "bearing replaced"), one.stream)
    assert one.stream.gathering is not None
    assert "new baseline that anna asked for" in one.stream.gathering.words()
    assert ledger.wish(one.slots) == Wish("anna", "bearing replaced")
    learner.asked(Learn("de", "cancel", "bert", "wrong machine"), one.stream)
    assert one.stream.gathering is None
    assert ledger.wish(one.slots) is None
    assert one.events() == ["learn.cancelled"]
    assert (one.told[0].who, one.told[0].why) == ("bert", "wrong machine")


def test_a_first_model_that_replaces_a_base_needs_more_windows_whatever_was_asked_meanwhile(
    desk: Callable[[float], Desk],
) -> None:
    one = desk(100.0)
    learner = one.learner()
    base = manifests.Base("any machine", machines=20)
    one.stream.bundle = bundles.with_manifest(one.mine, msgspec.structs.replace(one.mine.manifest, base=base))
    learner.attach(one.stream)
    for act, purpose in (
        ("again", "that anna asked for"),
        ("cancel", "until its own model replaces the base"),
    ):
        learner.asked(Learn("de", act, "anna", "bearing replaced"), one.stream)
        assert one.stream.gathering is not None
        assert one.stream.gathering.wanted == OWN_WINDOWS
        assert one.stream.gathering.purpose.endswith(purpose)


def test_a_damaged_wish_is_told_not_obeyed(desk: Callable[[float], Desk]) -> None:
    one = desk(10.0)
    (one.slots / ledger.WISH).write_text("{")
    one.learner()
    assert one.events() == ["learn.dropped"]
    assert one.stream.gathering is None


def test_another_model_in_force_ends_the_growing(
    desk: Callable[[float], Desk], other: bundles.Bundle
) -> None:
    one = desk(300.0)
    learner = one.learner()
    assert one.stream.gathering is not None
    slots.enforce(other, one.slots)
    opened = SensorStream("de", RATE_HZ, 2, one.config.analysis, other)
    learner.attach(opened)
    assert one.events() == ["learn.ended"]
    assert one.told[0].message == f"learning ended: {other.id} is in force instead"
    assert opened.gathering is None  # it is not of our own making


def test_what_drifts_before_there_is_a_model_is_refused_and_gathering_goes_on(
    desk: Callable[[float], Desk], windows: Callable[..., F32]
) -> None:
    one = desk(300.0)
    one.stream = SensorStream("de", RATE_HZ, 2, one.config.analysis)
    learner = one.learner()
    gathering = one.stream.gathering
    assert gathering is not None
    for n, row in enumerate(windows(40, 1)):
        gathering.gathered.add(row * (1 + 0.02 * n), 1.0, {}, None)
    learner.turn(one.stream)
    assert one.events() == ["learn.refused"]
    assert "expected a steady machine" in one.told[0].message
    assert one.stream.gathering is gathering
    assert gathering.windows == 20


def test_a_new_baseline_that_is_rolled_back_at_once_is_not_taken_up(
    desk: Callable[[float], Desk], windows: Callable[..., F32]
) -> None:
    one = desk(10.0)
    learner = one.learner()
    learner.asked(Learn("de", "again", "anna", "bearing replaced"), one.stream)
    assert one.stream.gathering is not None
    for row in windows(40, 1):
        one.stream.gathering.gathered.add(row, 1.0, {}, None)
    learner.turn(one.stream)
    end_s = time.monotonic() + PATIENCE_S
    while not one.told and time.monotonic() < end_s:
        time.sleep(0.01)
    assert one.events() == ["model.learnt"]
    assert slots.target(one.slots, slots.PREVIOUS) == one.mine.id
    slots.rollback(one.slots, str(slots.target(one.slots, slots.ACTIVE)))
    while one.stream.gathering is not None and time.monotonic() < end_s:
        learner.turn(one.stream)
    assert one.events() == ["model.learnt", "learn.ended"]
    assert slots.target(one.slots, slots.ACTIVE) == one.mine.id
