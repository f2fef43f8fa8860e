"""What the guard writes to disk: the latch, and the events, each by a worker of its own, off the trip path.

An event goes into the event log first, then into the store, and only then is it told: what the plant hears
stands in the log. Neither of the two waits for the other: a full disk or a lock makes its events wait.
"""

import logging
import math
import queue
import time
from collections.abc import Callable
from pathlib import Path

from appliance.daemon import Daemon, Worker
from appliance.errors import StoreError
from appliance.guard import latch as latches
from appliance.guard.chain import Head
from appliance.guard.journal import Journal, belongs
from appliance.records import Event, EventKind, Severity
from appliance.storage import Storage
from appliance.store import Store

log = logging.getLogger(__name__)

_MOST_WAITING = 10_000
_STALL_S = 30.0
_RETRY_LATCH_S = 0.5
_RETRY_STORE_S = 1.0
_LOGGED_AT_ONCE = 100
_TELL_EVICTIONS_S = 3600.0

Note = Callable[[EventKind, str, str, Severity], None]


class Durable:
    """Takes latch and events without ever blocking. accepted: events that the store holds so far."""

    def __init__(
        self,
        store: Path,
        journal: Journal,
        latch: Path,
        note: Note,
        stored: Callable[[Event], None],
        most_bytes: int = Storage().events_bytes,
    ) -> None:
        """note: makes an event of what went wrong here. stored: hears every event once it is durable.

        Raises StoreError.
        """
        self._store = Store(store, most_bytes)
        self._evicted_told = (self._store.evicted, -math.inf)
        self._journal = journal
        self._unlogged: list[Event] = []
        self._left_out = 0
        self._log_refused = False
        self._latch_path = latch
        self._note = note
        self._stored = stored
        self._events: queue.Queue[Event] = queue.Queue(_MOST_WAITING)
        self._latches: queue.SimpleQueue[latches.Latch] = queue.SimpleQueue()
        self._lost = 0
        self._writer: Worker | None = None
        self.accepted = 0

    @property
    def head(self) -> Head:
        """The end of the event log."""
        return self._journal.head

    def start(self, daemon: Daemon) -> None:
        """Start the workers. The latch must not wait for the event store: a restart has to know of a trip."""
        daemon.start("latch", self._keep_latch, stall_s=_STALL_S)
        self._writer = daemon.start("store", self._keep_events, stall_s=_STALL_S)

    def take(self, item: Event | latches.Latch) -> None:
        """Write it soon. Events beyond the memory for them are lost, and their number is told."""
        if isinstance(item, latches.Latch):
            self._latches.put(item)
            return
        try:
            self._events.put_nowait(item)
        except queue.Full:
            self._lost += 1

    def close(self) -> None:
        """Write what came last, unless the store still holds its worker up: then it is left to it."""
        if self._writer and self._writer.is_alive():
            log.warning("the event store does not answer; the newest events may be missing in it")
            return
        late = self._waiting(0.0)
        if not self._enter_log():
            log.warning("%d events are not in the event log: it cannot be written", len(self._unlogged))
        if late:
            self._write(late)
        self._journal.close()
        self._store.close()

    def _keep_latch(self, worker: Worker) -> None:
        refused = False
        while not (worker.stop.is_set() and self._latches.empty()):
            worker.beat()
            try:
                latch = self._latches.get(timeout=0.2)
            except queue.Empty:
                continue
            try:
                latches.write(self._latch_path, latch)
            except OSError as fault:
                if not refused:
                    found = f"{self._latch_path}: {fault}; a restart would not know of a trip; free the disk"
                    self._note(EventKind.HEALTH, "latch.unwritten", found, "critical")
                refused = True
                if worker.stop.wait(_RETRY_LATCH_S):
                    return
                if self._latches.empty():
                    self._latches.put(latch)
            else:
                refused = False

    def _keep_events(self, worker: Worker) -> None:
        """Events in order; a full disk makes them wait, not vanish. The last round comes after the end."""
        waiting: list[Event] = []
        ending = False
        while not ending:
            worker.beat()
            ending = worker.stop.is_set()
            waiting = waiting or self._waiting(0.0 if ending else 0.2)
            logged = self._enter_log()
            if not waiting or self._write(waiting):
                waiting = []
            if not ending and (waiting or not logged):
                worker.stop.wait(_RETRY_STORE_S)

    def _waiting(self, timeout_s: float) -> list[Event]:
        """Everything in the queue, for the store and for the log; waits for the first."""
        events: list[Event] = []
        try:
            events.append(self._events.get(block=timeout_s > 0.0, timeout=timeout_s))
            while True:
                events.append(self._events.get_nowait())
        except queue.Empty:
            pass
        entries = [event for event in events if belongs(event)]
        room = _MOST_WAITING - len(self._unlogged)
        self._unlogged += entries[:room]
        self._left_out += len(entries[room:])
        return events

    def _enter_log(self) -> bool:
        """Write what waits for the log. Returns whether nothing waits any more."""
        try:
            while self._unlogged:
                self._journal.append(self._unlogged[:_LOGGED_AT_ONCE])
                del self._unlogged[:_LOGGED_AT_ONCE]
        except OSError as fault:
            if not self._log_refused:
                found = f"{fault}; events wait for the event log; free the disk"
                self._note(EventKind.HEALTH, "journal.unwritten", found, "critical")
            self._log_refused = True
            return False
        self._log_refused = False
        for found in self._journal.damage:
            self._note(EventKind.HEALTH, "journal.damaged", found, "critical")
        self._journal.damage.clear()
        if self._left_out:
            found = f"{self._left_out} events are not in the event log: it could not be written for too long"
            self._left_out = 0
            self._note(EventKind.HEALTH, "journal.incomplete", found, "critical")
        return True

    def _write(self, events: list[Event]) -> bool:
        try:
            stored = self._store.accept(events)
        except StoreError as fault:
            log.warning("events wait, the store refuses them: %s", fault)
            return False
        self.accepted += len(stored)
        for event in stored:
            log.info("%s %s", event.type, event.message)
            self._stored(event)
        self._tell_of_losses()
        return True

    def _tell_of_losses(self) -> None:
        for path in self._store.set_aside:
            found = (
                f"the event store was damaged and is begun anew with {self._store.salvaged} events of it "
                f"that were on their way; the old one is kept as {path}"
            )
            self._note(EventKind.HEALTH, "store.damaged", found, "critical")
        if self._store.put_back:
            found = "the event store was deleted or replaced while in use: written again, with all its events"
            self._note(EventKind.HEALTH, "store.damaged", f"{found}; stop the guard first", "warning")
        self._store.put_back = False
        self._store.set_aside.clear()
        self._store.salvaged = 0
        self._tell_of_evictions()
        if self._lost:
            found = f"{self._lost} events lost: the store refused them for too long"
            self._lost = 0
            self._note(EventKind.HEALTH, "events.lost", found, "critical")

    def _tell_of_evictions(self) -> None:
        """At once, then once an hour while they go on: each such event takes the place of another."""
        told, told_s = self._evicted_told
        gone, now_s = self._store.evicted, time.monotonic()
        if gone == told or now_s - told_s < _TELL_EVICTIONS_S:
            return
        self._evicted_told = (gone, now_s)
        found = f"the event store is full: {gone} events evicted so far, the least important and oldest first"
        self._note(EventKind.HEALTH, "buffer.evicted", f"{found}; bring the broker back", "critical")
