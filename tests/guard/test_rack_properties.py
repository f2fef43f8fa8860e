"""The invariants of the protection, over histories that hypothesis draws; `tools/prove_rack` has more."""

from random import Random

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from rack_proof import MOVES, RackProof, any_spec

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
    max_examples=120, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
test_no_history_breaks_an_invariant = AnyHistory.TestCase
