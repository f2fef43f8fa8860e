"""What the guard says: the connection to its socket, and the latest of everything it sent."""

import contextlib
import math
import time
from collections import deque
from pathlib import Path

from appliance import wire
from appliance.records import GuardState, Hello, Score, Spectrum
from appliance.requests import Learn, Offer, PlantAct, Reply, Request

_RETRY_S = 1.0
_MESSAGES_PER_TURN = 200
_SPECTRA_KEPT = 16
_GONE = Reply(ok=False, message="refused: the guard went away before it answered; look at state, ask again")


class Feed:
    """Listens to the guard and connects again when it restarts. Works without a guard: then nothing comes.

    state: the guard's latest state; None until one came. Times are the caller's monotonic seconds.
    replies: one for each request that `ask` took, in their order; the caller takes them out.
    spectra: the newest that have come; the caller takes them out.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._link: wire.Link | None = None
        self._retry_s = -math.inf
        self._newest_ns: dict[str, int] = {}
        self._unanswered = 0
        self.state: GuardState | None = None
        self.replies: deque[Reply] = deque()
        self.spectra: deque[Spectrum] = deque(maxlen=_SPECTRA_KEPT)

    def fileno(self) -> int:
        """For select; -1 while there is no guard."""
        return self._link.fileno() if self._link else -1

    @property
    def wants_write(self) -> bool:
        """Never: what we say to the guard is short."""
        return False

    def patience_s(self, most_s: float) -> float:
        """How long the loop may wait: without a guard until the next attempt, at most `most_s`."""
        return most_s if self._link else min(most_s, max(0.0, self._retry_s - time.monotonic()))

    def receive(self, now_s: float) -> list[Score]:
        """Take in what has come; returns the scores that are new, oldest first."""
        if self._link is None:
            self._connect(now_s)
        scores: list[Score] = []
        try:
            for _ in range(_MESSAGES_PER_TURN):
                message = self._link.receive() if self._link else None
                if message is None:
                    break
                if isinstance(message, Score):
                    scores.append(message)
                elif isinstance(message, GuardState):
                    self.state = message
                    scores += message.scores
                elif isinstance(message, Spectrum):
                    self.spectra.append(message)
                elif isinstance(message, Reply) and self._unanswered:
                    self._unanswered -= 1
                    self.replies.append(message)
        except wire.Closed:
            self.close()
        return [score for score in scores if self._is_new(score)]

    def ask(self, request: Request | Learn | Offer | PlantAct) -> bool:
        """Ask the guard; does not wait for the reply. False: no guard is there, or it does not keep up."""
        try:
            sent = self._link is not None and self._link.send(request)
        except wire.Closed:
            self.close()
            return False
        self._unanswered += sent
        return sent

    def close(self) -> None:
        """Leave the guard."""
        if self._link:
            self._link.close()
            self._link = None
        self.replies.extend([_GONE] * self._unanswered)
        self._unanswered = 0

    def _connect(self, now_s: float) -> None:
        if now_s < self._retry_s:
            return
        self._retry_s = now_s + _RETRY_S
        with contextlib.suppress(OSError, wire.Closed):
            self._link = wire.connect(self._path, Hello(role="uplink"))
            self._newest_ns = {}

    def _is_new(self, score: Score) -> bool:
        if self._newest_ns.get(score.sensor, -1) >= score.t1_mono_ns:
            return False
        self._newest_ns[score.sensor] = score.t1_mono_ns
        return True
