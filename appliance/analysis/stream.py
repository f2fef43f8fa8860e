"""One vibration sensor's analysis, block by block: windows, features, machine state, then learn or score.

Pure but for its own memory: the process feeds it from the guard's socket, `appliance replay` and
`appliance score` from a recording.
"""

import time
from typing import TYPE_CHECKING

import numpy as np

from appliance.analysis import bundle as bundles
from appliance.analysis.bundle import Bundle
from appliance.analysis.commission import Gathered, level_of
from appliance.analysis.condition import Conditions
from appliance.analysis.diagnose import sensor_fault
from appliance.analysis.drift import PageHinkley
from appliance.analysis.examine import Examiner
from appliance.analysis.features import Analysed, Extractor
from appliance.analysis.machine_state import MachineStateGate
from appliance.analysis.novelty import NoveltyWatch, Seen
from appliance.analysis.scorer import Scorer
from appliance.analysis.window import Window, Windower
from appliance.config import Analysis
from appliance.geometry import Geometry
from appliance.records import Hypothesis, MachineState, Quality, SampleBlock, Score

if TYPE_CHECKING:
    from appliance.analysis.trial import Shadow

AXIS_NAMES = ("x", "y", "z")
OFF_SHARE = 0.3
"""Below this share of the quietest vibration learnt the machine counts as off."""
_MPS2_PER_MMS = 0.25
"""Where the rate carries no velocity, RMS acceleration stands in for it: the two agree at 40 Hz."""
_LEAST_WINDOWS = 40
EXAMINED_EVERY = 4
"""Where no score calls a window abnormal, one in so many is examined: a limit may be passed all the same."""
CONDITION_S = 120.0
"""Running to gather in a new operating condition before it can be learnt, in the machine's own time."""

_UNKNOWN = Geometry()


