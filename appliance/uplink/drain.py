"""Which event leaves next, and when it has been delivered. Pure bookkeeping: no socket, no clock of its own.

A PUBACK is not delivery: a broker that is killed may forget what it has acknowledged but not yet saved or
passed on. So an acknowledged event stays in the outbox until the broker has been heard from `settle_s` later;
if the connection ends before, the event is offered again on the next one. Consumers drop repeated ids.
"""

import heapq
from collections import deque

from appliance.uplink.outbox import Key, Outbox, Row

NO_SUBSCRIBERS = 0x10
FIRST_ERROR = 0x80
QUOTA_EXCEEDED = 0x97

_AGAIN_S = 60.0
_SOON_S = 5.0
"""In the first minute of a connection: subscribers come back a little later than we do."""
_UNHEARD_S = 86_400.0
_SETTLE_PERIOD_S = 0.1
_SETTLE_ROWS = 500


class Drain:
    """The state of one outbox against one broker. Times are the caller's monotonic seconds.

    refused: PUBACKs with an error. nobody_listening: PUBACKs that said that no one subscribes.
    """

    def __init__(self, outbox: Outbox, settle_s: float) -> None:
        self._outbox = outbox
        self._settle_s = settle_s
        self._cursor: dict[int, int] = {}
        self._connected_s = 0.0
        self._newest_before = 0
        self._acknowledged: dict[Key, float] = {}
        self._doubtful: deque[Key] = deque()
        self._waiting: list[tuple[float, Key]] = []
        self._refused_at: dict[Key, float] = {}
        self._unheard_since: dict[Key, float] = {}
        self._held: set[Key] = set()
        self._settled_at = 0.0
        self.refused = 0
        self.nobody_listening = 0

    def connected(self, now_s: float) -> None:
        """A new connection: what was sent without an answer goes first, what has not settled goes last."""
        self._cursor = {}
        self._connected_s = now_s
        self._newest_before = self._outbox.newest_id()
        self._doubtful.extend(self._acknowledged)
        self._acknowledged.clear()
        for key in [key for key, at in self._refused_at.items() if now_s - at >= _AGAIN_S]:
            del self._refused_at[key]
            heapq.heappush(self._waiting, (now_s, key))
        self._held = {*self._doubtful, *self._refused_at, *(key for _, key in self._waiting)}

    def take(self, room: int, now_s: float) -> list[Row]:
        """The next rows to send, at most `room`: trips before alarms before the rest, then in order of id."""
        rows: list[Row] = []
        while len(rows) < room:
            found = self._outbox.pending(self._cursor, room - len(rows))
            if not found:
                break
            for row in found:
                self._cursor[row.key[0]] = row.key[1]
            rows += [row for row in found if row.key not in self._held]
        while len(rows) < room and (key := self._late(now_s)):
            late = self._outbox.row(key)
            rows += [late] if late else []
        return rows

    def is_late(self, key: Key) -> bool:
        """Whether the event was stored before this connection began."""
        return key[1] <= self._newest_before

    def answered(self, key: Key, reason: int, now_s: float) -> None:
        """The broker's PUBACK for a row. An error or "no subscribers" never deletes it."""
        if reason == NO_SUBSCRIBERS:
            self.nobody_listening += 1
            if now_s - self._unheard_since.setdefault(key, now_s) < _UNHEARD_S:
                young = now_s - self._connected_s < _AGAIN_S
                heapq.heappush(self._waiting, (now_s + (_SOON_S if young else _AGAIN_S), key))
                return
        elif reason >= FIRST_ERROR:
            self.refused += 1
            if reason == QUOTA_EXCEEDED:
                heapq.heappush(self._waiting, (now_s + _AGAIN_S, key))
            else:
                self._refused_at[key] = now_s
            return
        self._unheard_since.pop(key, None)
        self._acknowledged[key] = now_s

    def settle(self, heard_s: float, now_s: float) -> None:
        """Move to the journal what was acknowledged `settle_s` before `heard_s`, when the broker last spoke.

        In small portions, because the guard waits for the same file.
        """
        if now_s - self._settled_at < _SETTLE_PERIOD_S:
            return
        keys: list[Key] = []
        for key, at in self._acknowledged.items():
            if heard_s - at < self._settle_s or len(keys) == _SETTLE_ROWS:
                break
            keys.append(key)
        if keys:
            self._settled_at = now_s
            self._outbox.delivered(keys)
            for key in keys:
                del self._acknowledged[key]

    def backlog(self) -> int:
        """Events that no broker has acknowledged."""
        return max(0, self._outbox.backlog() - len(self._acknowledged) - len(self._doubtful))

    def _late(self, now_s: float) -> Key | None:
        """The next one to offer again: in doubt since the last connection, or its wait is over."""
        if self._doubtful:
            return self._doubtful.popleft()
        if self._waiting and self._waiting[0][0] <= now_s:
            return heapq.heappop(self._waiting)[1]
        return None
