"""The shipped base: sound, calibrated by a few windows, quiet on machines it never saw, awake to faults."""

import tomllib
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from appliance.analysis import base as bases
from appliance.analysis import bundle as bundles
from appliance.analysis.commission import Gathered
from appliance.analysis.features import Extractor
from appliance.analysis.scorer import Scorer
from appliance.analysis.stream import SensorStream
from appliance.config import Analysis, Fault
from appliance.errors import BundleError, LearningError
from tools.training import machines

RATE_HZ, N, HOP = 3332.0, 4265, 2132
HELD_OUT = (201, 207, 213)
"""Machines that no base was trained on."""


@pytest.fixture(scope="module")
def wide():
    return Extractor(RATE_HZ, N)


@pytest.fixture(scope="module")
def base(wide):
    found = bases.find(wide)
    assert found is not None
    return found


def rows(extractor, number, seconds, **how):
    run = machines.accel(machines.draw(number, RATE_HZ), RATE_HZ, 3, seconds, **how)
    return machines.windows(run, extractor, HOP)


def gathered(X):
    part = Gathered("de")
    for index, row in enumerate(X):
        part.add(row, 1.0 + 0.01 * index, {"1×": 0.5}, 24.0)
    return part


@pytest.fixture(scope="module")
def calibrated(base, wide):
    runs = {number: rows(wide, number, 60) for number in HELD_OUT}
    return {number: (bases.calibrate(base, gathered(X[:24]), wide), X[26:]) for number, X in runs.items()}


def test_what_is_shipped_is_whole_and_only_for_such_windows(base):
    assert base.manifest.base.windows == 24
    assert len(base.manifest.recordings) == base.manifest.base.machines == 48
    for other in (Extractor(3200.0, 4096), Extractor(RATE_HZ, N, ("x",)), Extractor(RATE_HZ, 2 * N)):
        assert bases.find(other) is None


def test_a_byte_changed_is_refused(base, wide, tmp_path):
    folder = tmp_path / "one"
    folder.mkdir()
    for name, data in base.files.items():
        (folder / name).write_bytes(data)
    model = bytearray(base.files["model.tflite"])
    model[len(model) // 2] ^= 1
    (folder / "model.tflite").write_bytes(model)
    with pytest.raises(BundleError, match=r"model\.tflite: found content that does not match"):
        bases.find(wide, tmp_path)


def test_it_scores_nothing_before_it_is_calibrated(base, wide):
    with pytest.raises(BundleError, match="a base for any machine"):
        bundles.require(base, names=wide.names, rate_hz=RATE_HZ, n=N)
    with pytest.raises(BundleError, match="a base for any machine"):
        SensorStream("de", RATE_HZ, 3, Analysis(), base)


@pytest.mark.parametrize("number", HELD_OUT)
def test_24_windows_make_it_quiet_on_a_machine_it_never_saw_and_awake_to_faults(calibrated, wide, number):
    bundle, later = calibrated[number]
    scorer = Scorer(bundle)
    assert np.mean(scorer.scores(later) > scorer.threshold) <= 0.05
    for kind in ("misalignment", "looseness", "gear"):
        worn = rows(wide, number, 8, run=1, faults=[Fault(kind=kind, severity=0.4)])
        assert np.mean(scorer.scores(worn) > scorer.threshold) > 0.9


def test_a_calibrated_one_is_an_ordinary_bundle_that_tells_its_origin(base, calibrated, wide):
    bundle, _ = calibrated[HELD_OUT[0]]
    again = bundles.verified(bundle.files)
    assert bundle.id == again.id
    assert bundle.id.startswith("base-")
    assert bundle.id != base.id
    assert bundle.network is base.network
    manifest = again.manifest
    assert manifest.model.parent_sha256 == base.manifest.model.sha256
    assert (manifest.sensor.name, manifest.windows.lowest_level) == ("de", 1.0)
    assert manifest.recordings[0].windows == manifest.threshold.held_out_windows == 24
    assert manifest.memory.speeds_hz == (24.0,)
    assert manifest.normal["1×"][1] >= 0.5
    assert "Provisional: base model machines-3332hz-xyz of 48 machines" in bundle.files["card.md"].decode()
    assert not bases.fits(manifest, wide)


def test_a_restless_machine_gets_a_higher_threshold(base, wide):
    """The level of its own scores counts, not that of the machines the base was trained on."""
    X = rows(wide, 213, 20)[:24]
    calm = bases.calibrate(base, gathered(X), wide)
    rng = np.random.default_rng(1)
    shaken = X * np.exp(0.8 * rng.standard_normal(X.shape) * (rng.random(X.shape) < 0.1)).astype(np.float32)
    restless = bases.calibrate(base, gathered(shaken), wide)
    assert restless.threshold > 1.3 * calm.threshold


def test_a_machine_that_runs_in_two_ways_meanwhile_is_left_to_its_own_model(base, wide):
    faster = replace(machines.draw(213, RATE_HZ), shaft_hz=1.3 * machines.draw(213, RATE_HZ).shaft_hz)
    run = machines.accel(faster, RATE_HZ, 3, 9)
    both = np.concatenate([rows(wide, 213, 9)[:12], machines.windows(run, wide, HOP)[:12]])
    with pytest.raises(LearningError, match="2 ways of running in 24 windows, expected one"):
        bases.calibrate(base, gathered(both), wide)


def test_it_is_in_the_package(base):
    """As pyproject.toml names it: beside the code, by a link that a wheel is built through."""
    root = bases.FOLDER.parents[1]
    patterns = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    packed = {path for pattern in patterns["appliance"] for path in (root / "appliance").glob(pattern)}
    assert {bases.FOLDER / base.manifest.base.name / name for name in base.files} <= packed


def test_a_bundle_of_before_bases_is_still_read(made):
    plain = msgspec.to_builtins(made.manifest)
    del plain["base"]
    assert msgspec.convert(plain, type(made.manifest)).base.name == ""
