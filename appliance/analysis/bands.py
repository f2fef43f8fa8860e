"""Which frequency bands a sample rate and a window length can carry: physics, fixed in Hz, never fitted.

Every edge is rounded to three significant digits: the edge in a feature's name is the edge in the sum.
"""

import math
from itertools import pairwise

Band = tuple[float, float]

USABLE = 0.45
"""Highest frequency used, as a share of the rate: above it the sensor's own filter shapes the spectrum."""
RATE_LIMIT = 0.1
"""How far a measured rate may be from nominal, relative; beyond, the bands no longer fit."""
LOG_BANDS = 32
ENVELOPE_BANDS = 4
ENVELOPE_TOP_HZ = 24_000.0
"""Structural resonances that a bearing fault excites lie below this."""
ENVELOPE_MIN_WIDTH_HZ = 30.0
"""A narrower band cannot carry a modulation at shaft speed."""
ENVELOPE_MIN_BINS = 16
ISO_VELOCITY_HZ: Band = (10.0, 1000.0)


def log_bands(rate_hz: float, n: int) -> tuple[Band, ...]:
    """Up to 32 log-spaced bands from the lowest frequency that means anything to 0.45 * rate_hz.

    The lowest edge is 1.5 bins (below, a Hann window sees the removed mean), and no less than 2 Hz (slow
    sensors, which sit on slow machines) to 5 Hz (from 1 kHz on). Bands narrower than two bins are merged.
    Empty where the window is too short for any band.
    """
    bin_hz = rate_hz / n
    low = max(1.5 * bin_hz, min(5.0, max(2.0, rate_hz / 200.0)))
    high = USABLE * rate_hz
    for clock in (1 - RATE_LIMIT, 1, 1 + RATE_LIMIT):
        first, last = bins_of((low, high), rate_hz * clock, n)
        if first >= last:
            return ()
    edges = [rounded(low)]
    for i in range(1, LOG_BANDS):
        edge = rounded(low * (high / low) ** (i / LOG_BANDS))
        if edge - edges[-1] >= 2 * bin_hz and high - edge >= 2 * bin_hz:
            edges.append(edge)
    edges.append(rounded(high))
    return tuple(pairwise(edges))


def envelope_bands(rate_hz: float, n: int) -> tuple[Band, ...]:
    """The four octaves below min(0.45 * rate_hz, 24 kHz), lowest first, less those too narrow."""
    top = min(USABLE * rate_hz, ENVELOPE_TOP_HZ)
    narrowest = max(ENVELOPE_MIN_WIDTH_HZ, ENVELOPE_MIN_BINS * rate_hz / n)
    octaves = [(rounded(top / 2 ** (i + 1)), rounded(top / 2**i)) for i in reversed(range(ENVELOPE_BANDS))]
    return tuple((low, high) for low, high in octaves if high - low >= narrowest)


def velocity_band(rate_hz: float, n: int) -> Band | None:
    """The part of 10–1000 Hz that can be integrated to velocity; None where nothing of it can.

    Whole only from 2560 Hz and 1 s on: the lowest frequency needs ten periods, fewer where ten would cost the
    band more than 16 Hz (a shaft at 960 rpm), but never less than four. The highest needs rate_hz / 2.56.
    """
    window_s = n / rate_hz
    low = rounded(max(ISO_VELOCITY_HZ[0], min(10 / window_s, 16.0), 4 / window_s))
    high = rounded(min(ISO_VELOCITY_HZ[1], rate_hz / 2.56))
    return (low, high) if high - low >= 2 * rate_hz / n else None


def bins_of(band: Band, rate_hz: float, n: int) -> tuple[int, int]:
    """First bin at or above the lower edge, and the first at or above the upper one."""
    first, last = (math.ceil(edge * n / rate_hz - 1e-9) for edge in band)
    return max(1, first), min(last, (n - 1) // 2 + 1)


def rounded(value_hz: float) -> float:
    """`value_hz` to three significant digits, without a trace of binary rounding."""
    if value_hz == 0:
        return 0.0
    return round(value_hz, 2 - math.floor(math.log10(abs(value_hz))))
