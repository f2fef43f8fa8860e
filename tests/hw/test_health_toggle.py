"""The health toggle: as long as it is beaten, and not one edge longer."""

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.health_toggle import HealthToggle
from hw.ports import PortError
from hw.sim.relay import SimRelay

HALF_NS = 100_000_000


class Hand:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.ns = 0

    def __call__(self) -> int:
        return self.ns


def test_a_square_wave_while_its_owner_moves():
    hand, line = Hand(), SimRelay()
    toggle = HealthToggle(line, 0.2, hand)
    levels = []
    for hand.ns in range(0, 2_000_000_000, 10_000_000):
        toggle.beat()
        levels.append(line.read())
    assert levels == [(step // 10) % 2 == 0 for step in range(200)]


@given(st.lists(st.integers(0, 3 * HALF_NS), max_size=60))
def test_edges_are_never_closer_than_half_a_period_and_never_without_a_beat(gaps):
    hand, line = Hand(), SimRelay()
    toggle = HealthToggle(line, 0.2, hand)
    edges = []
    for gap in gaps:
        hand.ns += gap
        before = len(line.edges)
        toggle.beat()
        edges += [hand.ns] * (len(line.edges) - before)
    assert all(later - earlier >= HALF_NS for earlier, later in itertools.pairwise(edges))
    assert len(edges) <= len(gaps)


def test_after_a_stall_no_burst():
    hand, line = Hand(), SimRelay()
    toggle = HealthToggle(line, 0.2, hand)
    toggle.beat()
    hand.ns = 60_000_000_000
    for _ in range(50):
        toggle.beat()
    assert len(line.edges) == 2


def test_a_line_that_cannot_be_written_is_told_every_time():
    hand = Hand()

    toggle = HealthToggle(SimRelay(Path("/dev/full")), 0.2, hand)
    for _ in range(3):
        with pytest.raises(PortError, match="free the disk"):
            toggle.beat()


@pytest.mark.parametrize("period_s", [0.0, -1.0])
def test_a_period_must_be_positive(period_s):
    with pytest.raises(ValueError, match="expected above 0"):
        HealthToggle(SimRelay(), period_s)
