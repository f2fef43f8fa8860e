"""Features of one 3 × 4096 window: CPU time and memory, ours beside TSFEL, tsfresh and plain scipy.

All get the same window in the same run, one thread each; CPU time is time.process_time, so a busy machine
adds little to the minimum. Import time and memory are those of a fresh process that computes one result.
The extractors do not compute the same figures: the ratio is what a window costs, not what a feature costs.
"""

import argparse
import gc
import importlib.metadata
import importlib.util
import platform
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from appliance.analysis.features import Extractor
from appliance.analysis.fft import F32, rfft

ROOT = Path(__file__).resolve().parents[2]
RATE_HZ = 3332.0
SAMPLES = 4096
BUDGET_MS = 0.6


@dataclass(frozen=True)
class Contestant:
    """make(window): a call that computes and counts its features. packages: what it needs. rounds: timed."""

    name: str
    make: Callable[[F32], Callable[[], int]]
    packages: tuple[str, ...]
    rounds: int


def window() -> F32:
    """A shaft at 24.7 Hz, gravity, noise and a knocking bearing, m/s², (3, 4096); the same every time."""
    rng = np.random.default_rng(7)
    t = np.arange(SAMPLES) / RATE_HZ
    shaft = sum(np.sin(2 * np.pi * 24.7 * h * t + h) / h for h in range(1, 6))
    since = np.mod(t, 1 / 88.4)
    knock = np.exp(-600 * since) * np.sin(2 * np.pi * 1200 * since)
    axes = [gain * shaft + knock + rng.normal(0, 0.3, SAMPLES) for gain in (1.0, 0.6, 0.3)]
    axes[2] += 9.80665
    return np.array(axes, np.float32)


def ours(accel: F32) -> Callable[[], int]:
    extractor = Extractor(RATE_HZ, SAMPLES)
    return lambda: len(extractor(accel, RATE_HZ))


def ours_and_metrics(accel: F32) -> Callable[[], int]:
    extractor = Extractor(RATE_HZ, SAMPLES)

    def call() -> int:
        analysed = extractor.analyse(accel, RATE_HZ)
        return len(analysed.features) + len(extractor.metrics(analysed, nameplate_hz=24.7))

    return call


def transform_only(accel: F32) -> Callable[[], int]:
    return lambda: rfft(accel).shape[0] * 0


def plain_scipy(accel: F32) -> Callable[[], int]:
    """The same kinds of figures as one writes them with scipy: axis by axis, filters made once."""
    from scipy import signal, stats  # noqa: PLC0415

    extractor = Extractor(RATE_HZ, SAMPLES, ("x",))
    bands = [feature.band_hz for feature in extractor.features if feature.kind == "band" and feature.band_hz]
    octaves = [feature.band_hz for feature in extractor.features if feature.kind == "envelope"]
    filters = [signal.butter(4, octave, "bandpass", fs=RATE_HZ, output="sos") for octave in octaves]

    def axis(x: F32) -> list[float]:
        x = signal.detrend(x, type="constant")
        f, density = signal.periodogram(x, RATE_HZ, window="hann", detrend=False)
        power = density * RATE_HZ / SAMPLES
        rms, peak = np.sqrt(np.mean(x**2)), np.max(np.abs(x))
        figures = [rms, peak, peak / rms, stats.kurtosis(x, fisher=False), stats.skew(x)]
        iso = (f >= 10) & (f <= 1000)
        figures.append(1e3 * np.sqrt(np.sum(power[iso] / (2 * np.pi * f[iso]) ** 2)))
        used = (f >= bands[0][0]) & (f < bands[-1][1])
        centroid = np.average(f[used], weights=power[used])
        figures += [centroid, np.sqrt(np.average((f[used] - centroid) ** 2, weights=power[used]))]
        figures += [stats.gmean(power[used]) / np.mean(power[used]), stats.entropy(power[used])]
        for octave in filters:
            squared = np.abs(signal.hilbert(signal.sosfiltfilt(octave, x))) ** 2
            lines = np.abs(np.fft.rfft(squared))[3:500]
            kurtosis = np.mean(squared**2) / np.mean(squared) ** 2
            figures += [np.sqrt(np.mean(squared)), kurtosis, np.max(lines) / np.mean(lines)]
        return figures + [np.sqrt(np.sum(power[(f >= low) & (f < high)])) for low, high in bands]

    return lambda: sum(len(axis(x)) for x in accel)


def oracle(accel: F32) -> Callable[[], int]:
    naive = load_oracle()
    extractor = Extractor(RATE_HZ, SAMPLES)
    return lambda: len(naive.features(accel, RATE_HZ, extractor.features))


