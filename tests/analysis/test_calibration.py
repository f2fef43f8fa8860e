"""Few windows of one machine, drawn to what is usual: against the formulas, and where they end."""

import numpy as np
import pytest

from appliance.analysis import calibration, standard
from appliance.analysis.calibration import Population


def test_the_scale_lies_between_its_own_and_the_usual_one_by_the_number_of_windows(extractor, windows):
    X = windows(24, 5)
    own = standard.fit(X, extractor.features)
    usual = np.full(len(own.scale), 2.0, np.float32)
    drawn = calibration.standard_of(X, extractor.features, usual, prior=12.0)
    np.testing.assert_allclose(drawn.scale, np.sqrt((24 * own.scale**2 + 12 * 4.0) / 36), rtol=1e-5)
    np.testing.assert_array_equal(drawn.center, own.center)
    alone = calibration.standard_of(X, extractor.features, usual, prior=0.0)
    np.testing.assert_allclose(alone.scale, own.scale, rtol=1e-6)


@pytest.mark.parametrize("n", [8, 24, 25])
def test_blocks_are_in_order_and_nearly_alike(n):
    of = calibration.blocks(n)
    assert np.all(np.diff(of) >= 0)
    counts = np.bincount(of)
    assert len(counts) == calibration.BLOCKS
    assert np.ptp(counts) <= 1


def test_a_window_is_judged_by_the_others(extractor, windows, learnt):
    """A last quarter that is louder: with itself among those that calibrate, it would seem less so."""
    X = windows(24, 6)
    scale, spread = learnt.standard.scale, learnt.residual_scale
    known = Population(extractor.features, learnt.model, scale, spread, 4.0)
    before = calibration.worst_unseen(X, known)
    X[18:] *= 1.2
    with_itself = known.scores(calibration.standard_of(X, extractor.features, scale, 4.0)(X)).max()
    assert calibration.worst_unseen(X, known) > max(1.5 * before, 1.1 * with_itself)
