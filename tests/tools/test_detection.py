import numpy as np
import pytest

from tools import datapile, measures
from tools.benchmarks import detection
from tools.benchmarks.detection import Cut
from tools.datapile import Recording

needs_data = pytest.mark.skipif(
    not (datapile.FOLDER / "adi_cbm.npz").is_file(), reason=f"{datapile.FOLDER}: the data pile is not here"
)


@pytest.mark.parametrize(
    ("healthy", "faulty", "area"),
    [
        ([0, 1], [2, 3], 1.0),
        ([2, 3], [0, 1], 0.0),
        ([1, 1], [1, 1], 0.5),
        ([0, 2], [1, 3], 0.75),
        ([0, 1], [1, 2], 0.875),
    ],
)
def test_auc_is_the_share_of_pairs_in_the_right_order(healthy, faulty, area):
    pairs = [(f > h) + 0.5 * (f == h) for h in healthy for f in faulty]
    assert np.mean(pairs) == area
    assert measures.auc(np.array(healthy, float), np.array(faulty, float)) == pytest.approx(area)


def test_no_window_is_learnt_and_judged():
    samples = np.arange(1000, dtype=np.float32).reshape(-1, 1)
    healthy, fault = ({"fault": fault, "label": "gear"} for fault in (False, True))
    case = detection.time_split(
        "", Cut(100.0, 0.5, 0.25, ("x",)), [Recording(healthy, samples), Recording(fault, samples)], 0.7
    )
    learnt = {float(v) for w in case.train[0] for v in w.ravel()}
    judged = {float(v) for w in case.healthy for v in w.ravel()}
    assert max(learnt) < 700 <= min(judged)
    assert len(case.train[0]) == 27
    assert [w.shape for w in case.faults["gear"]] == [(1, 50)] * 39


@needs_data
@pytest.mark.parametrize(("rate_hz", "least_auc"), [(20000.0, 0.995), (2000.0, 0.99)])
def test_real_faults_are_told_from_a_healthy_machine(rate_hz, least_auc):
    cut, recordings = detection.adi(rate_hz)
    case = detection.time_split("", cut, recordings, 0.7)
    int8, exact = (
        fitted.judge(case.healthy, case.faults) for fitted in detection.fit_ours(cut, case.train, 1)
    )
    assert int8.auc >= least_auc
    assert int8.worst >= 0.95
    assert abs(int8.auc - exact.auc) <= 0.005
    assert int8.fpr <= 0.02
    assert int8.tpr >= 0.95
