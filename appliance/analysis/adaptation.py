"""The bundle in force with what was gathered learnt too: a child of it, to be signed and put in force."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from appliance.analysis import adapt, bundle, recall
from appliance.analysis.autoencoder import F32
from appliance.analysis.baseline import Baseline
from appliance.analysis.bundle import Bundle
from appliance.analysis.diagnose import normal_of
from appliance.analysis.novelty import Seen

if TYPE_CHECKING:
    from appliance.analysis.catalogue import Feature

Range = tuple[float, float]

_FOLLOWED = "slow change"


def accepted(parent: Bundle, features: Sequence["Feature"], seen: Sequence[Seen], now_utc_ns: int) -> Bundle:
    """With a new condition that was named normal. Raises LearningError, BundleError."""
    learnt = adapt.adapt(
        recall.baseline(parent.manifest, parent.network, features),
        np.stack([one.features for one in seen]),
        speeds_hz=[one.speed_hz for one in seen if one.speed_hz is not None],
        accepted=True,
    )
    before = parent.manifest
    return _child(
        parent,
        learnt,
        recordings=(*(one.name for one in before.recordings), "accepted condition"),
        lowest_level=min(before.windows.lowest_level, *(one.level for one in seen)),
        normal=_wider(before.normal, normal_of([one.lines for one in seen])),
        now_utc_ns=now_utc_ns,
    )


def followed(
    parent: Bundle,
    features: Sequence["Feature"],
    rows: Sequence[F32],
    speeds_hz: Sequence[float],
    now_utc_ns: int,
) -> Bundle:
    """With slow change of known running. Raises LearningError, BudgetError, BundleError."""
    learnt = adapt.adapt(
        recall.baseline(parent.manifest, parent.network, features),
        np.stack(rows),
        speeds_hz=speeds_hz,
        accepted=False,
    )
    before = parent.manifest
    names = [one.name for one in before.recordings]
    if names[-1] == _FOLLOWED:  # a line a day would make the manifest grow for ever
        *earlier, last, new = learnt.windows
        learnt = replace(learnt, windows=(*earlier, last + new))
    else:
        names.append(_FOLLOWED)
    return _child(
        parent,
        learnt,
        recordings=tuple(names),
        lowest_level=before.windows.lowest_level,
        normal=before.normal,
        now_utc_ns=now_utc_ns,
    )


def _child(
    parent: Bundle,
    learnt: Baseline,
    *,
    recordings: tuple[str, ...],
    lowest_level: float,
    normal: dict[str, Range],
    now_utc_ns: int,
) -> Bundle:
    sensor, windows = parent.manifest.sensor, parent.manifest.windows
    return bundle.make(
        learnt,
        sensor=sensor.name,
        rate_hz=sensor.rate_hz,
        axis_names=sensor.axis_names,
        window_s=windows.window_s,
        n=windows.n,
        overlap=windows.overlap,
        lowest_level=lowest_level,
        level_unit=windows.level_unit,
        recordings=recordings,
        created_utc_ns=now_utc_ns,
        normal=normal,
        parent_sha256=parent.sha256,
    )


def _wider(one: Mapping[str, Range], other: Mapping[str, Range]) -> dict[str, Range]:
    """The ranges that hold both."""
    wider = {}
    for name, (low, high) in (dict(other) | dict(one)).items():
        other_low, other_high = other.get(name, (low, high))
        wider[name] = (min(low, other_low), max(high, other_high))
    return wider
