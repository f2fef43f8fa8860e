"""The benchmarks start by name, and feature extraction has not become several times slower."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tools.benchmarks import features

ROOT = features.ROOT


def bench(*arguments):
    command = [sys.executable, "-m", "tools.benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def test_benchmarks_are_listed_without_being_imported():
    done = bench("--help")
    assert done.returncode == 0
    assert "features" in done.stderr
    assert bench().returncode == 2


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
