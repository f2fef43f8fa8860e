"""What the plant asked to be sent: events again, waveforms. It leaves where nothing else needs the room."""

import logging
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from appliance.uplink.broker import Broker
from appliance.uplink.outbox import Outbox
from appliance.uplink.wave import Upload

log = logging.getLogger(__name__)

MOST = 4
"""Ranges, and uploads, that may wait."""
_ROWS = 100
_PASSED_OVER = 32
"""Pieces that are only read for the digest in one turn."""


class Range(NamedTuple):
    """Events asked for again, and how far that has come."""

    from_seq: int
    to_seq: int
    after_id: int = 0


class Sending(NamedTuple):
    """An upload that was asked for. missing: of its pieces; None: all."""

    upload: Upload
    missing: Sequence[int] | None = None


_Chunks = Iterator[tuple[str, bytes] | None]


class Requested:
    """Sends one after the other. An upload ends with the connection; what is missing is asked for again."""

    def __init__(self) -> None:
        self.ranges: deque[Range] = deque()
        self.uploads: deque[Sending] = deque()
        self._chunks: _Chunks | None = None
        self._last = 0

    @property
    def busy(self) -> bool:
        """Whether something waits to be sent."""
        return bool(self.ranges or self.uploads or self._chunks)

    def lost(self) -> None:
        """The connection has ended."""
        self.uploads.clear()
        self._chunks = None

    def send(self, broker: Broker, outbox: Outbox) -> None:
        """What may leave now. Raises Lost."""
        if self.ranges and broker.spare > 0:
            self._send_events(broker, outbox)
        if broker.room and not broker.waits_for(self._last):
            self._send_chunk(broker)

    def _send_events(self, broker: Broker, outbox: Outbox) -> None:
        wanted = self.ranges.popleft()
        rows = outbox.kept(wanted.from_seq, wanted.to_seq, wanted.after_id, min(broker.spare, _ROWS))
        for row in rows:
            broker.publish_event(row, late=True, again=True)
        if rows:
            self.ranges.appendleft(wanted._replace(after_id=rows[-1].key[1]))

    def _send_chunk(self, broker: Broker) -> None:
        """One at a time, so that an alert waits behind one chunk at most."""
        if self._chunks is None:
            if not self.uploads:
                return
            upload, missing = self.uploads.popleft()
            self._chunks = upload.chunks(missing, time.time_ns() // 1_000_000)
        try:
            for _ in range(_PASSED_OVER):
                if chunk := next(self._chunks):
                    self._last = broker.publish(*chunk)
                    if not self._last:
                        self._chunks = None
                    return
        except StopIteration:
            self._chunks = None
        except OSError as fault:
            log.warning("upload ended: %s", fault)
            self._chunks = None
