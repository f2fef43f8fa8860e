"""Choose what runs the int8 model: LiteRT, else tflite-runtime, else numpy. Only availability decides."""

import warnings

import numpy as np

from appliance.analysis.quantize import I8, QuantizedModel
from appliance.analysis.tflite_read import read
from hw import litert
from hw.ports import Accelerator, PortError

NUMPY = "numpy"


class NumpyRunner:
    """The exact integer arithmetic in numpy, behind the Accelerator port; equal to LiteRT bit for bit."""

    name = NUMPY

    def __init__(self, model: QuantizedModel) -> None:
        self._model = model

    def invoke(self, x: I8) -> I8:
        """(k,) -> (k,). Raises PortError: no vector of the model's."""
        k = self._model.inputs
        if x.shape != (k,) or x.dtype != np.int8:
            raise PortError(f"input {x.dtype} {x.shape}, expected int8 ({k},); give one window's features")
        return self._model.run(x)


def open_runner(data: bytes) -> Accelerator:
    """The best runner that this machine has for a .tflite file; its `.name` is to be reported.

    A runtime that is installed but broken is passed over with a RuntimeWarning.

    Raises BundleError: the file is damaged.
    """
    model = read(data)
    for name in litert.RUNTIMES:
        if not litert.available(name):
            continue
        try:
            return litert.Interpreter(data, name)
        except PortError as fault:
            warnings.warn(f"{fault}; passed over", RuntimeWarning, stacklevel=2)
    return NumpyRunner(model)
