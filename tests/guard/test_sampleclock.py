"""The measured sample clock: rate, jitter, losses, and block times, whatever the scheduler does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.guard.sampleclock import SampleClock

ORIGIN_NS = 5_000_000_000_000


def drains(true_hz, n, seconds, late_s):
    """(host_ns, true end in s) of every block of n samples; late_s(k) is the lateness of block k."""
    for k in range(round(seconds * true_hz / n)):
        end_s = (k + 1) * n / true_hz
        yield ORIGIN_NS + round((end_s + late_s(k)) * 1e9), end_s


def measured(nominal_hz, true_hz, n, seconds, late_s):
    """The clock, and its error of every block's end against the true one, s."""
    clock, wrong_s = SampleClock(nominal_hz), []
    for host_ns, end_s in drains(true_hz, n, seconds, late_s):
        clock.update(n, host_ns)
        wrong_s.append((clock.end_ns() - ORIGIN_NS) * 1e-9 - end_s)
    return clock, np.array(wrong_s)


@pytest.mark.parametrize(("nominal_hz", "block_s"), [(50, 1.0), (3200, 0.01), (6400, 0.1), (25600, 0.02)])
@pytest.mark.parametrize("off", [-0.03, 0.03])
def test_a_chip_3_percent_off_is_measured_within_500_ppm_after_20_s(nominal_hz, block_s, off):
    rng = np.random.default_rng(1)
    true_hz = nominal_hz * (1 + off)
    clock, _ = measured(
        nominal_hz, true_hz, round(block_s * nominal_hz), 20, lambda _: abs(rng.normal(0, 1e-3))
    )
    assert clock.rate_hz == pytest.approx(true_hz, rel=5e-4)
    assert clock.ppm == pytest.approx(off * 1e6, abs=500)
    assert 0.2 <= clock.jitter_ms <= 1.2  # of the half normal distribution with sigma 1 ms: 0.6 ms
    assert clock.blocks == round(20 * true_hz / round(block_s * nominal_hz))


def test_until_a_second_has_passed_the_nominal_rate_holds():
    clock, _ = measured(1000, 1030, 100, 0.9, lambda _: 0.0)
    assert (clock.rate_hz, clock.ppm, clock.jitter_ms, clock.trusted) == (1000, 0, 0, False)


def test_lost_samples_count_for_the_clock_and_are_published():
    clock = SampleClock(1000)
    for k in range(100):
        if k % 10 != 5:
            lost = 100 if k % 10 == 6 else 0
            clock.update(100, ORIGIN_NS + (k + 1) * 100_000_000, lost)
    assert clock.rate_hz == pytest.approx(1000, rel=1e-9)
    assert clock.lost == 1000
    assert clock.count == 10_000


@pytest.mark.parametrize("at", [15, 40, 150])
@pytest.mark.parametrize("hiccup_s", [0.02, 0.1, 0.4])
def test_a_hiccup_moves_neither_the_rate_nor_the_block_times(at, hiccup_s):
    """The reader sleeps: the block is late, and so are those behind it, until it has caught up."""
    rng = np.random.default_rng(2)
    quiet = np.abs(rng.normal(0, 1e-4, 300))
    clock, wrong_s = measured(
        6400, 6592, 640, 25, lambda k: max(quiet[k], hiccup_s - (k - at) * 0.097 if k >= at else 0.0)
    )
    assert np.abs(wrong_s[at - 1 :]).max() < 4e-3
    assert clock.rate_hz == pytest.approx(6592, rel=1e-4)


def test_a_change_that_lasts_is_followed():
    """A jump of the oscillator by 10 % is no hiccup."""
    clock = SampleClock(1000)
    t_s = 0.0
    for k in range(600):
        t_s += 0.1 if k < 200 else 0.1 / 1.1
        clock.update(100, ORIGIN_NS + round(t_s * 1e9))
    assert clock.rate_hz == pytest.approx(1100, rel=0.02)


def test_a_restart_begins_anew_and_keeps_the_losses():
    clock, _ = measured(1000, 1030, 100, 5, lambda _: 0.0)
    clock.update(100, ORIGIN_NS + 6_000_000_000, lost=7)
    fresh = clock.restarted()
    assert (fresh.lost, fresh.blocks, fresh.rate_hz) == (7, 0, 1000)


lateness_s = st.one_of(st.floats(0, 2e-3), st.floats(0, 0.4))


@settings(max_examples=60, deadline=None)
@given(
    late_s=st.lists(lateness_s, min_size=1, max_size=60),
    sizes=st.lists(st.tuples(st.integers(1, 400), st.integers(0, 50)), min_size=1, max_size=60),
    off=st.floats(-0.04, 0.04),
)
def test_block_times_increase_and_stay_near_the_truth_whatever_the_schedule(late_s, sizes, off):
    true_hz = 1000 * (1 + off)
    clock = SampleClock(1000)
    taken, now_s, before_ns, worst_s = 0, 0.0, None, 0.0
    for k in range(240):
        n, lost = sizes[k % len(sizes)]
        taken += n + lost
        now_s = max(now_s, taken / true_hz + late_s[k % len(late_s)])  # arrivals come in order
        worst_s = max(worst_s, now_s - taken / true_hz)
        clock.update(n, ORIGIN_NS + round(now_s * 1e9), lost)
        end_ns = clock.end_ns()
        assert before_ns is None or end_ns > before_ns
        before_ns = end_ns
    if taken / true_hz > 1.5:
        assert abs((before_ns - ORIGIN_NS) * 1e-9 - taken / true_hz) < worst_s + 0.2
