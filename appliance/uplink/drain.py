"""Which event leaves next, and when it has been delivered. Pure bookkeeping: no socket, no clock of its own.

A PUBACK is not delivery: a broker that is killed may forget what it has acknowledged but not yet saved or
passed on. So an acknowledged event stays in the outbox until the broker has been heard from `settle_s` later;
if the connection ends before, the event is offered again on the next one. Consumers drop repeated ids.

What was stored before the connection began is late, and goes at the pace of late messages, trips excepted.
What comes since is live and does not wait behind it.
"""

import heapq
from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence

from appliance.priority import CLASSES
from appliance.records import LARGEST_ID
from appliance.uplink.outbox import Key, Outbox, Row
from appliance.uplink.pace import Pace

NO_SUBSCRIBERS = 0x10
FIRST_ERROR = 0x80
QUOTA_EXCEEDED = 0x97

_AGAIN_S = 60.0
_SOON_S = 5.0
"""In the first minute of a connection: subscribers come back a little later than we do."""
_UNHEARD_S = 86_400.0
_SETTLE_PERIOD_S = 0.5
_SETTLE_ROWS = 250
_SETTLE_FULL_S = 0.025
"""Until the next portion where one is full. Ten rows at once write 8.3 kB for each, 100 or more 3.8 kB."""
_AHEAD_ROWS = 100
_ID_BITS = LARGEST_ID.bit_length()
_FULL_S = 5.0
"""The disk is full: the next attempt to settle comes later."""


class Drain:
    """The state of one outbox against one broker. Times are the caller's monotonic seconds.

    refused: PUBACKs with an error. nobody_listening: PUBACKs that said that no one subscribes.
    """

    def __init__(self, outbox: Outbox, settle_s: float, pace: Pace) -> None:
        self._outbox = outbox
        self._settle_s = settle_s
        self._pace = pace
        self._live: dict[int, int] = {}
        self._late: dict[int, int] = {}
        self._live_left = self._trips_left = self._late_left = True
        self._ahead: deque[Row] = deque()
        self._connected_s = 0.0
        self._newest_before = 0
        self._acknowledged = array("q")  # keys in one number each: as tuples 100,000 of them take 14 MB
        self._acknowledged_s = array("d")
        self._doubtful: deque[Key] = deque()
        self._waiting: list[tuple[float, Key]] = []
        self._refused_at: dict[Key, float] = {}
        self._unheard_since: dict[Key, float] = {}
        self._held: set[Key] = set()
        self._settled_at = 0.0
        self.refused = 0
        self.nobody_listening = 0

    @property
    def late_left(self) -> bool:
        """Whether late events wait for their turn; then history waits too."""
        return self._late_left or bool(self._ahead) or bool(self._doubtful)

    def connected(self, now_s: float) -> None:
        """A new connection: what was sent without an answer goes first, what has not settled goes last."""
        self._newest_before = self._outbox.newest_id()
        self._live = dict.fromkeys(CLASSES, self._newest_before)
        self._late = {}
        self._live_left = self._trips_left = self._late_left = True
        self._ahead.clear()
        self._connected_s = now_s
        self._doubtful.extend(map(_key, self._acknowledged))
        del self._acknowledged[:], self._acknowledged_s[:]
        for key in [key for key, at in self._refused_at.items() if now_s - at >= _AGAIN_S]:
            del self._refused_at[key]
            heapq.heappush(self._waiting, (now_s, key))
        self._held = {*self._doubtful, *self._refused_at, *(key for _, key in self._waiting)}

    def take(self, room: int, now_s: float) -> list[Row]:
        """The next rows to send, at most `room`: live ones, late trips, then the rest at its pace.

        Among each of these trips go before alarms before the rest, then in order of id.
        """
        rows = self._live_rows(room)
        if self._trips_left and room > len(rows):
            trips = self._read(self._late, room - len(rows), self._newest_before, CLASSES[:1])
            self._trips_left = len(trips) == room - len(rows)
            rows += trips
        allowed = min(room - len(rows), self._pace.allowed(now_s))
        if self._late_left and not self._ahead and allowed > 0:
            self._ahead.extend(self._read(self._late, _AHEAD_ROWS, self._newest_before, CLASSES))
            self._late_left = len(self._ahead) == _AHEAD_ROWS
        late = [self._ahead.popleft() for _ in range(min(allowed, len(self._ahead)))]
        while len(late) < allowed and (key := self._again(now_s)):
            row = self._outbox.row(key)
            late += [row] if row else []
        self._pace.used(len(late))
        return rows + late

    def patience_s(self, most_s: float, now_s: float) -> float:
        """How long the loop may wait: until something may be sent, or has settled."""
        if self.late_left:
            most_s = min(most_s, self._pace.wait_s(now_s))
        if self._waiting:
            most_s = min(most_s, max(self._waiting[0][0] - now_s, self._pace.wait_s(now_s)))
        return most_s

    def _live_rows(self, room: int) -> list[Row]:
        self._live_left |= self._outbox.changed
        if not self._live_left or room <= 0:
            return []
        rows = self._read(self._live, room, LARGEST_ID, CLASSES)
        self._live_left = len(rows) == room
        return rows

    def _read(self, cursor: dict[int, int], limit: int, last: int, classes: Sequence[int]) -> list[Row]:
        """The next rows that are not held back; fewer than `limit` only where there are no more."""
        rows: list[Row] = []
        while len(rows) < limit:
            found = self._outbox.pending(cursor, limit - len(rows), last=last, classes=classes)
            if not found:
                break
            for row in found:
                cursor[row.key[0]] = row.key[1]
            rows += [row for row in found if row.key not in self._held]
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
        self._acknowledged.append(key[0] << _ID_BITS | key[1])
        self._acknowledged_s.append(now_s)

    def settle(self, heard_s: float, now_s: float) -> None:
        """Move to the journal what was acknowledged `settle_s` before `heard_s`, when the broker last spoke.

        In small portions, because the guard waits for the same file.
        """
        settled = min(_SETTLE_ROWS, bisect_right(self._acknowledged_s, heard_s - self._settle_s))
        period_s = _SETTLE_PERIOD_S if settled < _SETTLE_ROWS else _SETTLE_FULL_S
        if not settled or now_s - self._settled_at < period_s:
            return
        self._settled_at = now_s
        if not self._outbox.delivered([_key(one) for one in self._acknowledged[:settled]]):
            self._settled_at = now_s + _FULL_S
            return
        del self._acknowledged[:settled], self._acknowledged_s[:settled]

    def backlog(self) -> int:
        """Events that no broker has acknowledged."""
        return max(0, self._outbox.backlog() - len(self._acknowledged) - len(self._doubtful))

    def _again(self, now_s: float) -> Key | None:
        """The next one to offer again: in doubt since the last connection, or its wait is over."""
        if self._doubtful:
            return self._doubtful.popleft()
        if self._waiting and self._waiting[0][0] <= now_s:
            return heapq.heappop(self._waiting)[1]
        return None


def _key(number: int) -> Key:
    return number >> _ID_BITS, number & (1 << _ID_BITS) - 1
