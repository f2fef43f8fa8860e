"""A latency histogram that costs one list increment on the trip path."""

import math

_FIRST_US = 1.0
_RATIO = 1.1
_BINS = 180
_LOG_RATIO = math.log(_RATIO)


class LatencyHistogram:
    """Geometric bins of 10 % from 1 µs to 28 s."""

    def __init__(self) -> None:
        self._counts = [0] * _BINS
        self.total = 0
        self.max_us = 0.0

    def add(self, us: float) -> None:
        """Count one latency in microseconds."""
        bin_ = int(math.log(us / _FIRST_US) / _LOG_RATIO) if us > _FIRST_US else 0
        self._counts[min(bin_, _BINS - 1)] += 1
        self.total += 1
        self.max_us = max(self.max_us, us)

    def quantile_us(self, share: float) -> float:
        """Upper edge of the bin that holds this share of all latencies, µs; 0 without any."""
        wanted = share * self.total
        seen = 0
        for bin_, count in enumerate(self._counts):
            seen += count
            if seen >= wanted and count:
                return min(_FIRST_US * _RATIO ** (bin_ + 1), self.max_us)
        return self.max_us

    def summary_us(self) -> tuple[float, float, float]:
        """p50, p99 and max, µs."""
        return self.quantile_us(0.5), self.quantile_us(0.99), self.max_us
