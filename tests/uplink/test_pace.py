"""Late messages at their pace."""

import pytest

from appliance.uplink.pace import Pace


def sent(pace: Pace, until_s: float, step_s: float = 0.01, begin_s: float = 0.0) -> int:
    """How many leave if somebody takes all that may leave, every `step_s`."""
    total = 0
    for n in range(round((until_s - begin_s) / step_s)):
        allowed = pace.allowed(begin_s + n * step_s)
        pace.used(allowed)
        total += allowed
    return total


@pytest.mark.parametrize("rate_hz", [1.0, 7.0, 200.0, 5000.0])
def test_the_rate_holds_and_nothing_is_saved_up(rate_hz):
    pace = Pace(rate_hz, 0.0)
    pace.connected(0.0, 1e9)
    assert sent(pace, 10.0) == pytest.approx(10 * rate_hz, rel=0.03, abs=1)
    assert pace.allowed(1000.0) <= max(2, rate_hz * 0.05)


def test_no_rate_is_no_limit():
    pace = Pace(0.0, 0.0)
    pace.connected(0.0, 5.0)
    assert pace.allowed(0.0) > 100_000
    assert pace.wait_s(0.0) == 0.0


def test_a_plant_does_not_come_back_all_at_once():
    begins = []
    for _ in range(300):
        pace = Pace(0.0, 30.0)
        pace.connected(100.0, 3600.0)
        assert pace.allowed(100.0) == 0 or pace.wait_s(100.0) == 0
        begins.append(pace.wait_s(100.0))
        assert pace.allowed(100.0 + begins[-1] + 1e-6) > 0
    assert 0 <= min(begins) < 3
    assert 27 < max(begins) <= 30


def test_after_a_short_cut_nobody_waits_longer_than_it_lasted():
    for _ in range(100):
        pace = Pace(200.0, 30.0)
        pace.connected(50.0, 2.0)
        assert pace.wait_s(50.0) <= 2.0
