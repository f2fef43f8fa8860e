"""The invariants of the protection, over histories that hypothesis draws; `tools/prove_rack` has more."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from rack_moves import MOVES, any_spec
from rack_proof import INVARIANTS, RackProof, play

from appliance.guard.alarm import AlarmEngine
from appliance.guard.channel import Condition, Setpoints
from appliance.guard.interlock import Interlock
from appliance.guard.latch import Latch
from appliance.guard.rack import Rack, RackState

PROVE = Path(__file__).resolve().parents[2] / "tools" / "prove_rack"
RANDOM = st.randoms(use_true_random=False)


class AnyHistory(RuleBasedStateMachine):
    """Any plant and operator on any specification; the proof checks each step."""

    @initialize(draw=RANDOM)
    def build(self, draw: Random) -> None:
        self.proof = RackProof(any_spec(draw))

    @rule(draw=RANDOM, name=st.sampled_from(sorted(MOVES)))
    def move(self, draw: Random, name: str) -> None:
        self.proof.step(draw, *MOVES[name][1](draw))

    @rule(draw=RANDOM)
    def power_cut(self, draw: Random) -> None:
        self.proof.restart(draw)


AnyHistory.TestCase.settings = settings(
    max_examples=100, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
test_no_history_breaks_an_invariant = AnyHistory.TestCase


def _forgets_multiply(self: Rack) -> RackState:
    state = SNAPSHOT(self)
    state.engine.multiply_ns = None
    return state


def _multiplies_everything(self: AlarmEngine, spec: object) -> Setpoints:
    alert, danger = SETPOINTS(self, spec)
    return Setpoints(alert, danger * 2.0 if self.state.multiplying and danger is not None else danger)


SNAPSHOT, SETPOINTS = Rack.snapshot, AlarmEngine._setpoints
WRONG: dict[str, tuple[type, str, object]] = {
    "a bypass that never ends": (Interlock, "_expire", lambda *_: []),
    "a reset while the condition stands": (Interlock, "standing", lambda *_: ()),
    "a delay that runs on while NOT OK": (Condition, "hold", lambda *_: None),
    "NOT OK read as normal": (AlarmEngine, "not_ok", lambda one, name, t_ns, *_: one.value(name, t_ns, 0.0)),
    "a bypass that a power cut lengthens": (Latch, "after", lambda kept, _: kept),
    "a relay energised at once": (Interlock, "energise", property(lambda one: not one.state.tripped)),
    "a snapshot that forgets": (Rack, "snapshot", _forgets_multiply),
    "temperature multiplied": (AlarmEngine, "_setpoints", _multiplies_everything),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_the_proof_finds_a_rack_that_is_wrong(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*WRONG[wrong])
    with pytest.raises(AssertionError):
        _play(40)


def test_the_proof_finds_nothing_in_ours() -> None:
    _play(40)


def test_the_command_counts_how_often_each_invariant_mattered() -> None:
    command = [sys.executable, str(PROVE), "--steps", "2000", "--seed", "7"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    for text in INVARIANTS.values():
        found = re.search(rf"^ *([\d,]+)  {re.escape(text)}$", done.stdout, re.MULTILINE)
        assert found is not None, text
        assert int(found[1].replace(",", "")) > 0, text


def _play(episodes: int) -> None:
    for seed in range(episodes):
        play(str(seed), Counter(), Counter())
