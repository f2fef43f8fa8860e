"""Which events are more important: they leave first, and are evicted last."""

from appliance.records import EventKind

PRIORITY = {EventKind.TRIP: 0, EventKind.ALARM: 1, EventKind.HEALTH: 2, EventKind.AUDIT: 2}
"""Drain class of an event: smaller leaves first; in `id` order within a class."""
CLASSES = sorted(set(PRIORITY.values()))
HISTORY = 3
"""Telemetry that could not be sent live: after all events."""
