"""The adapter on windows of the small machine, with real slots: what is accepted, followed, refused, told."""

import signal
import threading
import time

import numpy as np
import pytest
from small_machine import AXES, RATE_HZ, N, accelerations, bundle_of

from appliance.analysis import ledger, own, signature, slots
from appliance.analysis.adapter import Adapter
from appliance.analysis.stream import SensorStream
from appliance.config import Analysis, Config
from appliance.daemon import Daemon
from appliance.models import Models
from appliance.records import ChannelState, GuardState, Level, MachineState, SampleBlock
from appliance.requests import Learn

SCALE_MPS2 = 1e-3
SETTINGS = Analysis(window_s=N / RATE_HZ, overlap=0.0, settle_s=0.0)
ENOUGH = 300
"""Windows in which a new condition is found and gathered: 240 are 120 s."""
ACCEPT, REFUSE = (Learn("de", act, "anna", "new product") for act in ("accept", "refuse"))


def guard(level=Level.NORMAL, zone="A"):
    channel = ChannelState("de.velocity", level, True, 1.0, "mm/s", 4.5, 7.1, 0, zone=zone)
    quiet = (0, 0, "ntp", level, False, True, MachineState.RUNNING)
    return GuardState(*quiet, channels=(channel,), clocks=())


@pytest.fixture
def daemon():
    kept = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT), threading.excepthook
    yield Daemon("test")
    signal.signal(signal.SIGTERM, kept[0])
    signal.signal(signal.SIGINT, kept[1])
    threading.excepthook = kept[2]


class Box:
    """What the analysis process does with one sensor, as fast as it goes."""

    def __init__(self, folder, learnt, daemon, **models):
        self.config = Config(state_dir=folder, models=Models(**models))
        self.slots = self.config.bundle_dir("de")
        self.parent = own.signed(bundle_of(learnt), self.config, "de")
        slots.enforce(self.parent, self.slots)
        self.told, self._daemon, self._t_ns, self._seq = [], daemon, 0, 0
        self.restart()

    def restart(self):
        self.adapter = Adapter("de", self.config, self._daemon, self.told.append)
        self._open()
        self.adapter.follow(guard())

    def _open(self):
        self.stream = SensorStream("de", RATE_HZ, len(AXES), SETTINGS, slots.active(self.slots))
        self.adapter.attach(self.stream)

    def run(self, count, seed, **how):
        """So many windows of the machine; the qualities of their scores."""
        scores = []
        for window in accelerations(count, seed, **how):
            counts = np.rint(window.T / SCALE_MPS2).astype("<i2").tobytes()
            block = SampleBlock("de", self._seq, self._t_ns, RATE_HZ, len(AXES), SCALE_MPS2, counts)
            self._t_ns, self._seq = block.t1_mono_ns, self._seq + 1
            scores += self.stream.push(block)
            self.adapter.turn(self.stream)
            self.settle()
        return scores

    def settle(self):
        """Wait for an adaptation under way; take up what came of it."""
        deadline_s = time.monotonic() + 10.0
        while any(thread.name == "adapt-de" for thread in threading.enumerate()):
            assert time.monotonic() < deadline_s
            time.sleep(0.005)
        if slots.target(self.slots, slots.ACTIVE) != self.stream.model:
            self._open()

    def ask(self, request):
        self.adapter.asked(request, self.stream)
        self.settle()

    @property
    def active(self):
        return slots.active(self.slots)

    @property
    def events(self):
        return [act.event for act in self.told]


def high(scores):
    return np.mean([score.value > score.threshold for score in scores])


@pytest.fixture
def box(tmp_path, learnt, daemon):
    return lambda **models: Box(tmp_path, learnt, daemon, **models)


def test_what_was_gathered_is_learnt_when_a_person_accepts_it(box):
    one = box()
    one.run(30, 301)
    one.run(ENOUGH, 302, load=2.4)
    assert one.events == ["condition.gathered"]
    assert one.active.id == one.parent.id
    one.run(30, 303)  # back to what is known: the answer may come later
    one.ask(ACCEPT)
    assert one.events == ["condition.gathered", "model.adapted"]
    adapted = one.told[-1]
    assert (adapted.who, adapted.why, adapted.severity) == ("anna", "new product", "info")
    child = one.active
    assert child.id in adapted.message
    assert child.manifest.model.parent_sha256 == one.parent.sha256
    assert slots.target(one.slots, slots.PREVIOUS) == one.parent.id
    origin = child.manifest.origin
    assert origin.signer == signature.public_key(signature.own_key(one.config.device_key_path))
    assert origin.serial == one.parent.manifest.origin.serial + 1
    trial = ledger.trial(one.slots)
    assert (trial.stage, trial.model, trial.other) == ("probation", child.id, one.parent.id)
    assert [act.what for act in ledger.acts(one.slots)] == [f"adapted from {one.parent.id}"]
    assert high(one.run(60, 304, load=2.4)) <= 0.05
    assert high(one.run(40, 305, load=2.4, tone_hz=310, amplitude=3.0)) >= 0.95


