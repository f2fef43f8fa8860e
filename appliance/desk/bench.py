"""`appliance bench`: what this very device takes for one window, one inference and one durable event."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from appliance.analysis import baseline, slots
from appliance.analysis import bundle as bundles
from appliance.analysis.bundle import Bundle
from appliance.analysis.features import Extractor
from appliance.analysis.scorer import Scorer
from appliance.clock import WallClock
from appliance.guard.report import Reporter
from appliance.records import EventKind
from appliance.store import Store
from hw import board

RATE_HZ, SAMPLES = 3200.0, 4096
HOP_S = 0.5 * SAMPLES / RATE_HZ
_ROUNDS = 200


class Timing(msgspec.Struct):
    """Wall-clock figures of one operation, milliseconds."""

    p50_ms: float
    p99_ms: float
    rounds: int


class Report(msgspec.Struct):
    """What `--json` prints.

    cold_start_s: a new process until the first score of a bundle on disk; scoring_rss_mb: its peak.
    cpu_share: of one core, for one sensor of three axes at 3200 Hz. *_cpu_ms: processor time.
    peak_rss_mb: of this command, learning included. *_mj: estimated (`METHOD`); None on an unknown board.
    """

    features_3x4096: Timing
    inference: Timing
    backend: str
    event_durable: Timing
    cold_start_s: float
    window_cpu_ms: float
    inference_cpu_ms: float
    cpu_share: float
    scoring_rss_mb: float
    peak_rss_mb: float
    board: str
    board_w: float | None
    window_mj: float | None
    inference_mj: float | None
    energy_method: str


METHOD = "estimated: processor time × the whole board's typical power in its profile; not measured"


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
        _row(name, f"p50 {timing.p50_ms:8.3f} ms   p99 {timing.p99_ms:8.3f} ms")
    _row("cold start, new process to first score", f"{report.cold_start_s:.2f} s")
    _row(
        "processor time, window / inference",
        _pair(report.window_cpu_ms, report.inference_cpu_ms, "ms"),
    )
    _row("share of one core, one sensor at 3200 Hz", f"{report.cpu_share:.2%}")
    _row("memory of a process that scores", f"{report.scoring_rss_mb:.0f} MB")
    _row("peak memory of this command", f"{report.peak_rss_mb:.0f} MB")
    if report.window_mj is None or report.inference_mj is None:
        _row("energy", f"not estimated: the power of {report.board} is not known")
    else:
        _row("energy, window / inference", _pair(report.window_mj, report.inference_mj, "mJ"))
        _row("", f"({METHOD}: {report.board}, {report.board_w:g} W)")
    return 0


def measure() -> Report:
    """Run every benchmark once."""
    rng = np.random.default_rng(0)
    extractor = Extractor(RATE_HZ, SAMPLES)
    windows = rng.standard_normal((64, 3, SAMPLES)).astype(np.float32)
    bundle = _learnt(extractor, windows)
    scorer, features = Scorer(bundle), extractor(windows[0])
    x = bundle.network.input.quantize(scorer.standard(features))
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "events.db")
        note = Reporter("bench", WallClock(live=True)).note(EventKind.HEALTH, "bench.event", "a benchmark", 0)
        durable = _timed(lambda: store.accept([note]))
        store.close()
        slots.save(bundle, Path(folder) / "bundle")
        cold_s, scoring_mb = _cold_start(Path(folder) / "bundle")
    window_ms = _cpu_ms(lambda: scorer.score(extractor(windows[0])))
    inference_ms = _cpu_ms(lambda: bundle.runner.invoke(x))
    name = board.this_board()
    power_w = (board.load(name).active_w or None) if name else None
    return Report(
        features_3x4096=_timed(lambda: extractor(windows[0])),
        inference=_timed(lambda: bundle.runner.invoke(x)),
        backend=bundle.runner.name,
        event_durable=durable,
        cold_start_s=cold_s,
        window_cpu_ms=window_ms,
        inference_cpu_ms=inference_ms,
        cpu_share=window_ms / 1e3 / HOP_S,
        scoring_rss_mb=scoring_mb,
        peak_rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        board=board.load(name).name if name else "this board",
        board_w=power_w,
        window_mj=power_w and window_ms * power_w,
        inference_mj=power_w and inference_ms * power_w,
        energy_method=METHOD,
    )


def _learnt(extractor: Extractor, windows: NDArray[np.float32]) -> Bundle:
    features = np.stack([extractor(window) for window in windows])
    return bundles.make(
        baseline.learn([features], extractor.features),
        sensor="bench",
        rate_hz=RATE_HZ,
        axis_names=extractor.axis_names,
        window_s=SAMPLES / RATE_HZ,
        n=SAMPLES,
        overlap=0.5,
        lowest_level=1.0,
        level_unit="mm/s",
        recordings=("noise",),
        created_utc_ns=time.time_ns(),
    )


_COLD = """
import sys
from pathlib import Path
import numpy as np
from appliance.analysis import bundle
from appliance.analysis.features import Extractor
from appliance.analysis.scorer import Scorer
extractor = Extractor(float(sys.argv[2]), int(sys.argv[3]))
window = np.random.default_rng(0).standard_normal((3, extractor.n)).astype(np.float32)
Scorer(bundle.load(Path(sys.argv[1]))).score(extractor(window))
[peak] = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(int(peak) / 1024)  # not ru_maxrss: it keeps the size of the process that has started this one
"""


def _cold_start(bundle: Path) -> tuple[float, float]:
    """Seconds from the start of a new process to its end behind the first score, and its peak memory, MB.

    Its files are in the page cache: after a boot the disk comes on top.
    """
    command = [sys.executable, "-c", _COLD, str(bundle), str(RATE_HZ), str(SAMPLES)]
    path = os.pathsep.join(sys.path)
    started_s = time.perf_counter()
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    return time.perf_counter() - started_s, float(done.stdout)


def _cpu_ms(operation: Callable[[], object]) -> float:
    """Processor time of one operation, of a mean."""
    operation()
    started_ns = time.process_time_ns()
    for _ in range(_ROUNDS):
        operation()
    return (time.process_time_ns() - started_ns) / 1e6 / _ROUNDS


def _row(name: str, words: str) -> None:
    print(f"{name:45s} {words}")


def _pair(window: float, inference: float, unit: str) -> str:
    return f"{window:.3f} {unit} / {inference:.4f} {unit}"


def _timed(operation: Callable[[], object]) -> Timing:
    operation()
    took_ms = []
    for _ in range(_ROUNDS):
        started_ns = time.perf_counter_ns()
        operation()
        took_ms.append((time.perf_counter_ns() - started_ns) / 1e6)
    return Timing(float(np.percentile(took_ms, 50)), float(np.percentile(took_ms, 99)), _ROUNDS)
