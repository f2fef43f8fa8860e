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
    EventKind,
    GuardState,
    Hello,
    ModelAct,
    Notice,
    SampleBlock,
    Score,
    Spectrum,
    TemperatureReading,
    Trace,
)
from appliance.requests import Learn, Offer, PlantAct, Reply, Request
from appliance.wire import Message

_HEARS: dict[str, tuple[type, ...]] = {
    "analysis": (SampleBlock, GuardState, Learn, Offer),
    "evidence": (SampleBlock, TemperatureReading, GuardState, Trace, Notice, Capture),
    "uplink": (GuardState, Notice, Spectrum),
    "status": (GuardState, Notice),
}
_LEARN = {
    "again": "learn a new baseline",
    "accept": "the new operating condition is normal",
    "refuse": "the new operating condition is not normal",
    "cancel": "learn nothing",
}
_AT_ONCE = 8
_BREATH_S = 0.001
"""A flood of scores took the protection's lock again and again: blocks waited for up to 17 ms (measured)."""
_NOT_OURS = (
    "refused: the guard hears only root, its own user and the members of its group; ask as one of them"
)
_NOT_FROM_AFAR = "refused: not over the network; ask at the machine, or see [uplink.commands]"


class Feed:
    """The guard's socket and everyone connected to it."""

    def __init__(
        self,
        listener: wire.Listener,
        protection: Protection,
        state: Callable[[], GuardState],
        from_plant: tuple[type, ...] = (),
    ) -> None:
        """state: what a newcomer hears first. from_plant: the requests that are taken from the uplink."""
        self._listener = listener
        self._state = state
        self._from_plant = from_plant
        self._protection = protection
        self._roles: dict[wire.Link, str] = {}
        self._lock = threading.Lock()
        self.dropped = 0
        """Messages that a listener was too slow for; a hole in `seq` tells it."""

    def publish(self, message: Message) -> int:
        """Send to every listener of this type; never blocks. Returns how many took it.

        One that has gone is left for `turn` to close: another thread may be waiting for its descriptor.
        """
        with self._lock:
            links = [link for link, role in self._roles.items() if isinstance(message, _HEARS[role])]
        if not links:
            return 0
        packet, took = wire.encode(message), 0
        for link in links:
            with contextlib.suppress(wire.Closed):
                sent = link.send_packet(packet)
                took += sent
                self.dropped += not sent
        return took

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
        busy = [self._serve(link) for link in links if link.fileno() in readable]
        if any(busy):
            time.sleep(_BREATH_S)

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

    def _serve(self, link: wire.Link) -> bool:
        """Take what came, but not all of a flood; returns whether there may be more."""
        try:
            for _ in range(_AT_ONCE):
                if (message := link.receive()) is None:
                    return False
                if isinstance(message, Score):
                    self._protection.score(message, time.perf_counter_ns())
                elif isinstance(message, Spectrum):
                    self.publish(message)
                elif isinstance(message, ModelAct):
                    self._note(message)
                elif isinstance(message, Request | Learn | Offer | PlantAct):
                    self._reply(link, self._answer(message, self._roles[link]))
        except wire.Closed:
            self._drop(link)
            return False
        return True

    def _reply(self, link: wire.Link, reply: Reply) -> None:
        """Raises Closed: it does not read, and its next reply would look like this one."""
        if not link.send(reply):
            raise wire.Closed("a reply was not taken")

    def _answer(self, request: Request | Learn | Offer | PlantAct, role: str) -> Reply:
        if role == "uplink" and not isinstance(request, self._from_plant):
            return Reply(ok=False, message=_NOT_FROM_AFAR)
        if fault := unfit(request):
            return Reply(ok=False, message=f"refused: {fault}")
        if isinstance(request, Learn | Offer):
            return self._pass_on(request)
        if isinstance(request, PlantAct):
            self._protection.note(EventKind.AUDIT, "plant.asked", request.message, who=request.who)
            return Reply(ok=True, message="noted")
        return self._protection.ask(request)

    def _pass_on(self, request: Learn | Offer) -> Reply:
        """To analysis, which tells by events what becomes of it."""
        if not self.publish(request):
            found = "no analysis is connected, or it is too busy to listen"
            return Reply(ok=False, message=f"refused: {found}; see that it runs, ask again")
        if isinstance(request, Learn):
            asked, words = "learn.asked", _LEARN[request.act]
        else:
            asked, words = "model.offered", f"try a model, delta of {len(request.delta)} bytes"
        about = f"{request.sensor or 'every sensor'}: {words}"
        self._protection.note(EventKind.AUDIT, asked, about, who=request.who, why=request.why)
        return Reply(ok=True, message=f"asked: {words}")

    def _note(self, act: ModelAct) -> None:
        """What analysis did with a model, into the journal."""
        words = " ".join(act.message.split()) or act.event
        self._protection.note(
            EventKind.AUDIT,
            act.event,
            f"{act.sensor}: {words}",
            severity=act.severity,
            who=act.who,
            why=act.why,
        )

    def _drop(self, link: wire.Link) -> None:
        with self._lock:
            known = self._roles.pop(link, None)
        if known:
            link.close()
