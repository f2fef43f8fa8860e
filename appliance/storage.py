"""Configuration of what is kept on disk on its way to the plant: how much of it, and how much is written."""

from typing import Annotated

from msgspec import Meta, Struct

from appliance.sensors import NotNegative, Positive

_MB = 1_000_000


class Storage(Struct, forbid_unknown_fields=True, frozen=True):
    """How much disk the events and the history may take, and how much may be written to it."""

    events_mb: Annotated[float, Meta(ge=1, le=100_000)] = 64.0
    """Event store at most, MB; then the oldest of the least important class goes, trips last of all."""
    history_mb: Annotated[float, Meta(ge=1, le=1_000_000)] = 256.0
    """Telemetry that waits for the broker at most, MB; then the oldest goes."""
    reserve_mb: NotNegative = 50.0
    """Free space of state_dir below which history gives way to everything else, MB."""
    written_mb_per_day: Positive = 500.0
    """What guard and uplink should write a day at most, MB; beyond it `health.over_write_budget` is true."""

    @property
    def events_bytes(self) -> int:
        """Bound of the event store."""
        return int(self.events_mb * _MB)

    @property
    def history_bytes(self) -> int:
        """Bound of the history."""
        return int(self.history_mb * _MB)
