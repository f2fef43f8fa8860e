"""Who has been heard, and who has been silent for too long: sensors and models."""

import math
import time
from collections.abc import Callable, Iterator

from appliance.config import Config

_MODEL_SILENT_S = 10.0
_REASON_S = 5.0
"""So long a device's own reason stands: its next try has failed or succeeded by then."""


class Silence:
    """Times of the last word of every sensor and of every model, by one clock."""

    def __init__(self, config: Config, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        """A sensor may be silent for some of its blocks or periods, a model for some windows."""
        self._monotonic_s = monotonic_s
        self._patience_s = {spec.name: max(1.0, 5 * spec.block_s) for spec in config.vibration}
        slow = (*config.temperature, *config.transmitter)
        self._patience_s |= {spec.name: max(3.0, 3 * spec.period_s) for spec in slow}
        self._model_patience_s = max(_MODEL_SILENT_S, 3 * config.analysis.window_s)
        now_s = self._monotonic_s()
        self._heard_s = dict.fromkeys(self._patience_s, now_s)
        self._scored_s = {spec.name: now_s for spec in config.vibration}
        self._faulted_s: dict[str, float] = {}

    def heard(self, sensor: str) -> None:
        """The sensor gave something."""
        self._heard_s[sensor] = self._monotonic_s()

    def scored(self, sensor: str) -> None:
        """The sensor's model said something."""
        self._scored_s[sensor] = self._monotonic_s()

    def faulted(self, sensor: str) -> None:
        """The sensor's device gave a reason of its own."""
        self._faulted_s[sensor] = self._monotonic_s()

    def sensors(self) -> Iterator[tuple[str, str]]:
        """Sensors silent for too long without a reason of their own, and the words for it."""
        now_s = self._monotonic_s()
        for sensor, heard_s in list(self._heard_s.items()):
            explained = now_s - self._faulted_s.get(sensor, -math.inf) <= _REASON_S
            if now_s - heard_s > self._patience_s[sensor] and not explained:
                yield sensor, f"no data for {now_s - heard_s:.0f} s"

    def models(self) -> Iterator[tuple[str, str]]:
        """Sensors whose model has been silent for too long, and the words for it."""
        now_s = self._monotonic_s()
        for sensor, scored_s in list(self._scored_s.items()):
            if now_s - scored_s > self._model_patience_s:
                yield sensor, f"model silent for {now_s - scored_s:.0f} s"

    @property
    def all_s(self) -> float:
        """For how long nothing at all has been heard."""
        now_s = self._monotonic_s()
        return now_s - max(self._heard_s.values(), default=now_s)
