"""`appliance bench`: what this very device takes for one window, one inference and one durable event."""

import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from appliance.analysis import baseline, runner, tflite
from appliance.analysis.features import Extractor
from appliance.clock import WallClock
from appliance.guard.report import Reporter
from appliance.records import EventKind
from appliance.store import Store

RATE_HZ, SAMPLES = 3200.0, 4096
_ROUNDS = 200


class Timing(msgspec.Struct):
    """Wall-clock figures of one operation, milliseconds."""

    p50_ms: float
    p99_ms: float
    rounds: int


class Report(msgspec.Struct):
    """What `--json` prints. peak_rss_mb: of this process."""

    features_3x4096: Timing
    inference: Timing
    backend: str
    event_durable: Timing
    peak_rss_mb: float


def run(*, as_json: bool) -> int:
    """Measure and print."""
    report = measure()
    if as_json:
        print(msgspec.json.encode(report).decode())
        return 0
    for name, timing in (
        (f"features, 3 × {SAMPLES} samples", report.features_3x4096),
        (f"inference, int8 autoencoder ({report.backend})", report.inference),
        ("event accepted -> durable on disk", report.event_durable),
    ):
        print(f"{name:45s} p50 {timing.p50_ms:8.3f} ms   p99 {timing.p99_ms:8.3f} ms")
    print(f"{'peak memory of this command':45s} {report.peak_rss_mb:.0f} MB")
    return 0


def measure() -> Report:
    """Run every benchmark once."""
    rng = np.random.default_rng(0)
    extractor = Extractor(RATE_HZ, SAMPLES)
    windows = rng.standard_normal((64, 3, SAMPLES)).astype(np.float32)
    features = np.stack([extractor(window) for window in windows])
    learnt = baseline.learn([features], extractor.features)
    backend = runner.open_runner(tflite.write(learnt.model))
    x = learnt.model.input.quantize(learnt.standard(features[0]))
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "events.db")
        note = Reporter("bench", WallClock(live=True)).note(EventKind.HEALTH, "bench.event", "a benchmark", 0)
        durable = _timed(lambda: store.accept([note]))
        store.close()
    return Report(
        features_3x4096=_timed(lambda: extractor(windows[0])),
        inference=_timed(lambda: backend.invoke(x)),
        backend=backend.name,
        event_durable=durable,
        peak_rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


def _timed(operation: Callable[[], object]) -> Timing:
    operation()
    took_ms = []
    for _ in range(_ROUNDS):
        started_ns = time.perf_counter_ns()
        operation()
        took_ms.append((time.perf_counter_ns() - started_ns) / 1e6)
    return Timing(float(np.percentile(took_ms, 50)), float(np.percentile(took_ms, 99)), _ROUNDS)