class SensorStream:
    """Blocks in, scores out. Until a bundle is adopted it gathers windows of running for learning."""

    def __init__(
        self,
        sensor: str,
        rate_hz: float,
        axes: int,
        settings: Analysis,
        bundle: Bundle | None = None,
        geometry: Geometry = _UNKNOWN,
    ) -> None:
        """rate_hz: nominal.

        Raises:
            ValueError: a window too short for any feature.
            BundleError: the bundle was made for something else.
        """
        self.sensor = sensor
        self.axes = axes
        self._settings = settings
        self.window_s = settings.window_s
        if bundle is not None:
            learnt = bundle.manifest
            bundles.require(bundle, names=learnt.features.names, rate_hz=rate_hz, n=learnt.windows.n)
            rate_hz, self.window_s = learnt.sensor.rate_hz, learnt.windows.window_s
        self._windower = Windower(sensor, self.window_s, settings.overlap, rate_hz)
        self.hop_s = self._windower.hop / rate_hz
        self.extractor = Extractor(rate_hz, self._windower.n, AXIS_NAMES[:axes])
        self._examiner = Examiner(sensor, rate_hz, self._windower.n, self.extractor.axis_names, geometry)
        self._geometry = geometry
        self._unexamined = 0
        self._hypotheses: tuple[Hypothesis, ...] = ()
        self._scorer: Scorer | None = None
        self.trial: Shadow | None = None
        """Another model that is run beside the one in force."""
        self.novelty: NoveltyWatch | None = None
        self._drift: PageHinkley | None = None
        self._gate = MachineStateGate(self._unlearnt_off_level(), settings.settle_s)
        self._state = MachineState.UNKNOWN
        self.gathered = Gathered(sensor)
        self.latest: Analysed | None = None
        """The last usable window."""
        self.features: dict[int, tuple[float, ...]] = {}
        """Of each usable window of the last push, by its end (t1_mono_ns)."""
        if bundle is not None:
            self.adopt(bundle)

    def adopt(self, bundle: Bundle) -> None:
        """Score with this bundle from the next window on. Raises BundleError if it does not fit."""
        self.require(bundle)
        self._scorer = Scorer(bundle)
        self._examiner.normal = bundle.manifest.normal
        conditions = Conditions(self._scorer.memory, self._scorer.standard, self.extractor.features)
        self.novelty = NoveltyWatch(conditions)
        self._drift = PageHinkley(len(self.extractor.names) + 1)
        lowest = bundle.manifest.windows.lowest_level
        self._gate = MachineStateGate(OFF_SHARE * lowest, self._settings.settle_s)

    def require(self, bundle: Bundle) -> None:
        """Raise BundleError if it does not fit the windows of this stream."""
        extractor = self.extractor
        bundles.require(bundle, names=extractor.names, rate_hz=extractor.rate_hz, n=extractor.n)

    @property
    def model(self) -> str:
        """Id of the bundle in force; empty while learning."""
        return self._scorer.id if self._scorer else ""

    @property
    def progress(self) -> float:
        """Share of the learning time gathered, 0–1."""
        wanted = max(_LEAST_WINDOWS, self._settings.learn_s / self.hop_s)
        return min(1.0, len(self.gathered.rows) / wanted)

    def push(self, block: SampleBlock) -> list[Score]:
        """Take a block; one score per window that it completed. Raises ValueError on a foreign block."""
        self.features.clear()
        return [self._judge(window) for window in self._windower.push(block)]

    def _judge(self, window: Window) -> Score:
        started_s = time.perf_counter()
        if not window.ok or window.accel.shape[1] != self.extractor.n:
            return self._unusable(window)
        try:
            analysed = self.extractor.analyse(window.accel, window.rate_hz)
        except ValueError:  # its clock is far off nominal, or it holds what no sensor measures
            return self._unusable(window)
        self.latest = analysed
        self.features[window.t1_mono_ns] = tuple(analysed.features.tolist())
        metrics = self.extractor.metrics(analysed, *self._geometry.speed_hz)
        level = level_of(metrics)
        self._state = self._gate.update(level, self.hop_s)
        if self._scorer is None:
            if self._state is MachineState.RUNNING and self.progress < 1.0:
                figures = self._examiner.figures(analysed, metrics.get("speed_hz"))
                self.gathered.add(analysed.features, level, figures, metrics.get("speed_hz"))
            elif self._state is MachineState.OFF:
                self.gathered.rest.append(analysed.features)
            hypotheses = self._examine(analysed, abnormal=False)
            return self._score(
                window, Quality.LEARNING, metrics=metrics, progress=self.progress, hypotheses=hypotheses
            )
        scoring_s = time.perf_counter()
        value, top = self._scorer.score(analysed.features)
        took_ms = (time.perf_counter() - scoring_s) * 1e3
        hypotheses = self._examine(analysed, abnormal=value > self._scorer.threshold)
        if self._state is MachineState.RUNNING:
            metrics |= self._drifted(analysed, value)
        reason, progress = self._condition(window, analysed, metrics.get("speed_hz"), value)
        compute_ms = (time.perf_counter() - started_s) * 1e3
        if self.trial and self._state is MachineState.RUNNING:
            abnormal = value >= self._scorer.threshold
            metrics |= self.trial.window(analysed.features, abnormal=abnormal, took_ms=took_ms)
        return self._score(
            window,
            Quality.LEARNING if reason else Quality.OK,
            value=value,
            threshold=self._scorer.threshold,
            top=top,
            metrics=metrics,
            compute_ms=compute_ms,
            progress=progress,
            reason=reason,
            hypotheses=hypotheses,
        )

    def _examine(self, analysed: Analysed, *, abnormal: bool) -> tuple[Hypothesis, ...]:
        """What the last windows look like; renewed for every abnormal window, else now and then."""
        if self._state is not MachineState.RUNNING:
            self._forget()
            return ()
        self._examiner.take(analysed)
        self._unexamined += 1
        if abnormal or self._unexamined >= EXAMINED_EVERY:
            self._hypotheses, self._unexamined = self._examiner(), 0
        return self._hypotheses

    def _unusable(self, window: Window) -> Score:
        self._forget()
        return self._score(window, Quality.NOT_OK, hypotheses=sensor_fault(window.validity))

    def _forget(self) -> None:
        self._examiner.forget()
        self._hypotheses, self._unexamined = (), 0

    def _condition(
        self, window: Window, analysed: Analysed, speed_hz: float | None, value: float
    ) -> tuple[str, float]:
        """Words and share gathered if this window is of a new operating condition, else "" and 1."""
        if self.novelty is None or self._scorer is None:
            return "", 1.0
        standardised = self._scorer.standard(analysed.features)
        if self._state is MachineState.OFF:
            self.novelty.rested(standardised)
        if self._state is not MachineState.RUNNING:
            return "", 1.0
        seen = Seen(analysed.features, standardised, speed_hz, value > self._scorer.threshold)
        finding = self.novelty.ran(seen, window.t0_mono_ns)
        if finding is None:
            return "", 1.0
        gathered_s = len(self.novelty.gathered) * self.hop_s
        words = f"new operating condition ({finding.words}), {gathered_s:.0f} of {CONDITION_S:.0f} s gathered"
        return words, min(1.0, gathered_s / CONDITION_S)

    def _drifted(self, analysed: Analysed, value: float) -> dict[str, float]:
        """Drift of the score and of the feature that drifts most: from 1 on its mean has changed."""
        if self._drift is None or self._scorer is None:
            return {}
        spreads = np.append(self._scorer.residual(analysed.features), np.log(max(value, 1e-6)))
        statistic = self._drift.update(spreads)
        return {"drift_features": float(statistic[:-1].max()), "drift_score": float(statistic[-1])}

    def _score(self, window: Window, quality: Quality, **figures: object) -> Score:
        return Score(
            sensor=self.sensor,
            t0_mono_ns=window.t0_mono_ns,
            t1_mono_ns=window.t1_mono_ns,
            quality=quality,
            state=self._state,
            model=self.model,
            **figures,  # type: ignore[arg-type]
        )

    def _unlearnt_off_level(self) -> float:
        velocity = any(feature.kind == "velocity" for feature in self.extractor.features)
        return self._settings.off_mms if velocity else self._settings.off_mms * _MPS2_PER_MMS
