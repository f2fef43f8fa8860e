"""A score in plain words: which features are away from normal, where, and by how much."""

import numpy as np

from appliance.analysis.autoencoder import F32
from appliance.analysis.catalogue import describe
from appliance.analysis.manifest import Columns
from appliance.analysis.standard import Standard
from appliance.records import Contribution

TOP = 5
ORDINARY = 1.5
"""A feature within so many spreads of its normal is not high or low by itself: it does not fit the others."""


def contributions(
    columns: Columns, standard: Standard, features: F32, reconstruction: F32, parts: F32, count: int = TOP
) -> tuple[Contribution, ...]:
    """The `count` features that make up most of a score, largest first.

    Parts that are equal, as those at the cap are, go by how far the feature is both from its own normal and
    from what the others make one expect: the low frequencies of a slow shaft are far off but no surprise.

    Args:
        columns: names and units.
        standard: the baseline's transform.
        features: (k,) in physical units.
        reconstruction: (k,) standardised features as the network has them.
        parts: (k,) what each feature adds to the score; a share is a part over their sum, so all k sum to 1.
        count: how many.

    """
    total = float(parts.sum())
    standardised = standard(features)
    away = np.minimum(np.abs(standardised), np.abs(standardised - reconstruction))
    order = np.lexsort((-away, -parts))[:count]
    return tuple(
        _contribution(
            columns, standard, features, int(index), float(parts[index]) / total if total > 0 else 0.0
        )
        for index in order
    )


def _contribution(
    columns: Columns, standard: Standard, features: F32, index: int, share: float
) -> Contribution:
    name, unit = columns.names[index], columns.units[index]
    level = float(standard.level(features)[index])
    center, spread = float(standard.center[index]), float(standard.scale[index])
    value = float(features[index])
    if columns.log[index]:
        ratio = float(np.exp(level - center))
        words = f"{_figure(ratio)}× its normal"
    else:
        ratio = value / center if abs(center) > spread else 0.0
        words = f"{value - center:+.2g}{' ' + unit if unit else ''} from its normal {center:.2g}"
    if abs(level - center) < ORDINARY * spread:
        words += ", out of step with the rest"
    return Contribution(name, f"{describe(name)}, {words}", round(share, 6), ratio)


def _figure(ratio: float) -> str:
    """Two significant digits, without an exponent: 0.42, 6.3, 18, 250."""
    if ratio >= 10:
        digits = max(0, int(np.floor(np.log10(ratio))) - 1)
        return f"{round(ratio, -digits):.0f}"
    return f"{ratio:.1f}" if ratio >= 0.95 else f"{ratio:.2g}"
