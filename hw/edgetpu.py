"""The Edge TPU behind the Accelerator port: down or healthy, never in the way.

Models run in a worker process. Every answer is vouched for: a golden vector runs right behind it, and a
device that gives anything else than was recorded is not believed. All golden vectors run at each start and
every `golden_s`. After any fault the worker is killed and started again, ever more slowly while that fails.
"""

import threading
import time
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hw.edgetpu_process import WorkerProcess
from hw.ports import PortError

I8 = NDArray[np.int8]

_SLOWEST = 32
"""Times `retry_s`: the longest wait between two starts, and how long one must last to begin anew."""
_STOP_S = 3.0


@dataclass(frozen=True, slots=True)
class Golden:
    """inputs, outputs: (n, k) int8, n >= 1. allowed: steps by which an output may be off."""

    inputs: I8
    outputs: I8
    allowed: int = 0


@dataclass(frozen=True, slots=True)
class Counts:
    """Since the start. healthy: it is used now. fault: the last one, in words; empty if there was none.

    invocations: answers given. fallbacks: answers not given, so that the caller had to do without.
    restarts: workers started after the first one. golden_failures: starts and answers it was not believed.
    """

    healthy: bool = False
    invocations: int = 0
    fallbacks: int = 0
    restarts: int = 0
    golden_failures: int = 0
    fault: str = ""


class EdgeTpuModel:
    """One model, behind the Accelerator port. `EdgeTpu.load` makes it."""

    name = "edgetpu"

    def __init__(self, device: "EdgeTpu", data: bytes, golden: Golden) -> None:
        self._device, self.data, self.golden = device, data, golden

    def invoke(self, x: I8) -> I8:
        """(k,) -> (k,) within the deadline. Raises PortError: the device is down, or has just gone down."""
        if x.shape != self.golden.inputs.shape[1:] or x.dtype != np.int8:
            expected = f"int8 {self.golden.inputs.shape[1:]}"
            raise PortError(f"input {x.dtype} {x.shape}, expected {expected}; give one window's features")
        return self._device.run(self, x)