def test_the_policy_may_accept(box):
    one = box(new_condition="accept")
    one.run(ENOUGH, 306, load=2.4)
    assert one.events == ["condition.gathered", "model.adapted"]
    assert (one.told[-1].who, one.told[-1].why) == ("appliance", "models.new_condition")


@pytest.mark.parametrize("policy", ["ask", "accept"])
@pytest.mark.parametrize("bad", [{"level": Level.ALERT}, {"zone": "C"}, {"zone": "D"}])
def test_nothing_is_learnt_while_an_alarm_stands_or_the_zone_is_bad(box, policy, bad):
    one = box(new_condition=policy)
    one.run(30, 307)
    one.adapter.follow(guard(**bad))
    one.run(ENOUGH, 308, load=2.4)
    assert one.stream.novelty.gathered == []
    one.adapter.follow(guard())
    one.run(240 - 1, 309, load=2.4)
    assert one.events == []
    one.adapter.follow(guard(**bad))
    one.ask(ACCEPT)
    assert one.events == ["learn.refused"]
    assert "Alert" in one.told[0].message or "zone" in one.told[0].message
    assert one.active.id == one.parent.id


def test_an_answer_to_what_is_not_there_or_not_enough_is_refused(box):
    one = box()
    one.run(30, 310)
    for request in (ACCEPT, REFUSE):
        one.ask(request)
        assert f"no new operating condition to {request.act}" in one.told[-1].message
    one.run(60, 311, load=2.4)
    one.ask(ACCEPT)
    assert "gathered; ask again later" in one.told[-1].message
    assert one.events == ["learn.refused"] * 3
    one.ask(Learn("de", "again", "anna", "of no concern here"))
    assert len(one.told) == 3


def test_a_refused_condition_counts(box):
    one = box()
    one.run(60, 312, load=2.4)
    one.ask(REFUSE)
    assert one.events == ["condition.refused"]
    assert {score.quality.value for score in one.run(60, 313, load=2.4)} == {"ok"}


def test_slow_change_is_followed_only_where_the_file_says_so(box):
    one = box()
    one.run(130, 314)
    assert one.stream.slow_change is None
    assert one.told == []


def test_slow_change_is_followed_until_its_budget_is_spent(box):
    one = box(adapt_every_h=60 / 3600)
    one.run(130, 315)
    assert one.events == ["model.adapted"]
    assert one.told[0].why == "models.adapt_every_h"
    child = one.active
    assert child.manifest.recordings[-1].name == "slow change"
    one.stream.slow_change._rows.clear()
    one.run(
        130, 316, tone_hz=310, amplitude=2.0
    )  # single bands moved: a fault, whatever the score says of it
    assert one.events == ["model.adapted", "model.drift_budget_spent"]
    assert one.told[1].severity == "warning"
    assert "commissioned" in one.told[1].message
    assert one.active.id == child.id
    one.run(130, 317)
    assert len(one.told) == 2
    one.restart()
    assert one.stream.slow_change is None  # a restart does not give a new budget
    one.run(60 + ENOUGH, 318, load=2.4)
    one.ask(ACCEPT)
    assert one.stream.slow_change is not None  # a person has looked


def test_an_alarm_during_the_period_begins_it_anew(box):
    one = box(adapt_every_h=60 / 3600)
    one.run(100, 319)
    one.adapter.follow(guard(Level.ALERT))
    one.run(1, 320)
    one.adapter.follow(guard())
    one.run(100, 321)
    assert one.told == []
    one.run(30, 322)
    assert one.events == ["model.adapted"]


def test_a_stream_opened_anew_begins_no_second_adaptation(box, monkeypatch):
    one = box()
    one.run(ENOUGH, 325, load=2.4)
    go_on = threading.Event()
    sign = own.signed
    monkeypatch.setattr(own, "signed", lambda *given: go_on.wait(10.0) and sign(*given))
    one.adapter.asked(ACCEPT, one.stream)
    one.adapter.attach(one.stream)  # the guard is back
    one.adapter.asked(ACCEPT, one.stream)
    go_on.set()
    one.settle()
    assert one.events == ["condition.gathered", "learn.refused", "model.adapted"]
    assert "ask again later" in one.told[1].message


def test_before_the_guard_has_spoken_nothing_is_learnt(box):
    one = box(new_condition="accept", adapt_every_h=60 / 3600)
    one.adapter = Adapter("de", one.config, one._daemon, one.told.append)
    one.adapter.attach(one.stream)
    one.run(ENOUGH, 323, load=2.4)
    one.run(130, 324)
    assert one.told == []