def load_oracle() -> ModuleType:
    spec = importlib.util.spec_from_file_location("naive", ROOT / "tests" / "naive.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tsfel(accel: F32, domain: str | None = None) -> Callable[[], int]:
    import tsfel as library  # noqa: PLC0415

    configuration = library.get_features_by_domain(domain)

    def call() -> int:
        table = library.time_series_features_extractor(
            configuration, accel.T, fs=RATE_HZ, verbose=0, n_jobs=1
        )
        return int(table.shape[1])

    return call


def tsfel_statistical(accel: F32) -> Callable[[], int]:
    return tsfel(accel, "statistical")


def tsfresh_minimal(accel: F32) -> Callable[[], int]:
    import pandas as pd  # noqa: PLC0415
    from tsfresh.feature_extraction import MinimalFCParameters, extract_features  # noqa: PLC0415

    frame = pd.DataFrame(accel.T, columns=["x", "y", "z"]).assign(window=0)
    settings = MinimalFCParameters()

    def call() -> int:
        table = extract_features(
            frame, column_id="window", default_fc_parameters=settings, n_jobs=0, disable_progressbar=True
        )
        return int(table.shape[1])

    return call


CONTESTANTS = (
    Contestant("the transform alone", transform_only, ("numpy", "scipy"), 300),
    Contestant("appliance", ours, ("numpy", "scipy"), 300),
    Contestant("appliance + metrics, speed", ours_and_metrics, ("numpy", "scipy"), 300),
    Contestant("tsfresh, Minimal", tsfresh_minimal, ("tsfresh", "pandas"), 20),
    Contestant("plain scipy, axis by axis", plain_scipy, ("numpy", "scipy"), 50),
    Contestant("the test oracle (shares nothing)", oracle, ("numpy", "scipy"), 7),
    Contestant("TSFEL, statistical", tsfel_statistical, ("tsfel", "scipy"), 15),
    Contestant("TSFEL, all domains", tsfel, ("tsfel", "scipy"), 7),
)


def cpu_ms(call: Callable[[], int], rounds: int) -> tuple[float, float]:
    """Least and median CPU time of a call, ms; garbage is collected between the rounds, not in them."""
    call()
    taken = []
    gc.collect()
    gc.disable()
    for _ in range(rounds):
        begun = time.process_time_ns()
        call()
        taken.append((time.process_time_ns() - begun) / 1e6)
    gc.enable()
    return min(taken), statistics.median(taken)


def first_result(index: int) -> None:
    """Alone in a fresh process: print CPU seconds and resident MB of the import and one result."""
    CONTESTANTS[index].make(window())()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    print(time.process_time(), pages * 4096 / 1e6)


def fresh(index: int) -> tuple[float, float]:
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "tools.benchmarks",
        "features",
        "--first-result",
        str(index),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    seconds, megabytes = done.stdout.split()[-2:]
    return float(seconds), float(megabytes)


def missing(contestant: Contestant) -> list[str]:
    return [name for name in contestant.packages if importlib.util.find_spec(name) is None]


def versions(contestant: Contestant) -> str:
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in contestant.packages)


def main(arguments: list[str]) -> int:
    """Print the table; exit status 1 where our CPU time is over the budget."""
    parser = argparse.ArgumentParser(prog="tools/bench features", description=__doc__)
    parser.add_argument("--first-result", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.first_result is not None:
        first_result(asked.first_result)
        return 0
    warnings.simplefilter("ignore")  # the peers warn about their own dependencies
    own_ms = report(window())
    verdict = "met" if own_ms <= BUDGET_MS else "MISSED"
    print(f"\nbudget {BUDGET_MS:g} ms: {verdict} ({own_ms:.3f} ms)")
    return 0 if own_ms <= BUDGET_MS else 1


def report(accel: F32) -> float:
    """Time everyone and print the table; return our least CPU time, ms."""
    print(f"One window of 3 × {SAMPLES} samples at {RATE_HZ:g} Hz, CPU time of one thread.")
    print(f"Python {platform.python_version()} on {platform.machine()}, {time.strftime('%Y-%m-%d')}.\n")
    print("| extractor | features | min ms | median ms | × ours | first result s | memory MB | versions |")
    print("|---|---|---|---|---|---|---|---|")
    timed = {c.name: cpu_ms(c.make(accel), c.rounds) for c in CONTESTANTS if not missing(c)}
    own_ms = timed["appliance"][0]
    for index, contestant in enumerate(CONTESTANTS):
        if contestant.name not in timed:
            print(f"| {contestant.name} | not installed: {', '.join(missing(contestant))} | | | | | | |")
            continue
        least, median = timed[contestant.name]
        seconds, megabytes = fresh(index)
        print(
            f"| {contestant.name} | {contestant.make(accel)() or '–'} | {least:.3f} | {median:.3f} "
            f"| {least / own_ms:.2f} | {seconds:.2f} | {megabytes:.0f} | {versions(contestant)} |"
        )
    return own_ms
