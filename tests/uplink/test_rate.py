"""How often the plant may ask."""

from hypothesis import given
from hypothesis import strategies as st

from appliance.uplink.rate import Rate


def granted(rate, name, n, now_s):
    return sum(rate.allows(name, now_s) for _ in range(n))


def test_twenty_at_once_then_one_a_second():
    rate = Rate(("a", "b"))
    assert granted(rate, "a", 1000, 100.0) == 20
    assert granted(rate, "a", 1000, 100.9) == 0
    assert granted(rate, "a", 1000, 103.5) == 3
    assert granted(rate, "a", 1000, 10_000.0) == 20


def test_models_are_verified_seldom():
    rate = Rate(("a", "model"))
    assert granted(rate, "model", 100, 100.0) == 2
    assert granted(rate, "model", 100, 159.0) == 0
    assert granted(rate, "model", 100, 161.0) == 1


def test_a_flood_of_one_leaves_the_others_theirs_and_all_have_a_bound():
    rate = Rate(("a", "b", "c"))
    assert granted(rate, "a", 100_000, 100.0) == 20
    assert granted(rate, "b", 100, 100.0) == 20
    assert granted(rate, "c", 100, 100.0) == 0
    assert granted(rate, "c", 100, 101.0) == 4


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(-1e6, 1e6)), max_size=200))
def test_a_clock_that_jumps_grants_no_more_than_a_burst_a_jump(calls):
    rate = Rate(("a", "b"))
    passed_s, before_s, got = 0.0, 0.0, 0
    for name, now_s in calls:
        passed_s += max(0.0, now_s - before_s)
        before_s = now_s
        got += rate.allows(name, now_s)
    assert got <= 40 + 4 * passed_s
