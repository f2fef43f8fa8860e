"""The sample clock of one sensor, measured: regression of sample count against host time.

A MEMS oscillator may be several per cent off its nominal rate; frequencies and velocities are wrong by as
much unless the true rate is used. Idea: Klipper's chip-clock regression; weights decay so that it follows
temperature. A block that the scheduler delayed is no news of the chip: lateness counts only up to a limit.
"""

import math
from dataclasses import dataclass

_MEMORY_BLOCKS = 200
_TRUST_BLOCKS = 10
_TRUST_S = 1.0
_HICCUP_S = 0.002
_HICCUP_JITTERS = 4.0
_HICCUP_LONGEST_S = 1.0


@dataclass(slots=True)
class SampleClock:
    """Feed it every block; read `rate_hz`, `ppm`, `jitter_ms`. nominal_hz: samples per second."""

    nominal_hz: float
    count: int = 0
    blocks: int = 0
    lost: int = 0
    _x: float = 0.0
    _y: float = 0.0
    _xx: float = 0.0
    _xy: float = 0.0
    _yy: float = 0.0
    _origin_ns: int = 0
    _span_s: float = 0.0
    _steady_s: float = 0.0
    _end_s: float = -math.inf

    def restarted(self) -> "SampleClock":
        """A clock for the same sensor after a restart: the regression begins anew, losses are kept."""
        return SampleClock(self.nominal_hz, lost=self.lost)

    def update(self, n: int, host_ns: int, lost: int = 0) -> None:
        """A block of n samples, the last of them in host memory at host_ns, `lost` more missing before it."""
        if self.blocks == 0:
            self._origin_ns = host_ns
        self.count += n + lost
        self.lost += lost
        self.blocks += 1
        self._span_s = (host_ns - self._origin_ns) * 1e-9
        weight = max(1.0 / self.blocks, 1.0 / _MEMORY_BLOCKS)
        dx = self._without_hiccup(self._span_s) - self._x
        dy = self.count - self._y
        self._x += weight * dx
        self._y += weight * dy
        keep = 1.0 - weight
        self._xx = keep * (self._xx + weight * dx * dx)
        self._xy = keep * (self._xy + weight * dx * dy)
        self._yy = keep * (self._yy + weight * dy * dy)
        self._end_s = max(self._fitted_s(), self._end_s + 0.5 * n / self.rate_hz)

    @property
    def trusted(self) -> bool:
        """Whether the measurement is long enough to be better than the nominal rate."""
        return self.blocks >= _TRUST_BLOCKS and self._span_s >= _TRUST_S and self._xx > 0

    @property
    def rate_hz(self) -> float:
        """Measured samples per second; the nominal rate until the measurement can be trusted."""
        return float(self._xy / self._xx) if self.trusted else self.nominal_hz

    @property
    def ppm(self) -> float:
        """Deviation from nominal in parts per million."""
        return (self.rate_hz / self.nominal_hz - 1.0) * 1e6

    @property
    def jitter_ms(self) -> float:
        """RMS deviation of block arrival from the fitted clock, milliseconds."""
        if not self.trusted:
            return 0.0
        residual = max(0.0, self._yy - self._xy * self._xy / self._xx)
        return 1e3 * math.sqrt(residual) / self.rate_hz

    def end_ns(self) -> int:
        """Host time of the end of the newest block on the fitted clock: without jitter, never going back."""
        return self._origin_ns + round(self._end_s * 1e9)

    def _fitted_s(self) -> float:
        return self._x + (self.count - self._y) / self.rate_hz

    def _without_hiccup(self, arrival_s: float) -> float:
        """The arrival, or as much lateness as jitter explains; what lasts longer is the chip's doing."""
        fitted_s = self._fitted_s()
        limit_s = max(_HICCUP_S, _HICCUP_JITTERS * 1e-3 * self.jitter_ms)
        if not self.trusted or abs(arrival_s - fitted_s) <= limit_s:
            self._steady_s = arrival_s
        elif arrival_s - self._steady_s <= _HICCUP_LONGEST_S:
            return fitted_s + math.copysign(limit_s, arrival_s - fitted_s)
        return arrival_s