class EdgeTpu:
    """One Edge TPU and the models of all who use it: a device can be open in one process only."""

    def __init__(
        self,
        library: str = "libedgetpu.so.1",
        *,
        deadline_s: float = 0.05,
        start_s: float = 10.0,
        retry_s: float = 2.0,
        golden_s: float = 300.0,
    ) -> None:
        """Nothing is started before the first `load`.

        Args:
            library: of the delegate, as the dynamic linker finds it.
            deadline_s: an inference with its golden vector.
            start_s: loading the library and all models, with their golden vectors.
            retry_s: first wait after a fault; it doubles up to 32 times that.
            golden_s: between two checks of all golden vectors.
        """
        self._library, self._deadline_s, self._start_s = library, deadline_s, start_s
        self._retry_s, self._golden_s = retry_s, golden_s
        self._models: dict[str, EdgeTpuModel] = {}
        self._serving: tuple[EdgeTpuModel, ...] = ()
        self._process: WorkerProcess | None = None
        self._broken: PortError | None = None
        self._fault = ""
        self._closed = False
        self._events: Counter[str] = Counter()
        self._counting = threading.Lock()
        self._asking = threading.Lock()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="edgetpu", daemon=True)

    @property
    def counts(self) -> Counts:
        """What has happened so far."""
        with self._counting:
            events = self._events.copy()
        return Counts(
            healthy=bool(self._serving),
            invocations=events["invocation"],
            fallbacks=events["fallback"],
            restarts=max(0, events["start"] - 1),
            golden_failures=events["golden failure"],
            fault=self._fault,
        )

    @property
    def pid(self) -> int:
        """Process id of the latest worker; 0 before the first."""
        return self._process.pid if self._process else 0

    def load(self, owner: str, data: bytes, golden: Golden) -> EdgeTpuModel:
        """Load a .tflite file for `owner`, in place of its last one. It comes into use in the background."""
        model = self._models.get(owner)
        if model is None or model.data != data:
            model = EdgeTpuModel(self, data, golden)
            self._models = self._models | {owner: model}
            self._wake.set()
        if self._thread.ident is None:
            self._thread.start()
        return model

    def run(self, model: EdgeTpuModel, x: I8) -> I8:
        """One inference, (k,) -> (k,). Answers or raises PortError within the deadline."""
        deadline_s = time.monotonic() + self._deadline_s
        if model not in self._serving or not self._asking.acquire(blocking=False):
            self._count("fallback")
            raise PortError(
                f"the Edge TPU is not ready ({self._fault or 'it starts'}); use the CPU meanwhile"
            )
        try:
            y = self._vouched(model, x, deadline_s)
        except PortError as fault:
            self._count("fallback")
            if self._serving:
                self._fault, self._broken, self._serving = str(fault), fault, ()
                self._wake.set()
            raise
        finally:
            self._asking.release()
        self._count("invocation")
        return y

    def close(self) -> None:
        """End the worker; there are no more answers."""
        self._closed = True
        self._wake.set()
        if self._process:
            self._process.terminate()
        if self._thread.ident is not None:
            self._thread.join(_STOP_S)

    def _vouched(self, model: EdgeTpuModel, x: I8, deadline_s: float) -> I8:
        """The output for x, if the golden vector behind it comes out right."""
        if self._process is None or model not in self._serving:
            raise PortError("the Edge TPU has just gone down; use the CPU meanwhile")
        number = self._serving.index(model)
        turn = self._events["invocation"] % len(model.golden.inputs)
        y, proof = self._process.ask([(number, x), (number, model.golden.inputs[turn])], deadline_s)
        self._prove(model, turn, proof)
        return y

    def _prove(self, model: EdgeTpuModel, turn: int, output: I8) -> None:
        """Raise PortError where golden vector `turn` came out wrong."""
        wanted, allowed = model.golden.outputs[turn], model.golden.allowed
        if output.shape != wanted.shape:
            off = 255
        else:
            off = int(np.abs(output.astype(int) - wanted.astype(int)).max())
        if off > allowed:
            self._count("golden failure")
            raise PortError(
                f"the Edge TPU answers golden vector {turn} wrongly, {off} steps off, expected at most "
                f"{allowed}; it corrupts data or runs another model: change its cable, its port, the device"
            )

    def _keep(self) -> None:
        """The thread: one worker after the other."""
        wait_s = self._retry_s
        while True:
            self._wake.clear()
            if self._closed:
                return
            began_s, models = time.monotonic(), self._models
            try:
                self._use(tuple(models.values()))
            except PortError as fault:
                self._fault = str(fault)
                if time.monotonic() - began_s > _SLOWEST * self._retry_s:
                    wait_s = self._retry_s
                self._wake.clear()
                if not self._closed and self._models is models:
                    self._wake.wait(wait_s)
                wait_s = min(2 * wait_s, _SLOWEST * self._retry_s)

    def _use(self, models: tuple[EdgeTpuModel, ...]) -> None:
        """Start a worker with these models; return when there are others. Raises PortError at any fault."""
        self._count("start")
        started_by_s = time.monotonic() + self._start_s
        process = self._process = WorkerProcess(self._library, [model.data for model in models])
        try:
            if self._closed:
                return
            process.wait_ready(started_by_s)
            self._check(process, models, started_by_s)
            self._serving = models
            while not self._wake.wait(self._golden_s):
                self._check(process, models)
            if self._broken:
                raise self._broken
        finally:
            with self._asking:
                self._serving, self._broken = (), None
                process.close()

    def _check(
        self, process: WorkerProcess, models: tuple[EdgeTpuModel, ...], deadline_s: float | None = None
    ) -> None:
        """All golden vectors, each until `deadline_s` or in the time of an inference. Raises PortError."""
        for number, model in enumerate(models):
            for turn, x in enumerate(model.golden.inputs):
                with self._asking:
                    until_s = deadline_s or time.monotonic() + self._deadline_s
                    [output] = process.ask([(number, x)], until_s)
                self._prove(model, turn, output)

    def _count(self, event: str) -> None:
        with self._counting:
            self._events[event] += 1
