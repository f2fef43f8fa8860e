"""TensorFlow Lite runtimes behind the Accelerator port, one thread: `ai_edge_litert` or `tflite_runtime`."""

import importlib
import importlib.util
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw.ports import PortError

RUNTIMES = {"litert-xnnpack": "ai_edge_litert", "tflite-runtime": "tflite_runtime"}
"""Backend name -> package, in the order of preference."""


def available(name: str) -> bool:
    """Whether the package of this backend is installed; it is not imported."""
    return importlib.util.find_spec(RUNTIMES[name]) is not None


class Interpreter:
    """One int8 model in one of the RUNTIMES. Importing the runtime costs about 90 ms, so it happens here."""

    def __init__(self, model: bytes, name: str = "litert-xnnpack") -> None:
        """Create the interpreter and allocate its tensors.

        Raises PortError: the runtime cannot be imported or refuses the model.
        """
        self.name = name
        package = RUNTIMES[name]
        try:
            module = importlib.import_module(f"{package}.interpreter")
            # Kept alive by the interpreter object; tflite_runtime built for numpy 1 raises SystemError here.
            self._interpreter: Any = module.Interpreter(model_content=model, num_threads=1)
            self._interpreter.allocate_tensors()
        except SystemError as fault:
            raise PortError(
                f"{package} cannot work with numpy {np.__version__} ({fault}); expected a build for it: "
                "install ai-edge-litert, or numpy below 2, or remove the package to use the numpy runner"
            ) from fault
        except (ImportError, RuntimeError, ValueError) as fault:
            raise PortError(
                f"{package} cannot load the model ({fault}); reinstall {package} or the model"
            ) from fault
        source, result = self._interpreter.get_input_details()[0], self._interpreter.get_output_details()[0]
        self._source, self._result = source["index"], result["index"]
        self._width = int(source["shape"][-1])

    def invoke(self, x: NDArray[np.int8]) -> NDArray[np.int8]:
        """Run the model on one vector, shape (k,) int8 -> (k,) int8. Raises PortError."""
        if x.shape != (self._width,) or x.dtype != np.int8:
            raise PortError(
                f"input {x.dtype} {x.shape}, expected int8 ({self._width},); give one window's features"
            )
        try:
            self._interpreter.set_tensor(self._source, x[np.newaxis])
            self._interpreter.invoke()
            result: NDArray[np.int8] = self._interpreter.get_tensor(self._result)[0]
        except (RuntimeError, ValueError) as fault:
            raise PortError(f"{self.name} failed ({fault}); the interpreter is to be opened again") from fault
        return result
