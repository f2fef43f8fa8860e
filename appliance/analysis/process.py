"""The analysis process: blocks in, scores back; learns where nothing is learnt yet; keeps the evidence."""

import logging
import select
import time

from appliance import wire
from appliance.analysis import bundle as bundles
from appliance.analysis import commission, intake, ledger, provenance, signature, slots
from appliance.analysis.accelerated import Acceleration
from appliance.analysis.bundle import Bundle
from appliance.analysis.recorder import Recorder
from appliance.analysis.rollout import Rollout
from appliance.analysis.stream import SensorStream
from appliance.analysis.velocity_lines import velocity_lines
from appliance.config import Config
from appliance.daemon import Daemon, Worker
from appliance.errors import BundleError, LearningError
from appliance.records import Hello, Offer, SampleBlock, Score

log = logging.getLogger(__name__)

_RETRY_S = 0.2
_SPECTRUM_NS = 60_000_000_000
"""From one spectrum to the next, machine time."""


class Analysis:
    """Everything the analysis process owns."""

    def __init__(self, config: Config, daemon: Daemon, recorder: Recorder) -> None:
        self._config = config
        self._daemon = daemon
        self._nominal_hz = {spec.name: spec.rate_hz for spec in config.vibration}
        self._streams: dict[str, SensorStream] = {}
        self._learning: set[str] = set()
        self._rollouts: dict[str, Rollout] = {}
        self._spectrum_due_ns: dict[str, int] = {}
        self.acceleration = Acceleration(config.accelerator)
        self._recorder = recorder
        self.connected = False

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
            select.select([link], [], [], 0.2)
            while (message := link.receive()) is not None:
                worker.beat()
                if isinstance(message, SampleBlock):
                    self._block(link, message)
                elif isinstance(message, Offer):
                    act = intake.offered(message, self._config)
                    log.info("%s: %s: %s", act.sensor, act.event, act.message)
                    link.send(act)

    def _block(self, link: wire.Link, block: SampleBlock) -> None:
        stream = self._streams.get(block.sensor) or self._open(block)
        for score in stream.push(block):
            told = self.acceleration.told(score)
            link.send(told)
            self._recorder.window(told, stream.features.get(score.t1_mono_ns, ()))
            self._show_spectrum(link, stream, score)
        if self._rollouts[block.sensor].follow(stream):
            del self._streams[block.sensor]
            return
        if not stream.model and stream.progress >= 1.0 and block.sensor not in self._learning:
            self._learning.add(block.sensor)
            self._daemon.start(
                f"learn-{block.sensor}", lambda worker: self._learn(worker, stream), stall_s=120.0
            )

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
        self._rollouts[block.sensor] = Rollout(self._config.bundle_dir(block.sensor), self._config.models)
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
        if stream.model:
            log.info("%s: model %s in force", block.sensor, stream.model)
        return stream

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

    def _learn(self, worker: Worker, stream: SensorStream) -> None:
        """Train in the background; blocks go on being windowed meanwhile."""

        def progress(_: float) -> None:
            worker.beat()
            if worker.stop.is_set():
                raise LearningError("interrupted by a stop; gathering starts anew at the next start")

        started_s = time.monotonic()
        try:
            bundle = commission.learn(
                [stream.gathered],
                stream.extractor,
                sensor=stream.sensor,
                window_s=stream.window_s,
                overlap=self._config.analysis.overlap,
                created_utc_ns=time.time_ns(),
                seed=self._config.analysis.seed,
                progress=progress,
            )
            folder = self._config.bundle_dir(stream.sensor)
            bundle = self._signed(bundle, stream.sensor)
            slots.enforce(bundle, folder)
        except (LearningError, BundleError) as fault:
            log.warning("%s: not learnt: %s", stream.sensor, fault)
        else:
            log.info("%s: learnt %s in %.1f s", stream.sensor, bundle.id, time.monotonic() - started_s)
        stream.gathered.clear()
        self._learning.discard(stream.sensor)

    def _signed(self, bundle: Bundle, sensor: str) -> Bundle:
        """What was learnt here, vouched for by this device's own key."""
        key = signature.own_key(self._config.device_key_path)
        seen = ledger.serials(self._config.bundle_dir(sensor))
        serial = ledger.next_serial(signature.public_key(key), seen)
        return provenance.issue(bundle, key, serial=serial, machine=self._config.machine_of(sensor))


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
