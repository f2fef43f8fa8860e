"""Who listens to the guard: blocks to analysis, state and notices to uplink and status; requests back."""

import contextlib
import select
import threading
import time
from collections.abc import Callable

from appliance import wire
from appliance.guard.admission import unfit
from appliance.guard.protection import Protection
from appliance.records import (
    Capture,
    Event,
    GuardState,
    Hello,
    Message,
    Notice,
    Reply,
    Request,
    SampleBlock,
    Score,
    TemperatureReading,
    Trace,
)

_HEARS: dict[str, tuple[type, ...]] = {
    "analysis": (SampleBlock,),
    "evidence": (SampleBlock, TemperatureReading, GuardState, Trace, Notice, Capture),
    "uplink": (GuardState, Notice),
    "status": (GuardState, Notice),
}
_NOT_OURS = (
    "refused: the guard hears only root, its own user and the members of its group; ask as one of them"
)


class Feed:
    """The guard's socket and everyone connected to it."""

    def __init__(
        self, listener: wire.Listener, protection: Protection, state: Callable[[], GuardState]
    ) -> None:
        """state: what a newcomer hears first."""
        self._listener = listener
        self._state = state
        self._protection = protection
        self._roles: dict[wire.Link, str] = {}
        self._lock = threading.Lock()
        self.dropped = 0
        """Messages that a listener was too slow for; a hole in `seq` tells it."""

    def publish(self, message: Message) -> None:
        """Send to every listener of this type; never blocks.

        One that has gone is left for `turn` to close: another thread may be waiting for its descriptor.
        """
        with self._lock:
            links = [link for link, role in self._roles.items() if isinstance(message, _HEARS[role])]
        if not links:
            return
        packet = wire.encode(message)
        for link in links:
            with contextlib.suppress(wire.Closed):
                self.dropped += not link.send_packet(packet)

    def tell(self, event: Event) -> None:
        """A durable event: a notice to those who carry it on, and a capture order where it has evidence."""
        self.publish(Notice(event))
        if event.evidence:
            self.publish(Capture(event.evidence, event.at_mono_ns, event.message))

    def turn(self, timeout_s: float) -> None:
        """Serve what is waiting, for at most about timeout_s."""
        with self._lock:
            links = list(self._roles)
        sources = [self._listener.fileno(), *(link.fileno() for link in links)]
        readable, _, _ = select.select([fd for fd in sources if fd >= 0], [], [], timeout_s)
        if self._listener.fileno() in readable:
            self._greet(self._listener.accept())
        for link in links:
            if link.fileno() in readable:
                self._serve(link)

    def close(self) -> None:
        """Close every connection and the socket."""
        with self._lock:
            links = list(self._roles)
            self._roles.clear()
        for link in links:
            link.close()
        self._listener.close()

    def _greet(self, link: wire.Link) -> None:
        """A newcomer must say who it is at once."""
        if not link.peer_is_ours():
            with contextlib.suppress(wire.Closed):
                link.send(Reply(ok=False, message=_NOT_OURS))
            link.close()
            return
        deadline_s = time.monotonic() + 0.2
        try:
            hello = link.receive()
            while hello is None and time.monotonic() < deadline_s:
                select.select([link], [], [], 0.05)
                hello = link.receive()
        except wire.Closed:
            hello = None
        if not isinstance(hello, Hello):
            link.close()
            return
        with self._lock:
            self._roles[link] = hello.role
        if hello.role != "analysis":
            self.publish(self._state())

    def _serve(self, link: wire.Link) -> None:
        try:
            while (message := link.receive()) is not None:
                if isinstance(message, Score):
                    self._protection.score(message, time.perf_counter_ns())
                elif isinstance(message, Request):
                    link.send(self._answer(message))
        except wire.Closed:
            self._drop(link)

    def _answer(self, request: Request) -> Reply:
        if fault := unfit(request):
            return Reply(ok=False, message=f"refused: {fault}")
        return self._protection.ask(request)

    def _drop(self, link: wire.Link) -> None:
        with self._lock:
            known = self._roles.pop(link, None)
        if known:
            link.close()
