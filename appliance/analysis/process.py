"""The analysis process: blocks in, scores back; learns where nothing is learnt yet; keeps the evidence."""

import logging
import select
from collections import deque

from appliance import wire
from appliance.analysis import base as bases
from appliance.analysis import bundle as bundles
from appliance.analysis import intake, slots
from appliance.analysis.accelerated import Acceleration
from appliance.analysis.adapter import Adapter
from appliance.analysis.bundle import Bundle
from appliance.analysis.learning import Learner
from appliance.analysis.recorder import Recorder
from appliance.analysis.rollout import Rollout
from appliance.analysis.stream import SensorStream
from appliance.analysis.velocity_lines import velocity_lines
from appliance.config import Config
from appliance.daemon import Daemon, Worker
from appliance.errors import BundleError, LearningError
from appliance.records import GuardState, Hello, ModelAct, SampleBlock, Score
from appliance.requests import Learn, Offer

log = logging.getLogger(__name__)

_RETRY_S = 0.2
_MOST_ACTS = 100
"""Kept while no guard is there; the oldest go first."""
_SPECTRUM_NS = 60_000_000_000
"""From one spectrum to the next, machine time."""


class Analysis:
    """Everything the analysis process owns."""

    def __init__(self, config: Config, daemon: Daemon, recorder: Recorder) -> None:
        self._config = config
        self._daemon = daemon
        self._nominal_hz = {spec.name: spec.rate_hz for spec in config.vibration}
        self._streams: dict[str, SensorStream] = {}
        self._rollouts: dict[str, Rollout] = {}
        self._bases: dict[str, Bundle | None] = {}
        self._spectrum_due_ns: dict[str, int] = {}
        self.acceleration = Acceleration(config.accelerator)
        self._recorder = recorder
        self._acts: deque[ModelAct] = deque(maxlen=_MOST_ACTS)
        self._learners = {name: Learner(name, config, daemon, self.tell) for name in self._nominal_hz}
        self._adapters = {name: Adapter(name, config, daemon, self.tell) for name in self._nominal_hz}
        self.connected = False

    def tell(self, act: ModelAct) -> None:
        """Have an act journaled by the guard, now or when it is there again. From any thread."""
        self._acts.append(act)

    def serve(self, worker: Worker) -> None:
        """Follow the guard; connect again whenever it comes back."""
        while not worker.stop.is_set():
            worker.beat()
            try:
                link = wire.connect(self._config.socket_path, Hello("analysis"))
            except OSError:
                worker.stop.wait(_RETRY_S)
                continue
            self.connected = True
            try:
                self._follow(worker, link)
            except wire.Closed as fault:
                log.warning("guard gone: %s; connecting again", fault)
            finally:
                link.close()

    def _follow(self, worker: Worker, link: wire.Link) -> None:
        self._streams.clear()  # a new guard numbers its blocks anew
        self._spectrum_due_ns.clear()
        while not worker.stop.is_set():
            worker.beat()
            while self._acts and link.send(self._acts[0]):
                self._acts.popleft()
            select.select([link], [], [], 0.2)
            while (message := link.receive()) is not None:
                worker.beat()
                if isinstance(message, SampleBlock):
                    self._block(link, message)
                elif isinstance(message, GuardState):
                    for sensor, learner in self._learners.items():
                        learner.follow(message)
                        self._adapters[sensor].follow(message)
                elif isinstance(message, Learn):
                    self._asked(message)
                elif isinstance(message, Offer):
                    self.tell(intake.offered(message, self._config))

    def _asked(self, request: Learn) -> None:
        """A person asks, through the guard, to learn."""
        if request.sensor and request.sensor not in self._learners:
            names = ", ".join(self._learners)
            words = f"no such sensor; expected one of {names}; ask again with its name"
            self.tell(ModelAct(request.sensor, "learn.refused", words, "warning", request.who, request.why))
        for sensor, learner in self._learners.items():
            if request.sensor in ("", sensor):
                learner.asked(request, self._streams.get(sensor))
                self._adapters[sensor].asked(request, self._streams.get(sensor))

    def _block(self, link: wire.Link, block: SampleBlock) -> None:
        stream = self._streams.get(block.sensor) or self._open(block)
        if stream.bundle is None:
            self._calibrate(stream)
        for score in stream.push(block):
            told = self.acceleration.told(score)
            link.send(told)
            self._recorder.window(told, stream.features.get(score.t1_mono_ns, ()))
            self._show_spectrum(link, stream, score)
        if self._rollouts[block.sensor].follow(stream):
            del self._streams[block.sensor]
            return
        self._learners[block.sensor].turn(stream)
        self._adapters[block.sensor].turn(stream)

    def _show_spectrum(self, link: wire.Link, stream: SensorStream, score: Score) -> None:
        """Now and then, for people who look."""
        due_ns = self._spectrum_due_ns.get(stream.sensor, 0)
        if stream.latest is None or score.t1_mono_ns not in stream.features or score.t1_mono_ns < due_ns:
            return
        self._spectrum_due_ns[stream.sensor] = score.t1_mono_ns + _SPECTRUM_NS
        if spectrum := velocity_lines(stream.sensor, score.t1_mono_ns, stream.latest):
            link.send(spectrum)

    def _open(self, block: SampleBlock) -> SensorStream:
        """The stream of a sensor: with its bundle in force, or learning where there is none that fits."""
        rate_hz = self._nominal_hz.get(block.sensor) or block.rate_hz
        settings, geometry = self._config.analysis, self._config.geometry
        folder = self._config.bundle_dir(block.sensor)
        self._rollouts[block.sensor] = Rollout(folder, self._config.models, self.tell)
        bundle = self._active(block.sensor)
        try:
            bundle = bundle and self.acceleration.accelerate(block.sensor, bundle)
            stream = SensorStream(block.sensor, rate_hz, block.axes, settings, bundle, geometry)
            if bundle:
                self._recorder.model(block.sensor, bundle)
        except BundleError as fault:
            log.warning("%s: %s; learning anew", block.sensor, fault)
            stream = SensorStream(block.sensor, rate_hz, block.axes, settings, geometry=geometry)
        self._streams[block.sensor] = stream
        self._learners[block.sensor].attach(stream)
        self._adapters[block.sensor].attach(stream)
        if stream.model:
            log.info("%s: model %s in force", block.sensor, stream.model)
        else:
            self._bases[block.sensor] = self._base(stream)
        return stream

    def _base(self, stream: SensorStream) -> Bundle | None:
        """What is shipped for such a sensor."""
        try:
            return bases.find(stream.extractor)
        except BundleError as fault:
            log.warning("%s: base model refused: %s; going on without it", stream.sensor, fault)
            return None

    def _calibrate(self, stream: SensorStream) -> None:
        """Score with the base model, in memory alone, until the first model of this machine's own."""
        base, gathering = self._bases[stream.sensor], stream.gathering
        if base is None or gathering is None or gathering.windows < base.manifest.base.windows:
            return
        try:
            bundle = bases.calibrate(base, gathering.gathered, stream.extractor)
        except LearningError as fault:
            self._bases[stream.sensor] = None
            self.tell(ModelAct(stream.sensor, "model.not_calibrated", f"base left out: {fault}"))
            return
        bundle = self.acceleration.accelerate(stream.sensor, bundle)
        stream.adopt(bundle)
        stream.novelty = None  # a condition is learnt by a model of the machine's own
        self._learners[stream.sensor].attach(stream)
        self._recorder.model(stream.sensor, bundle)
        name = base.manifest.base.name
        words = f"{bundle.id} in force: base {name}, calibrated on {gathering.windows} windows; provisional"
        self.tell(ModelAct(stream.sensor, "model.calibrated", words))

    def _active(self, sensor: str) -> Bundle | None:
        folder = self._config.bundle_dir(sensor)
        try:
            return slots.active(folder)
        except BundleError as fault:
            log.warning("%s: active bundle refused: %s", sensor, fault)
        if not (folder / slots.PREVIOUS).exists():
            return None
        try:
            bundle = bundles.load(folder / slots.PREVIOUS)
        except BundleError as fault:
            log.warning("%s: previous bundle refused too: %s", sensor, fault)
            return None
        log.warning("%s: going on with the previous bundle %s", sensor, bundle.id)
        return bundle


def run(config: Config, config_text: bytes) -> int:
    """Analyse until a signal. config_text: the configuration as in its file. Returns the exit status."""
    daemon = Daemon("analysis")
    recorder = Recorder(config, config_text)
    analysis = Analysis(config, daemon, recorder)
    daemon.start("evidence", recorder.serve, stall_s=60.0)  # an SD card may take its time
    daemon.start("stream", analysis.serve, stall_s=10.0)
    try:
        return daemon.run(ready=lambda: analysis.connected)
    finally:
        analysis.acceleration.close()
