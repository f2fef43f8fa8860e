"""The frame of every process: signals, workers that may not die quietly, the systemd watchdog."""

import ctypes
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable

from appliance.errors import ApplianceError

log = logging.getLogger(__name__)

PARENT_VARIABLE = "APPLIANCE_PARENT_PID"
"""Environment: the process that started us in the foreground; we end when it does."""
EPOCH_VARIABLE = "APPLIANCE_SIM_EPOCH_NS"
"""Environment: CLOCK_MONOTONIC at which the simulated machine was switched on; unset = now."""
_PR_SET_PDEATHSIG = 1
_JOIN_S = 3.0


def notify(state: str) -> None:
    """Tell systemd (READY=1, WATCHDOG=1, STOPPING=1, STATUS=…); does nothing where no one listens."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)  # a listener that does not read must not hold us
        try:
            sock.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
        except OSError as fault:
            log.warning("cannot notify systemd: %s", fault)


class Worker(threading.Thread):
    """A thread that must keep moving. An exception in it ends the whole process with a status."""

    def __init__(self, name: str, body: Callable[["Worker"], None], stall_s: float, daemon: "Daemon") -> None:
        super().__init__(name=name, daemon=True)
        self._body = body
        self._stall_s = stall_s
        self._daemon = daemon
        self._beat_s = time.monotonic()
        self.fault: BaseException | None = None

    @property
    def stop(self) -> threading.Event:
        """Set when the process ends."""
        return self._daemon.stop

    def beat(self) -> None:
        """Say that this worker has moved; the watchdog is fed only while all of them do."""
        self._beat_s = time.monotonic()

    @property
    def stalled(self) -> bool:
        """Whether the last beat is too old."""
        return self.is_alive() and time.monotonic() - self._beat_s > self._stall_s

    def run(self) -> None:
        """Run the body; keep its fault for the process."""
        try:
            self._body(self)
        except BaseException as fault:
            self.fault = fault
            named = isinstance(fault, ApplianceError)  # then its words say all
            log.error("worker %s ended: %s", self.name, fault, exc_info=not named)  # noqa: TRY400
            self._daemon.stop.set()
            raise


class Daemon:
    """One process: start workers, then `run` until a signal, a fault or `stop`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.stop = threading.Event()
        self._workers: list[Worker] = []
        threading.excepthook = lambda _: None  # Worker.run has logged it already
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop.set())
        if parent := os.environ.get(PARENT_VARIABLE):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != int(parent):
                self.stop.set()

    def start(self, name: str, body: Callable[[Worker], None], *, stall_s: float = 5.0) -> Worker:
        """Start a worker; it must call `beat` at least every `stall_s` seconds."""
        worker = Worker(name, body, stall_s, self)
        # What has ended well is forgotten, and with it all that its body held.
        self._workers = [one for one in self._workers if one.is_alive() or one.fault]
        self._workers.append(worker)
        worker.start()
        return worker

    @property
    def failed(self) -> bool:
        """Whether a worker has ended with a fault."""
        return any(worker.fault for worker in self._workers)

    def run(
        self, ready: Callable[[], bool] = lambda: True, stopping: Callable[[], None] = lambda: None
    ) -> int:
        """Feed the watchdog while every worker moves; returns the exit status (0 or 1).

        stopping: called once when the end has come, before the workers are waited for (3 s at most).
        """
        period_s = min(0.5, int(os.environ.get("WATCHDOG_USEC", "1000000")) / 4e6)
        announced = False
        while not self.stop.wait(period_s):
            if not announced and ready():
                notify("READY=1")
                announced = True
            stalled = [worker.name for worker in self._workers if worker.stalled]
            if stalled:
                notify(f"STATUS=stalled: {', '.join(stalled)}")
            else:
                notify("WATCHDOG=1")
        notify("STOPPING=1")
        stopping()
        deadline_s = time.monotonic() + _JOIN_S
        for worker in self._workers:
            worker.join(timeout=max(0.0, deadline_s - time.monotonic()))
        return int(self.failed)
