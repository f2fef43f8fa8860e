"""Features, baselines and bundles of the small machine, made once a run."""

import numpy as np
import pytest
from small_machine import AXES, RATE_HZ, N, accelerations, bundle_of

from appliance.analysis import baseline
from appliance.analysis.features import Extractor


@pytest.fixture(scope="session")
def extractor():
    return Extractor(RATE_HZ, N, AXES)


@pytest.fixture(scope="session")
def windows(extractor):
    """windows(count, seed, …) -> feature matrix (count, k) of the small machine."""

    def make(count, seed, **how):
        return np.stack([extractor(window) for window in accelerations(count, seed, **how)])

    return make


@pytest.fixture(scope="session")
def learnt(extractor, windows):
    return baseline.learn([windows(60, 1), windows(40, 2, load=1.5)], extractor.features)


@pytest.fixture(scope="session")
def made(learnt):
    return bundle_of(learnt)


@pytest.fixture(scope="session")
def other(extractor, windows):
    """A second sound bundle, learnt from another load and seed."""
    return bundle_of(baseline.learn([windows(40, 3, load=2.0)], extractor.features, seed=7), 1_700_009_999)
