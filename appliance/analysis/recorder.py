"""The recorder: a thread with a link of its own to the guard, which writes the evidence of every alarm.

It shares nothing with windows, features and model but what they hand it: however long they take, it goes on.
"""

import hashlib
import logging
import select
import time
from collections import deque

import msgspec

import appliance
from appliance import wire
from appliance.analysis.alarm_record import ALARM, CONFIG, TRACE, AlarmRecord, ModelRecord, WindowRecord
from appliance.analysis.bundle import Bundle
from appliance.analysis.evidence import EvidenceRing, Order
from appliance.analysis.evidence_folder import EvidenceFolder
from appliance.config import Config
from appliance.daemon import Worker
from appliance.records import Event, EventKind, Hello, Score
from hw.evidence import write_evidence

log = logging.getLogger(__name__)

_RETRY_S = 0.2
_TURN_S = 0.1
_OVERHEAD_BYTES = 64 << 10


class Recorder:
    """Evidence of one machine."""

    def __init__(self, config: Config, config_text: bytes) -> None:
        """config_text: the configuration as it is in its file."""
        self._settings = config.evidence
        self._socket_path = config.socket_path
        self._config_text = config_text
        self._ring = EvidenceRing(config.evidence, config.simulation.speed)
        self._folder = EvidenceFolder(config.state_dir / "evidence", config.evidence)
        self._windows: deque[WindowRecord] = deque(maxlen=1024)
        self._models: dict[str, ModelRecord] = {}

    def window(self, score: Score, features: tuple[float, ...]) -> None:
        """What was made of a window. From any thread; never waits."""
        self._windows.append(WindowRecord(score, features))

    def model(self, sensor: str, bundle: Bundle) -> None:
        """The model in force from now on. From any thread; never waits."""
        manifest = bundle.manifest
        record = ModelRecord(sensor, bundle.id, manifest.model.sha256, manifest.features.names)
        self._models[sensor] = record

    def serve(self, worker: Worker) -> None:
        """Follow the guard; connect again whenever it comes back."""
        self._tidy()
        while not worker.stop.is_set():
            worker.beat()
            try:
                link = wire.connect(self._socket_path, Hello("evidence"))
            except (OSError, wire.Closed):
                worker.stop.wait(_RETRY_S)
                continue
            self._ring.another_guard()
            try:
                self._follow(worker, link)
            except wire.Closed:
                log.info("guard gone; evidence that waits is written with what is there")
            finally:
                link.close()
                self._write(last=True)

    def _tidy(self) -> None:
        try:
            for path in self._folder.tidy():
                log.warning("%s: damaged evidence, set aside; restore it from a copy, or delete it", path)
        except OSError as fault:
            log.warning("evidence folder: %s; make it writable", fault)

    def _follow(self, worker: Worker, link: wire.Link) -> None:
        while not worker.stop.is_set():
            worker.beat()
            select.select([link], [], [], _TURN_S)
            while (message := link.receive()) is not None:
                self._ring.take(message, time.monotonic())
            self._write()

    def _write(self, *, last: bool = False) -> None:
        while self._windows:
            self._ring.window(self._windows.popleft())
        for order in self._ring.due(time.monotonic(), last=last):
            try:
                self._write_one(order)
            except OSError as fault:
                log.warning("evidence %s not written: %s; free the disk", order.captures[0].name, fault)

    def _write_one(self, order: Order) -> None:
        """Raises OSError."""
        main, first = self._ring.main(order), order.captures[0]
        name = main.evidence if main else first.name
        members = {
            ALARM: msgspec.json.encode(self._record(order)),
            TRACE: msgspec.msgpack.encode(self._ring.traces(order)),
            CONFIG: self._config_text,
        }
        size_bytes = self._ring.counts_bytes(order) + sum(map(len, members.values())) + _OVERHEAD_BYTES
        if not self._folder.make_room(size_bytes):
            log.warning("evidence %s not written: %d bytes; raise evidence.most_mb", name, size_bytes)
            return
        path = self._folder.path(name, protected=main is not None and main.kind is EventKind.TRIP)
        utc_offset_ns = main.at_utc_ns - main.at_mono_ns if main else None
        write_evidence(path, self._ring.tracks(order, utc_offset_ns), _head(order, main), members)
        log.info("evidence %s", path)

    def _record(self, order: Order) -> AlarmRecord:
        ring = self._ring
        return AlarmRecord(
            names=tuple(capture.name for capture in order.captures),
            at_mono_ns=order.at_mono_ns,
            pre_s=self._settings.pre_s,
            post_s=self._settings.post_s,
            appliance=appliance.__version__,
            config_sha256=hashlib.sha256(self._config_text).hexdigest(),
            models=tuple(self._models.values()),
            windows=ring.windows(order),
            temperatures=ring.temperatures(order),
            states=ring.states(order),
            events=ring.events(order),
        )


def _head(order: Order, main: Event | None) -> dict[str, object]:
    """What a list of evidence shows. The reason is the alarm's own message."""
    first = order.captures[0]
    return {
        "names": [capture.name for capture in order.captures],
        "reason": main.message if main else first.reason,
        "at_mono_ns": main.at_mono_ns if main else first.at_mono_ns,
        "at_utc_ns": main.at_utc_ns if main else 0,
        "channel": main.channel if main else "",
        "severity": main.severity if main else "",
        "type": main.type if main else "",
    }
