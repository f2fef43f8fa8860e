"""Diagnosis: which fault the hypotheses name, beside the largest single feature as naive peer.

Simulator: every fault kind at several speeds, severities and seeds; normal is learnt on the same machine in
health. ADI CbM: a real fault rig, one healthy recording of 2 s a speed, which is what normal is learnt from,
so that its "none" for healthy says little. Rows: what it was; columns: the strongest hypothesis.
"""

import argparse
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from appliance.analysis import standard
from appliance.analysis.diagnose import Normal, normal_of
from appliance.analysis.examine import WINDOWS, Examiner
from appliance.analysis.features import Analysed, Extractor
from appliance.config import Fault
from appliance.geometry import Bearing, Geometry
from hw.sim import bearing, gear
from hw.sim.accelerometer import NOISE_G_RTHZ
from hw.sim.rotor import Machine
from tools import datapile
from tools.datapile import F32

AXES = ("x", "y", "z")
RATE_HZ, N = 6400.0, 8192
SHAFTS_HZ, SEEDS, SEVERITIES = (16.4, 24.7, 48.6), (11, 12, 13), (0.4, 0.6, 0.8)
NORMAL_WINDOWS = 40
KINDS = {
    "imbalance": "imbalance",
    "misalignment": "misalignment",
    "looseness": "looseness",
    "outer_race": "outer race",
    "inner_race": "inner race",
    "ball": "rolling element",
    "gear": "gear",
    "lubrication": "lubrication",
}
BEARING_FAULTS = ("outer race", "inner race", "rolling element")
NONE, IMPACTS = "none", "impacts"
SIM_BEARING = Bearing(balls=bearing.BALLS, ball_mm=bearing.BALL_MM, pitch_mm=bearing.PITCH_MM, axial="x")
OTHER_BEARING = Bearing(bpfo=3.052, bpfi=4.948, bsf=1.99, ftf=0.381)
"""ER-12K, eight balls. ADI's page names none; its recordings have impacts at 4.95 and 3.02 orders."""
RIG_LABELS = {
    "imbalance": "imbalance",
    "misaligned": "misalignment",
    "outer": "outer race",
    "inner": "inner race",
    "ball": "rolling element",
}


@dataclass(frozen=True)
class Case:
    """Windows of one condition. normal: windows of the same machine in health."""

    truth: str
    shaft_hz: float
    normal: Sequence[Analysed]
    windows: Sequence[Analysed]


def simulated() -> Iterator[Case]:
    extractor = Extractor(RATE_HZ, N, AXES)
    for shaft_hz in SHAFTS_HZ:
        for seed in SEEDS:
            normal = list(run(extractor, shaft_hz, seed, (), NORMAL_WINDOWS + WINDOWS))
            yield Case(NONE, shaft_hz, normal[:NORMAL_WINDOWS], normal[NORMAL_WINDOWS:])
            for kind, truth in KINDS.items():
                for severity in SEVERITIES:
                    faults = (Fault(kind, severity=severity),)  # type: ignore[arg-type]
                    sick = list(run(extractor, shaft_hz, seed, faults, WINDOWS))
                    yield Case(truth, shaft_hz, normal[:NORMAL_WINDOWS], sick)


