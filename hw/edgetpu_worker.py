"""The Edge TPU's own process: loads the library and runs models for `hw.edgetpu` until it is killed.

Only this process ever loads libedgetpu: a hang in it holds the GIL, a fault in it ends the process. A message
is one packet of a SOCK_SEQPACKET socket: READY or FAULT + words once; then, for each request (NUMBER_BYTES of
the model's number, the input vector), OUTPUT + the output vector or FAULT + words.
"""

import ctypes
import importlib
import os
import signal
import socket
import sys
from typing import Any

import numpy as np

from hw import litert
from hw.ports import PortError

READY, OUTPUT, FAULT = b"R", b"O", b"F"
PACKET_BYTES = 1 << 16
NUMBER_BYTES = 2
_WORDS_MOST = 600
_PR_SET_PDEATHSIG = 1


class Network:
    """One model in its own interpreter with its own delegate; libedgetpu shares the device in a process."""

    def __init__(self, library: str, model: bytes) -> None:
        """Raises PortError: the runtime, the library or the device refuses; the message says which."""
        runtime = _runtime()
        try:
            delegate = runtime.load_delegate(library)
        except OSError as fault:
            raise PortError(
                f"{library} cannot be loaded ({_words(fault)}), expected the Edge TPU runtime; install "
                "libedgetpu or set accelerator.library"
            ) from fault
        except AttributeError as fault:
            raise PortError(
                f"{library} is no TensorFlow Lite delegate ({_words(fault)}), expected the Edge TPU runtime; "
                "set accelerator.library"
            ) from fault
        except (ValueError, RuntimeError) as fault:
            reason = str(fault).partition("\n")[2].strip() or "it gave no reason"
            raise PortError(
                f"{library} found no usable device ({reason}), expected an Edge TPU; check its cable, its "
                "power (900 mA), the permissions of its device file, and that no other process holds it"
            ) from fault
        try:
            # Without XNNPACK whatever the device leaves over shows in the list of operations below.
            self._interpreter: Any = runtime.Interpreter(
                model_content=model,
                num_threads=1,
                experimental_delegates=[delegate],
                experimental_op_resolver_type=runtime.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            )
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as fault:
            raise PortError(
                f"the Edge TPU refuses the model ({_words(fault)}); plug the device in again, or compile the "
                "model for this version of libedgetpu"
            ) from fault
        operations = self._interpreter._get_ops_details()  # noqa: SLF001 - there is no public way
        if not any(operation["op_name"] == "DELEGATE" for operation in operations):
            raise PortError(
                "no operation of the model runs on the Edge TPU, expected a compiled model; compile it with "
                "edgetpu_compiler and set accelerator.compiled"
            )
        self._source = self._interpreter.get_input_details()[0]["index"]
        self._result = self._interpreter.get_output_details()[0]["index"]

    def run(self, x: bytes) -> bytes:
        """One inference, int8 in and out. Raises PortError."""
        try:
            self._interpreter.set_tensor(self._source, np.frombuffer(x, np.int8)[np.newaxis])
            self._interpreter.invoke()
            return bytes(self._interpreter.get_tensor(self._result)[0].tobytes())
        except (ValueError, RuntimeError) as fault:
            raise PortError(f"inference failed ({_words(fault)}); check the cable and the power") from fault


def main(arguments: list[str]) -> int:
    """arguments: library, process id of the parent, file numbers of the socket and of each model."""
    library, parent, link, *models = arguments
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):
        return 1  # it died before we asked to die with it
    with socket.socket(fileno=int(link)) as sock:
        try:
            networks = [Network(library, _content(int(model))) for model in models]
        except PortError as fault:
            sock.send(FAULT + _cut(fault))
            return 1
        sock.send(READY)
        while request := sock.recv(PACKET_BYTES):
            number = int.from_bytes(request[:NUMBER_BYTES])
            sock.send(_answer(networks[number], request[NUMBER_BYTES:]))
    return 0


def _answer(network: Network, x: bytes) -> bytes:
    try:
        return OUTPUT + network.run(x)
    except PortError as fault:
        return FAULT + _cut(fault)


def _runtime() -> Any:
    for name, package in litert.RUNTIMES.items():
        if litert.available(name):
            try:
                return importlib.import_module(f"{package}.interpreter")
            except (ImportError, SystemError) as fault:
                raise PortError(f"{package} cannot be imported ({_words(fault)}); reinstall it") from fault
    raise PortError("no TensorFlow Lite runtime is installed, expected ai-edge-litert; install it")


def _content(model: int) -> bytes:
    """All of a file that other processes may be reading too."""
    return os.pread(model, os.fstat(model).st_size, 0)


def _words(fault: BaseException) -> str:
    """Its message on one line; delegates like to leave it empty."""
    return " ".join(str(fault).split()) or "it gave no reason"


def _cut(fault: PortError) -> bytes:
    return str(fault)[:_WORDS_MOST].encode()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
