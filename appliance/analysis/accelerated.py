"""The accelerator in front of the CPU: whichever answers, every window is scored in time."""

import logging
from dataclasses import replace

import msgspec
import numpy as np

from appliance.analysis.bundle import FOREIGN_LSB, MODEL, Bundle
from appliance.analysis.quantize import I8
from appliance.analysis.runner import NUMPY
from appliance.models import CpuAccelerator, EdgeTpuAccelerator
from appliance.records import Score
from hw.edgetpu import Counts, EdgeTpu, EdgeTpuModel, Golden
from hw.ports import Accelerator, PortError

log = logging.getLogger(__name__)


class Accelerated:
    """Asks the accelerator, and the CPU at once where that fails: at worst its deadline + the CPU's time."""

    def __init__(self, accelerator: Accelerator, cpu: Accelerator) -> None:
        self._accelerator, self._cpu = accelerator, cpu
        self.name = f"{accelerator.name}, else {cpu.name}"

    def invoke(self, x: I8) -> I8:
        """(k,) -> (k,). Raises PortError: the CPU's runtime failed too."""
        try:
            return self._accelerator.invoke(x)
        except PortError:
            return self._cpu.invoke(x)


class Acceleration:
    """The accelerator that the configuration asks for, for all sensors of this process."""

    def __init__(self, settings: CpuAccelerator | EdgeTpuAccelerator) -> None:
        """Nothing is started yet."""
        self._condition = ""
        edgetpu = settings if isinstance(settings, EdgeTpuAccelerator) else None
        self._compiled = edgetpu.compiled if edgetpu else None
        self.device = _device(edgetpu) if edgetpu else None
        """None: the CPU alone."""

    def accelerate(self, sensor: str, bundle: Bundle) -> Bundle:
        """The same bundle, run on the device where it can be, in place of the sensor's last one there.

        Its golden vectors decide whether the device, with this model, may be used.
        """
        if self.device is None:
            return bundle
        model = self.device.load(sensor, self._model(bundle), golden(bundle))
        return replace(bundle, runner=Accelerated(model, bundle.runner))

    def told(self, score: Score) -> Score:
        """The score with the accelerator's counts among its metrics; a change of condition is logged."""
        if self.device is None:
            return score
        counts = self.device.counts
        condition = "in use" if counts.healthy else counts.fault and f"down, the CPU scores: {counts.fault}"
        if condition != self._condition:
            self._condition = condition
            log.log(logging.INFO if counts.healthy else logging.WARNING, "accelerator %s", condition)
        return msgspec.structs.replace(score, metrics=score.metrics | _metrics(counts))

    def close(self) -> None:
        """End the device's worker."""
        if self.device is not None:
            self.device.close()

    def _model(self, bundle: Bundle) -> bytes:
        """What edgetpu_compiler made of the bundle's model, where there is such a file; else the model."""
        path = self._compiled and self._compiled / f"{bundle.id}_edgetpu.tflite"
        if path and path.exists():
            try:
                return path.read_bytes()
            except OSError as fault:
                log.warning("%s: cannot be read (%s); going on with the bundle's model", path, fault.strerror)
        return bundle.files[MODEL]


def golden(bundle: Bundle) -> Golden:
    """The bundle's golden vectors: exact if the Edge TPU's own were recorded, else near numpy's."""
    recorded = bundle.manifest.golden
    own = recorded.outputs.get(EdgeTpuModel.name)
    outputs = recorded.outputs[NUMPY] if own is None else own
    return Golden(_vectors(recorded.inputs), _vectors(outputs), FOREIGN_LSB if own is None else 0)


def _device(settings: EdgeTpuAccelerator) -> EdgeTpu:
    return EdgeTpu(
        settings.library,
        deadline_s=settings.deadline_ms / 1e3,
        start_s=settings.start_s,
        retry_s=settings.retry_s,
        golden_s=settings.golden_s,
    )


def _vectors(texts: tuple[str, ...]) -> I8:
    return np.stack([np.frombuffer(bytes.fromhex(text), np.int8) for text in texts])


def _metrics(counts: Counts) -> dict[str, float]:
    """For dashboards; accelerator_ok is 1 while it is used, else 0."""
    return {
        "accelerator_ok": float(counts.healthy),
        "accelerator_invocations": float(counts.invocations),
        "accelerator_fallbacks": float(counts.fallbacks),
        "accelerator_restarts": float(counts.restarts),
        "accelerator_golden_failures": float(counts.golden_failures),
    }
