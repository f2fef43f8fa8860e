"""Windows of the simulated machine in, its fault out: named right, none in health, no false bearing name."""

import functools

import numpy as np
import pytest
import simulated

from appliance.analysis.diagnose import normal_of
from appliance.analysis.examine import WINDOWS, Examiner
from appliance.analysis.features import Extractor
from appliance.config import Fault
from appliance.geometry import Bearing, Geometry

RATE_HZ, N = 6400.0, 8192
EXTRACTOR = Extractor(RATE_HZ, N)
OWN = Bearing(balls=9, ball_mm=7.94, pitch_mm=39.04, axial="x")
OTHER = Bearing(bpfo=3.052, bpfi=4.948, bsf=1.992, ftf=0.382)
KNOWN = Geometry(speed_rpm=1482.0, teeth=23, bearing={"de": OWN})
BEARINGS = ("outer race", "inner race", "rolling element")


@functools.cache
def windows(kind="", severity=0.6, count=WINDOWS, seed=1):
    faults = (Fault(kind, severity=severity),) if kind else ()
    accel = simulated.accel(RATE_HZ, 3, (count + 1) * N / 2 / RATE_HZ, faults=faults, seed=seed)
    starts = range(0, len(accel) - N + 1, N // 2)
    return [EXTRACTOR.analyse(np.ascontiguousarray(accel[at : at + N].T)) for at in starts]


def examined(kind="", geometry=KNOWN, *, learnt=True, seed=1, severity=0.6):
    examiner = Examiner("de", RATE_HZ, N, ("x", "y", "z"), geometry)
    if learnt:
        healthy = windows(count=25, seed=seed)
        speeds = [EXTRACTOR.metrics(one, *geometry.speed_hz).get("speed_hz") for one in healthy]
        examiner.normal = normal_of([examiner.figures(*pair) for pair in zip(healthy, speeds, strict=True)])
    for window in windows(kind, severity, seed=seed):
        examiner.take(window)
    return examiner()


@pytest.mark.parametrize(
    ("kind", "fault", "words"),
    [
        ("imbalance", "imbalance", "radial; 1× velocity"),
        ("misalignment", "misalignment", "2× velocity"),
        ("looseness", "looseness", "and 0.5× raised"),
        ("outer_race", "outer race", "= BPFO within"),
        ("inner_race", "inner race", "= BPFI within"),
        ("ball", "rolling element", "= 2×BSF within"),
        ("gear", "gear", "gear mesh 23× = 56"),
        ("lubrication", "lubrication", "× its normal"),
    ],
)
def test_each_fault_is_named_with_its_evidence(kind, fault, words):
    found = examined(kind)
    assert found[0].fault == fault
    assert words in found[0].words


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("geometry", [KNOWN, Geometry()])
def test_a_healthy_machine_gives_none(seed, geometry):
    assert examined(geometry=geometry, seed=seed) == ()
    assert examined(geometry=geometry, seed=seed, learnt=False) == ()


@pytest.mark.parametrize("kind", ["outer_race", "inner_race", "ball"])
@pytest.mark.parametrize(
    "geometry",
    [
        Geometry(),
        Geometry(speed_rpm=1482.0),
        Geometry(speed_rpm=1482.0, bearing={"de": OTHER}),
        Geometry(speed_rpm=1750.0, bearing={"de": OWN}),
        Geometry(speed_rpm=1200.0, bearing={"de": OWN}),
        Geometry(speed_rpm=1482.0, bearing={"nde": OWN}),
    ],
)
def test_without_the_right_geometry_and_speed_no_bearing_part_is_named(kind, geometry):
    found = examined(kind, geometry)
    assert not {one.fault for one in found} & set(BEARINGS)
    if geometry.speed_rpm in (None, 1482.0):
        assert found[0].fault == "impacts"


@pytest.mark.parametrize("kind", ["imbalance", "misalignment", "looseness", "gear", "lubrication"])
@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_else_looks_like_a_bearing(kind, seed):
    assert not {one.fault for one in examined(kind, seed=seed)} & {*BEARINGS, "impacts"}


def test_a_range_of_speeds_finds_the_shaft():
    geometry = Geometry(speed_rpm=1000.0, top_speed_rpm=2000.0, bearing={"de": OWN})
    assert examined("outer_race", geometry)[0].fault == "outer race"


def test_what_was_forgotten_says_nothing():
    examiner = Examiner("de", RATE_HZ, N, ("x", "y", "z"), KNOWN)
    assert examiner() == ()
    for window in windows("outer_race"):
        examiner.take(window)
    assert examiner()
    examiner.forget()
    assert examiner() == ()
