"""The health line: it turns over only after every sampling thread has moved since it last did."""

import logging
import threading
from collections.abc import Iterable

from hw.health_toggle import HealthToggle
from hw.ports import PortError, Relay

log = logging.getLogger(__name__)

PERIOD_S = 0.1
"""Of the fastest wave; usual blocks of 0.1 s make one of 0.2 s."""


class Health:
    """What the sampling threads report to. Without a line it does nothing."""

    def __init__(self, line: Relay | None, names: Iterable[str]) -> None:
        """line: the output, or None; names: of all that must move."""
        self._toggle = HealthToggle(line, PERIOD_S) if line else None
        self._names = frozenset(names)
        self._missing = set(self._names)
        self._lock = threading.Lock()
        self._told = False

    def moved(self, name: str) -> None:
        """Report that this thread has judged a block or a fault.

        A line that cannot be written stands still, which is what an unwell guard's line does.
        """
        if self._toggle is None:
            return
        with self._lock:
            self._missing.discard(name)
            if self._missing:
                return
            self._missing = set(self._names)
            try:
                self._toggle.beat()
            except PortError as fault:
                if not self._told:
                    log.warning("health line stands still: %s", fault)
                self._told = True
