"""One vibration sensor's analysis, block by block: windows, features, machine state, then learn or score.

Pure but for its own memory: the process feeds it from the guard's socket, `appliance replay` and
`appliance score` from a recording.
"""

import time
from typing import TYPE_CHECKING

import numpy as np

from appliance.analysis import bundle as bundles
from appliance.analysis.autoencoder import F32
from appliance.analysis.baseline import FEWEST_WINDOWS
from appliance.analysis.bundle import Bundle
from appliance.analysis.commission import level_of
from appliance.analysis.condition import Conditions
from appliance.analysis.diagnose import sensor_fault
from appliance.analysis.drift import PageHinkley
from appliance.analysis.examine import Examiner
from appliance.analysis.features import Analysed, Extractor
from appliance.analysis.gathering import Gathering, full_windows
from appliance.analysis.machine_state import MachineStateGate
from appliance.analysis.novelty import LEAST_RUN, NoveltyWatch, Seen
from appliance.analysis.scorer import Scorer
from appliance.analysis.tail import LONGEST_RUN
from appliance.analysis.window import Window, Windower
from appliance.config import Analysis
from appliance.geometry import Geometry
from appliance.records import Hypothesis, MachineState, Quality, SampleBlock, Score

if TYPE_CHECKING:
    from appliance.analysis.slow_change import SlowChange
    from appliance.analysis.trial import Shadow