def run(
    extractor: Extractor, shaft_hz: float, seed: int, faults: Sequence[Fault], count: int
) -> Iterator[Analysed]:
    """Windows at half overlap, as an accelerometer with its noise sees them."""
    vibration = Machine(seed, shaft_hz, faults=faults).vibration(RATE_HZ, len(AXES))
    noise = np.random.default_rng(seed)
    density_mps2 = NOISE_G_RTHZ * 9.80665 * np.sqrt(RATE_HZ / 2)
    accel: F32 = np.empty((0, len(AXES)), np.float32)
    for _ in range(count):
        while len(accel) < N:
            chunk = vibration.chunk(RATE_HZ)
            grain = density_mps2 * noise.standard_normal(chunk.shape, np.float32)
            accel = np.concatenate((accel, chunk + grain.astype(np.float32)))
        yield extractor.analyse(np.ascontiguousarray(accel[:N].T))
        accel = accel[N // 2 :]


def rig() -> Iterator[Case]:
    rate_hz, recordings = datapile.load("adi_cbm")
    n = round(rate_hz)
    extractor = Extractor(rate_hz, n, AXES)

    def windows(accel: F32) -> list[Analysed]:
        starts = range(0, len(accel) - n + 1, n // 4)
        return [extractor.analyse(np.ascontiguousarray(accel[at : at + n].T)) for at in starts]

    for rpm in sorted({one.about["rpm"] for one in recordings}):
        here = [one for one in recordings if one.about["rpm"] == rpm]
        normal = [window for one in here if not one.fault for window in windows(one.accel)]
        for one in here:
            words = one.about["label"].split()
            truth = next((kind for word, kind in RIG_LABELS.items() if word in words), words[0])
            yield Case(NONE if not one.fault else truth, rpm / 60, normal, windows(one.accel))


class Doctor:
    """Says the strongest hypothesis of cases; what is normal is worked out once a machine."""

    def __init__(
        self, rate_hz: float, n: int, bearing: Bearing | None, *, teeth: int | None, learnt: bool
    ) -> None:
        """bearing: None for no geometry at all, not even a nameplate."""
        self._extractor = Extractor(rate_hz, n, AXES)
        self._bearing, self._teeth, self._learnt = bearing, teeth, learnt
        self._normal: dict[int, Normal] = {}

    def __call__(self, case: Case) -> str:
        geometry = Geometry()
        if self._bearing:
            speed_rpm = case.shaft_hz * 60
            geometry = Geometry(speed_rpm=speed_rpm, teeth=self._teeth, bearing={"de": self._bearing})
        extractor = self._extractor
        examiner = Examiner("de", extractor.rate_hz, extractor.n, AXES, geometry)
        machine = id(case.normal[0])
        if self._learnt and machine not in self._normal:
            self._normal[machine] = normal_of([self._figures(examiner, geometry, w) for w in case.normal])
        examiner.normal = self._normal.get(machine, {})
        for window in case.windows:
            examiner.take(window)
        found = examiner()
        return found[0].fault if found else NONE

    def _figures(self, examiner: Examiner, geometry: Geometry, window: Analysed) -> dict[str, float]:
        speed_hz = self._extractor.metrics(window, *geometry.speed_hz).get("speed_hz")
        return examiner.figures(window, speed_hz)


def largest_feature(case: Case, extractor: Extractor) -> str:
    """The naive peer: the feature farthest from its normal, and what a textbook says of its band."""
    baseline = standard.fit(np.stack([one.features for one in case.normal]), extractor.features)
    z = np.abs(baseline(np.mean([one.features for one in case.windows], axis=0, dtype=np.float32)))
    if z.max() < 4:
        return NONE
    feature = extractor.features[int(z.argmax())]
    if feature.kind.startswith("envelope") or feature.kind in ("kurtosis", "crest", "peak", "skewness"):
        return IMPACTS
    if feature.kind != "band" or feature.band_hz is None:
        return "imbalance" if feature.kind in ("rms", "velocity") else "lubrication"
    order = float(np.sqrt(feature.band_hz[0] * feature.band_hz[1])) / case.shaft_hz
    edges = ((1.5, "imbalance"), (3.5, "misalignment"), (11, "looseness"), (60, "gear"))
    return next((fault for edge, fault in edges if order < edge), "lubrication")


def table(title: str, told: Counter[tuple[str, str]], *, unnamed: bool) -> None:
    """unnamed: no bearing's name can be expected, `impacts` is right for all three."""
    rows = list(dict.fromkeys(truth for truth, _ in told))
    columns = sorted({answer for _, answer in told}, key=lambda one: (one == NONE, one))
    print(f"\n{title}\n  {'':16} " + " ".join(f"{one[:13]:>13}" for one in columns) + f" {'right':>6}")
    right_of_all = 0
    for row in rows:
        right = IMPACTS if unnamed and row in BEARING_FAULTS else row
        counts = [told.get((row, column), 0) for column in columns]
        hits = told.get((row, right), 0)
        right_of_all += hits
        print(f"  {row:16} " + " ".join(f"{n or '.':>13}" for n in counts) + f" {hits / sum(counts):6.0%}")
    false = sum(n for (row, answer), n in told.items() if answer in BEARING_FAULTS and answer != row)
    print(f"  right {right_of_all / told.total():.0%} of {told.total()}; false bearing names {false}")


def compare(cases: Sequence[Case], extractor: Extractor, ways: Mapping[str, tuple[Doctor, bool]]) -> None:
    """ways: by title; whether bearing faults can only be `impacts`."""
    for title, (doctor, unnamed) in ways.items():
        table(title, Counter((case.truth, doctor(case)) for case in cases), unnamed=unnamed)
    naive = Counter((case.truth, largest_feature(case, extractor)) for case in cases)
    table("Naive peer: largest single feature (bearing faults right as `impacts`)", naive, unnamed=True)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="tools/bench diagnosis", description=__doc__)
    parser.parse_args(arguments)
    started_s = time.monotonic()
    print(
        f"Simulator, {RATE_HZ:g} Hz, {WINDOWS} windows of {N / RATE_HZ:g} s; shafts {SHAFTS_HZ} Hz, "
        f"severities {SEVERITIES}, {len(SEEDS)} seeds"
    )

    def sim(bearing: Bearing | None, *, teeth: int | None = None, learnt: bool = True) -> Doctor:
        return Doctor(RATE_HZ, N, bearing, teeth=teeth, learnt=learnt)

    ways = {
        "With geometry": (sim(SIM_BEARING, teeth=gear.TEETH), False),
        "Without geometry or nameplate": (sim(None), True),
        "With the geometry of another bearing": (sim(OTHER_BEARING), True),
        "With geometry, nothing learnt": (sim(SIM_BEARING, teeth=gear.TEETH, learnt=False), False),
    }
    compare(list(simulated()), Extractor(RATE_HZ, N, AXES), ways)
    if (datapile.FOLDER / "adi_cbm.npz").is_file():
        print("\nADI CbM, 20 kHz, windows of 1 s, five speeds")
        rate_hz = n = 20_000
        known, unknown = (Doctor(rate_hz, n, one, teeth=None, learnt=True) for one in (OTHER_BEARING, None))
        titles = {"With the geometry of an ER-12K": (known, False), "Without geometry": (unknown, True)}
        compare(list(rig()), Extractor(rate_hz, n, AXES), titles)
    print(f"\n{time.monotonic() - started_s:.0f} s")
    return 0
