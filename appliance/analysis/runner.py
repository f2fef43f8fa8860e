"""Choose what runs the int8 model: LiteRT, else tflite-runtime, else numpy. Only availability decides."""

from appliance.analysis.quantize import I8, QuantizedModel
from appliance.analysis.tflite_read import read
from appliance.errors import BundleError
from hw import litert
from hw.ports import Accelerator, PortError

NUMPY = "numpy"


class NumpyRunner:
    """The exact integer arithmetic in numpy, behind the Accelerator port; equal to LiteRT bit for bit."""

    name = NUMPY

    def __init__(self, model: QuantizedModel) -> None:
        self._model = model

    def invoke(self, x: I8) -> I8:
        """(k,) -> (k,)."""
        return self._model.run(x)


def open_runner(data: bytes) -> Accelerator:
    """The best runner that this machine has for a .tflite file; its `.name` is to be reported.

    Raises:
        BundleError: the file is damaged, or the runtime that is installed refuses it.
    """
    model = read(data)
    for runtime in litert.RUNTIMES:
        if not litert.available(runtime):
            continue
        try:
            return litert.Interpreter(data, runtime)
        except PortError as fault:
            raise BundleError(f"model.tflite: {fault}") from fault
    return NumpyRunner(model)
