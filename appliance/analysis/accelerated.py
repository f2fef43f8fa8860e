"""The accelerator in front of the CPU: whichever answers, every window is scored in time."""

from dataclasses import replace

import numpy as np

from appliance.analysis.bundle import FOREIGN_LSB, Bundle
from appliance.analysis.quantize import I8
from appliance.analysis.runner import NUMPY
from appliance.config import CpuAccelerator, EdgeTpuAccelerator
from hw.edgetpu import Counts, EdgeTpu, EdgeTpuModel, Golden
from hw.ports import Accelerator, PortError


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


def open_accelerator(settings: CpuAccelerator | EdgeTpuAccelerator) -> EdgeTpu | None:
    """What the configuration asks for; None for the CPU alone. Nothing is started yet."""
    if isinstance(settings, CpuAccelerator):
        return None
    return EdgeTpu(
        settings.library,
        deadline_s=settings.deadline_ms / 1e3,
        start_s=settings.start_s,
        retry_s=settings.retry_s,
        golden_s=settings.golden_s,
    )


def accelerate(bundle: Bundle, sensor: str, device: EdgeTpu) -> Bundle:
    """The same bundle, run on the device where it can be. The device keeps one model for each sensor."""
    model = device.load(sensor, bundle.files["model.tflite"], _golden(bundle))
    return replace(bundle, runner=Accelerated(model, bundle.runner))


def metrics(counts: Counts) -> dict[str, float]:
    """What a score tells of the accelerator, for dashboards. accelerator_ok: 1 while it is used, else 0."""
    return {
        "accelerator_ok": float(counts.healthy),
        "accelerator_invocations": float(counts.invocations),
        "accelerator_fallbacks": float(counts.fallbacks),
        "accelerator_restarts": float(counts.restarts),
        "accelerator_golden_failures": float(counts.golden_failures),
    }


def _golden(bundle: Bundle) -> Golden:
    """The bundle's golden vectors: exact if the accelerator's own were recorded, else near numpy's."""
    golden = bundle.manifest.golden
    own = golden.outputs.get(EdgeTpuModel.name)
    outputs = golden.outputs[NUMPY] if own is None else own
    return Golden(_vectors(golden.inputs), _vectors(outputs), FOREIGN_LSB if own is None else 0)


def _vectors(texts: tuple[str, ...]) -> I8:
    return np.stack([np.frombuffer(bytes.fromhex(text), np.int8) for text in texts])
