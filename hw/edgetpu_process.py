"""Our end of the Edge TPU's worker process: start it, ask it within a deadline, end it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hw import edgetpu_worker as worker
from hw.ports import PortError

I8 = NDArray[np.int8]

_REAP_S = 2.0


class WorkerProcess:
    """One worker with the models it was started with. Not for two threads at once, but for `terminate`."""

    def __init__(self, library: str, models: Sequence[bytes]) -> None:
        """models: .tflite files, numbered from 0. Raises PortError: no process could be made.

        The worker ends with the thread that makes this object, whatever it hangs in.
        """
        with contextlib.ExitStack() as theirs:
            try:
                self._sock, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                theirs.enter_context(other)
                files = [other.fileno(), *(_in_memory(model, theirs) for model in models)]
                self._process = subprocess.Popen(
                    [sys.executable, "-m", worker.__name__, library, str(os.getpid()), *map(str, files)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=files,
                    start_new_session=True,  # a Ctrl-C at a terminal is ours to act on
                )
            except OSError as fault:
                raise PortError(
                    f"no worker process can be started ({fault}); free memory and files"
                ) from fault

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def wait_ready(self, deadline_s: float) -> None:
        """Wait until its models are loaded, at most until `deadline_s` (monotonic). Raises PortError."""
        self._receive(worker.READY, deadline_s)

    def ask(self, requests: Sequence[tuple[int, I8]], deadline_s: float) -> list[I8]:
        """Run each input (k,) on the model of that number; the outputs, (k,) each.

        Raises PortError: not all were answered until `deadline_s` (monotonic), or the worker said or did
        something else; end it then, a late answer would be taken for the next one.
        """
        try:
            for model, x in requests:
                self._sock.settimeout(_left_s(deadline_s))
                self._sock.send(model.to_bytes(worker.NUMBER_BYTES) + x.tobytes())
        except TimeoutError:
            raise PortError("the worker takes no request in time") from None
        except OSError as fault:
            raise PortError(f"the worker is gone{self._how_it_died(deadline_s)}") from fault
        return [np.frombuffer(self._receive(worker.OUTPUT, deadline_s), np.int8) for _ in requests]

    def terminate(self) -> None:
        """Kill it from any thread; whoever waits for its answer hears of it."""
        self._process.kill()

    def close(self) -> None:
        """Kill it and reap it. One that the kernel cannot end (stuck in a USB transfer) is reaped later."""
        self._process.kill()
        self._sock.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_REAP_S)

    def _receive(self, kind: bytes, deadline_s: float) -> bytes:
        """The rest of the next message, which must be of this kind."""
        try:
            self._sock.settimeout(_left_s(deadline_s))
            message = self._sock.recv(worker.PACKET_BYTES)
        except TimeoutError:
            raise PortError("no answer in time: it hangs") from None
        except OSError as fault:
            raise PortError(f"the worker is gone{self._how_it_died(deadline_s)}") from fault
        if message[:1] == kind:
            return message[1:]
        if message[:1] == worker.FAULT:
            raise PortError(message[1:].decode(errors="replace"))
        raise PortError(f"the worker ended{self._how_it_died(deadline_s)}")

    def _how_it_died(self, deadline_s: float) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = self._process.wait(_left_s(deadline_s))
            return f" ({signal.Signals(-status).name})" if status < 0 else f" (exit status {status})"
        return ""


def _in_memory(content: bytes, until: contextlib.ExitStack) -> int:
    """The number of a file that exists in memory only."""
    file = os.memfd_create("model.tflite")
    until.callback(os.close, file)
    with open(file, "wb", closefd=False) as stream:
        stream.write(content)
    return file


def _left_s(deadline_s: float) -> float:
    """Time left; never 0, which would mean not to wait at all."""
    return max(1e-6, deadline_s - time.monotonic())
