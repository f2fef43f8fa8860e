"""What the demo has seen over time: the figures behind its summary and its picture."""

from dataclasses import dataclass, field
from statistics import median

from appliance.records import Event, EventKind, GuardState, Quality

_KEEP_EVERY_S = 0.5


@dataclass(slots=True)
class Trend:
    """Series over machine time, s; None where there was no value."""

    t_s: list[float] = field(default_factory=list)
    velocity_mms: list[float | None] = field(default_factory=list)
    rms_mps2: list[float | None] = field(default_factory=list)
    temperature_degc: list[float | None] = field(default_factory=list)
    ratio: list[float | None] = field(default_factory=list)
    marks: list[tuple[float, Event]] = field(default_factory=list)
    _compute_ms: list[float] = field(default_factory=list)
    _speed_hz: list[float] = field(default_factory=list)

    def add(self, t_s: float, state: GuardState) -> None:
        """One state of the guard."""
        if self.t_s and t_s - self.t_s[-1] < _KEEP_EVERY_S:
            return
        score = state.scores[0] if state.scores else None
        scored = score if score and score.quality is Quality.OK and score.value is not None else None
        self.t_s.append(t_s)
        self.velocity_mms.append(score.metrics.get("vib_vel_mms") if score else None)
        self.rms_mps2.append(score.metrics.get("vib_rms_mps2") if score else None)
        self.temperature_degc.append(state.temperatures[0].degc if state.temperatures else None)
        self.ratio.append(
            scored.value / scored.threshold if scored and scored.value and scored.threshold else None
        )
        if score and "speed_hz" in score.metrics:
            self._speed_hz.append(score.metrics["speed_hz"])
        if scored:
            self._compute_ms.append(scored.compute_ms)

    def mark(self, t_s: float, event: Event) -> None:
        """An alarm or a trip."""
        if event.kind in (EventKind.ALARM, EventKind.TRIP):
            self.marks.append((t_s, event))

    @property
    def scored(self) -> bool:
        """Whether any window was scored."""
        return bool(self._compute_ms)

    @property
    def compute_ms(self) -> float:
        """Median time from window to score."""
        return median(self._compute_ms) if self._compute_ms else 0.0

    @property
    def speed_hz(self) -> float | None:
        """Median shaft speed as estimated from the vibration; None if it never was certain."""
        return median(self._speed_hz) if self._speed_hz else None

    @property
    def alert_before_trip(self) -> bool:
        """Whether an Alert came before the relay dropped."""
        kinds = [event.kind for _, event in self.marks if event.severity != "info"]
        return EventKind.TRIP in kinds and kinds.index(EventKind.TRIP) > 0
