"""The benchmarks start by name, and feature extraction has not become several times slower."""

import importlib
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tools.benchmarks import features, uplink, uplink_stores
from tools.benchmarks.__main__ import names
from tools.benchmarks.uplink_stores import Contestant

ROOT = features.ROOT


def bench(*arguments):
    command = [sys.executable, "-m", "tools.benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def test_benchmarks_are_listed_without_being_imported():
    done = bench("--help")
    assert done.returncode == 0
    assert "features" in done.stderr
    assert bench().returncode == 2


@pytest.mark.parametrize("name", names())
def test_every_benchmark_that_is_listed_can_be_run(name):
    assert callable(importlib.import_module(f"tools.benchmarks.{name}").main)


def test_an_unknown_benchmark_is_named_and_the_known_ones_listed():
    done = bench("featurse")
    assert done.returncode == 2
    assert "'featurse' is no benchmark" in done.stderr
    assert "features " in done.stderr


def test_the_script_finds_the_repository_from_anywhere(tmp_path):
    script = ROOT / "tools" / "bench"
    environment = dict(os.environ, PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    done = subprocess.run(
        [script, "nothing"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert "usage: tools/bench NAME" in done.stderr


def test_extraction_has_not_become_several_times_slower():
    """The budget is 0.6 ms, which the benchmark checks on a quiet one; this catches the gross anywhere."""
    least_ms, _ = features.cpu_ms(features.ours(features.window()), 100)
    assert least_ms < 3


@pytest.mark.parametrize("contestant", features.CONTESTANTS, ids=lambda contestant: contestant.name)
def test_contestants_that_are_installed_compute(contestant):
    absent = features.missing(contestant)
    if absent:
        pytest.skip(f"not installed: {', '.join(absent)}")
    assert contestant.make(features.window())() >= 0


def test_plain_scipy_computes_as_many_features_as_ours():
    accel = features.window()
    assert features.plain_scipy(accel)() == features.oracle(accel)() == features.ours(accel)()


def test_a_store_that_fails_is_not_taken_for_one_that_is_not_installed(monkeypatch):
    absent, broken = (Contestant("peer", begin, "print(0)") for begin in ("import not_there_at_all", "1 / 0"))
    monkeypatch.setattr(uplink_stores, "CONTESTANTS", (broken, absent))
    assert uplink_stores.measure(absent) is None
    with pytest.raises(SystemExit, match="ZeroDivisionError"):
        uplink_stores.measure(broken)
    monkeypatch.setattr(uplink_stores, "CONTESTANTS", (absent,))  # ours: its dependencies are no choice
    with pytest.raises(SystemExit, match="not_there_at_all"):
        uplink_stores.measure(absent)


@pytest.mark.parametrize(
    ("does", "words"), [("exit 3", "ended with 3"), ("sleep 30", "0 events, and none more in 0.2 s")]
)
def test_a_drain_that_goes_no_further_ends_the_benchmark(monkeypatch, does, words):
    monkeypatch.setattr(uplink, "PATIENCE_S", 0.2)
    plant = SimpleNamespace(count=0, last_s=time.perf_counter())
    with subprocess.Popen(["sh", "-c", f"exec {does}" if "sleep" in does else does]) as process:
        with pytest.raises(SystemExit, match=words):
            uplink.watched(None, plant, process)
        process.kill()