AXIS_NAMES = ("x", "y", "z")
OFF_SHARE = 0.3
"""Below this share of the quietest vibration learnt the machine counts as off."""
_MPS2_PER_MMS = 0.25
"""Where the rate carries no velocity, RMS acceleration stands in for it: the two agree at 40 Hz."""
EXAMINED_EVERY = 4
"""Where no score calls a window abnormal, one in so many is examined: a limit may be passed all the same."""
CONDITION_S = 120.0
"""Running to gather in a new operating condition before it can be learnt, in the machine's own time."""
_MOST_CONDITION = 600
"""Windows of it that are enough in any case."""

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
        self.bundle: Bundle | None = None
        """In force."""
        self.novelty: NoveltyWatch | None = None
        self.slow_change: SlowChange | None = None
        """Gathers known running, where slow change is to be followed."""
        self.delay_s: float | None = None
        """How long the score must stay above its threshold to be an Alert, as the model asks."""
        self.may_learn = True
        """Whether what runs now may be gathered to be learnt on top of the bundle."""
        self._drift: PageHinkley | None = None
        self._gate = MachineStateGate(self._unlearnt_off_level(), settings.settle_s)
        self._state = MachineState.UNKNOWN
        self.gathering: Gathering | None = None
        """What is gathered for learning, if anything is; without a bundle always."""
        self.latest: Analysed | None = None
        """The last usable window."""
        self.features: dict[int, tuple[float, ...]] = {}
        """Of each usable window of the last push, by its end (t1_mono_ns)."""
        if bundle is not None:
            self.adopt(bundle)
        else:
            full = full_windows(settings.learn_s, self.hop_s)
            self.gathering = Gathering(sensor, self.extractor, self.hop_s, full)

    def adopt(self, bundle: Bundle) -> None:
        """Score with this bundle from the next window on. Raises BundleError if it does not fit."""
        self.require(bundle)
        self.bundle, self._scorer = bundle, Scorer(bundle)
        self._examiner.normal = bundle.manifest.normal
        conditions = Conditions(self._scorer.memory, self._scorer.standard, self.extractor.features)
        wanted = max(FEWEST_WINDOWS, min(_MOST_CONDITION, round(CONDITION_S / self.hop_s)))
        self.novelty = NoveltyWatch(conditions, wanted)
        self._drift = PageHinkley(len(self.extractor.names) + 1)
        asked = bundle.manifest.false_alarms.delay_windows
        in_a_row = min(max(asked, LEAST_RUN), LONGEST_RUN)
        self.delay_s = (in_a_row - 1.5) * self.hop_s  # half a window early: no clock keeps the last one out
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
        learning, progress = self._gather(analysed, level, metrics.get("speed_hz"))
        if self._scorer is None:
            hypotheses = self._examine(analysed, abnormal=False)
            return self._score(
                window,
                Quality.LEARNING,
                metrics=metrics,
                progress=progress,
                reason=learning,
                hypotheses=hypotheses,
            )
        scoring_s = time.perf_counter()
        pair = self._scorer.through(analysed.features)
        value, top = self._scorer.score(analysed.features, pair)
        took_ms = (time.perf_counter() - scoring_s) * 1e3
        hypotheses = self._examine(analysed, abnormal=value > self._scorer.threshold)
        if self._state is MachineState.RUNNING:
            metrics |= self._drifted(self._scorer.residual(pair), value)
        new = self._condition(window, analysed, metrics, value, pair[0])
        watch = self.novelty
        reason = ""
        if watch and (new or not watch.finding):
            reason = watch.words(window.t1_mono_ns, self.hop_s)
        compute_ms = (time.perf_counter() - started_s) * 1e3
        if self.trial and self._state is MachineState.RUNNING:
            abnormal = value >= self._scorer.threshold
            metrics |= self.trial.window(analysed.features, abnormal=abnormal, took_ms=took_ms)
        return self._score(
            window,
            Quality.LEARNING if new else Quality.OK,
            value=value,
            threshold=self._scorer.threshold,
            top=top,
            metrics=metrics,
            compute_ms=compute_ms,
            delay_s=self.delay_s,
            progress=watch.progress if watch and reason else progress,
            reason=reason or learning,
            hypotheses=hypotheses,
        )

    def _gather(self, analysed: Analysed, level: float, speed_hz: float | None) -> tuple[str, float]:
        """Take a window for learning, or leave it; words and share gathered, "" and 1 where nothing is."""
        if self.gathering is None:
            return "", 1.0
        if self.gathering.takes(self._state):
            figures = self._examiner.figures(analysed, speed_hz)
            self.gathering.gathered.add(analysed.features, level, figures, speed_hz)
        elif self._state is MachineState.OFF:
            self.gathering.gathered.rest.append(analysed.features)
        return self.gathering.words(), self.gathering.progress

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
        reason = ""
        if self.gathering is not None:
            self.gathering.unusable(window.validity)
            reason = self.gathering.words()
        return self._score(window, Quality.NOT_OK, hypotheses=sensor_fault(window.validity), reason=reason)

    def _forget(self) -> None:
        self._examiner.forget()
        self._hypotheses, self._unexamined = (), 0

    def _condition(
        self, window: Window, analysed: Analysed, metrics: dict[str, float], value: float, standardised: F32
    ) -> bool:
        """Whether this window is of a new operating condition."""
        watch = self.novelty
        if watch is None or self._scorer is None:
            return False
        if self._state is MachineState.OFF:
            watch.rested(standardised)
        if self._state is not MachineState.RUNNING:
            return False
        speed_hz = metrics.get("speed_hz")
        lines = self._examiner.figures(analysed, speed_hz) if watch.gathering else {}
        over = value > self._scorer.threshold
        seen = Seen(analysed.features, standardised, speed_hz, over, level_of(metrics), lines)
        if watch.ran(seen, window.t0_mono_ns, may_learn=self.may_learn):
            return True
        if self.slow_change:
            at_s = window.t0_mono_ns * 1e-9
            self.slow_change.ran(analysed.features, speed_hz, at_s, may_learn=self.may_learn)
        return False

    def _drifted(self, residual: F32, value: float) -> dict[str, float]:
        """Drift of the score and of the feature that drifts most: from 1 on its mean has changed."""
        if self._drift is None:
            return {}
        statistic = self._drift.update(np.append(residual, np.log(max(value, 1e-6))))
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
