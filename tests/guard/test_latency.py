"""The latency histogram against exact quantiles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.guard.latency import LatencyHistogram


def test_without_any_it_says_zero():
    assert LatencyHistogram().summary_us() == (0.0, 0.0, 0.0)


@given(st.lists(st.floats(1.0, 2e7), min_size=1, max_size=200), st.floats(0.01, 1.0))
def test_a_quantile_is_exact_within_a_bin(values, share):
    histogram = LatencyHistogram()
    for value in values:
        histogram.add(value)
    exact = np.quantile(values, share, method="inverted_cdf")
    assert exact <= histogram.quantile_us(share) * (1 + 1e-9)
    assert histogram.quantile_us(share) <= exact * 1.1 * (1 + 1e-9)
    assert histogram.quantile_us(1.0) == histogram.max_us == max(values)
    assert histogram.total == len(values)


@pytest.mark.parametrize("us", [0.0, 0.3, 1.0, 1e9, 1e30])
def test_the_very_short_and_the_very_long_have_a_bin(us):
    histogram = LatencyHistogram()
    histogram.add(us)
    p50, p99, most = histogram.summary_us()
    assert p50 <= p99 <= most == us
