"""A small machine whose windows go through the real features: two axes, two loads, 1 kHz."""

import numpy as np

from appliance.analysis import bundle

RATE_HZ, N, AXES = 1000.0, 500, ("x", "y")


def accelerations(count, seed, load=1.0, tone_hz=None, amplitude=1.0):
    """(count, 2, N) m/s²: a shaft at 25 Hz, noise that follows load; tone_hz: a fault on axis y."""
    rng = np.random.default_rng(seed)
    t = np.arange(N) / RATE_HZ
    out = np.empty((count, 2, N), np.float32)
    for window in out:
        shaft, phase = 25 * load**0.1 * (1 + 0.003 * rng.standard_normal()), rng.uniform(0, 2 * np.pi, 4)
        level = load * (1 + 0.08 * rng.standard_normal())
        wave = sum(
            a * np.sin(2 * np.pi * h * shaft * t + phase[h]) for h, a in ((1, 1.0), (2, 0.4), (3, 0.2))
        )
        window[0] = level * wave + 0.3 * level * rng.standard_normal(N)
        window[1] = 0.5 * level * wave + 0.2 * level * rng.standard_normal(N)
        if tone_hz is not None:
            window[1] += amplitude * np.sin(2 * np.pi * tone_hz * t)
    return out


def bundle_of(learnt, created_s=1_700_000_000):
    return bundle.make(
        learnt,
        sensor="de",
        rate_hz=RATE_HZ,
        axis_names=AXES,
        window_s=N / RATE_HZ,
        n=N,
        overlap=0.0,
        lowest_level=1.0,
        level_unit="m/s²",
        recordings=tuple(f"load {i}" for i in range(len(learnt.windows))),
        created_utc_ns=created_s * 10**9,
    )
