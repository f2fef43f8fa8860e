"""From gathered windows of normal running to a bundle."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from appliance.analysis import autoencoder, baseline, bundle
from appliance.analysis.autoencoder import F32, Progress
from appliance.analysis.baseline import Baseline
from appliance.analysis.bundle import Bundle
from appliance.analysis.diagnose import normal_of
from appliance.analysis.features import Extractor
from appliance.analysis.novelty import RESTED
from appliance.errors import LearningError

_MOST_REST = 64


@dataclass(slots=True)
class Gathered:
    """Windows of one recording or stretch of running, in time order: features, levels, lines and speeds.

    speeds_hz: None where none was heard. rest: feature vectors of the machine at rest, the latest of them.
    """

    name: str
    rows: list[F32] = field(default_factory=list)
    levels: list[float] = field(default_factory=list)
    lines: list[dict[str, float]] = field(default_factory=list)
    speeds_hz: list[float | None] = field(default_factory=list)
    rest: deque[F32] = field(default_factory=lambda: deque(maxlen=_MOST_REST))

    def add(
        self, features: F32, level: float, lines: dict[str, float], speed_hz: float | None = None
    ) -> None:
        """One window of normal running. lines: `lines.Lines.figures`."""
        self.rows.append(features)
        self.levels.append(level)
        self.lines.append(lines)
        self.speeds_hz.append(speed_hz)

    def only(self, kept: Sequence[int]) -> "Gathered":
        """These windows of running alone."""
        return Gathered(
            self.name,
            [self.rows[i] for i in kept],
            [self.levels[i] for i in kept],
            [self.lines[i] for i in kept],
            [self.speeds_hz[i] for i in kept],
            self.rest.copy(),
        )

    def cut(self, begin: int, end: int) -> None:
        """Forget these windows of running; what was heard at rest stays true."""
        for column in (self.rows, self.levels, self.lines, self.speeds_hz):
            del column[begin:end]


def level_of(metrics: dict[str, float]) -> float:
    """The one figure that tells running from off: velocity RMS, mm/s, or RMS, m/s², where there is none."""
    return metrics.get("vib_vel_mms", metrics.get("vib_rms_mps2", 0.0))


def learn(
    gathered: Sequence[Gathered],
    extractor: Extractor,
    *,
    sensor: str,
    window_s: float,
    overlap: float,
    created_utc_ns: int,
    seed: int,
    progress: Progress | None = None,
) -> Bundle:
    """One bundle of all operating conditions in `gathered`. Raises LearningError."""
    learnt = baseline_of(gathered, extractor, seed=seed, progress=progress)
    return bundle_of(
        learnt,
        gathered,
        extractor,
        sensor=sensor,
        window_s=window_s,
        overlap=overlap,
        created_utc_ns=created_utc_ns,
    )


def baseline_of(
    gathered: Sequence[Gathered],
    extractor: Extractor,
    *,
    seed: int,
    progress: Progress | None = None,
    train: baseline.Trainer = autoencoder.train,
) -> Baseline:
    """One baseline of all operating conditions in `gathered`; train: as for `baseline.learn`.

    Raises LearningError.
    """
    kept = [part for part in gathered if part.rows]
    if not kept:
        raise LearningError(
            "no usable window of a running machine, expected minutes of normal running; "
            "check that the machine runs and that its sensor is OK"
        )
    rest = [row for part in gathered for row in part.rest]
    return baseline.learn(
        [np.stack(part.rows) for part in kept],
        extractor.features,
        speeds_hz=[speed for part in kept for speed in part.speeds_hz if speed is not None],
        background=np.median(rest, axis=0) if len(rest) >= RESTED else None,
        seed=seed,
        progress=progress,
        train=train,
    )


def bundle_of(
    learnt: Baseline,
    gathered: Sequence[Gathered],
    extractor: Extractor,
    *,
    sensor: str,
    window_s: float,
    overlap: float,
    created_utc_ns: int,
) -> Bundle:
    """The bundle of a baseline learnt of `gathered`."""
    kept = [part for part in gathered if part.rows]
    return bundle.make(
        learnt,
        sensor=sensor,
        rate_hz=extractor.rate_hz,
        axis_names=extractor.axis_names,
        window_s=window_s,
        n=extractor.n,
        overlap=overlap,
        lowest_level=min(min(part.levels) for part in kept),
        level_unit="mm/s" if any(feature.kind == "velocity" for feature in extractor.features) else "m/s²",
        normal=normal_of([lines for part in kept for lines in part.lines]),
        recordings=tuple(part.name for part in kept),
        created_utc_ns=created_utc_ns,
    )
