"""True times for what happened before the clock was right.

Everything that waits for the plant keeps the kernel's boot id and CLOCK_BOOTTIME, which nobody can set. An
anchor says which wall time belonged to which boot time: one is kept when the clock is synchronised for the
first time in a boot, and after every step of it.
"""

import logging
from pathlib import Path
from typing import NamedTuple

import msgspec

from appliance import clock, disk
from appliance.clock import BOOT, DRIFT_PPM, STEP_NS
from appliance.records import TimeQuality

log = logging.getLogger(__name__)

_LOOK_S = 10.0
_MOST = 100


class Anchor(msgspec.Struct, frozen=True):
    """At `boot_ns` of this boot it was `utc_ns`, by a synchronised clock that was off by error_ms at most."""

    boot: str
    boot_ns: int
    utc_ns: int
    error_ms: float


class Told(NamedTuple):
    """The time that the plant is told. device_ns: what the clock said then, where that was replaced."""

    utc_ns: int
    quality: TimeQuality
    error_ms: float | None
    device_ns: int | None = None


class Anchors:
    """The anchors of the last boots, in a file of their own. One that cannot be read is begun anew."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._look_s = 0.0
        self._written = True
        self._anchors: list[Anchor] = []
        try:
            self._anchors = msgspec.json.decode(path.read_bytes(), type=list[Anchor])
        except FileNotFoundError:
            pass
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as fault:
            log.warning("%s: %s; times of events before the clock was set stay as they were", path, fault)

    def look(self, now_s: float) -> None:
        """Keep an anchor if one is due; asks the kernel every ten seconds. now_s: monotonic."""
        if now_s < self._look_s:
            return
        self._look_s = now_s + _LOOK_S
        kernel = clock.kernel_clock()
        if kernel.synchronised:
            boot_ns = clock.boottime_ns()
            anchor = Anchor(BOOT, boot_ns, boot_ns + kernel.off_ns, kernel.error_ms)
            before = self._nearest(BOOT, anchor.boot_ns)
            stepped = before and abs(_off_ns(anchor) - _off_ns(before)) > STEP_NS
            if before is None or stepped:
                self._anchors = [*self._anchors[1 - _MOST :], anchor]
                self._written = False
        if not self._written:
            self._write()

    def told(
        self, boot: str, boot_ns: int, utc_ns: int, quality: TimeQuality, error_ms: float | None
    ) -> Told:
        """The best time for what was stamped so: the stamp itself, or by an anchor that contradicts it."""
        anchor = self._nearest(boot, boot_ns)
        if quality == "ntp" or anchor is None:
            return Told(utc_ns, quality, error_ms)
        found_ns = boot_ns + _off_ns(anchor)
        found_ms = anchor.error_ms + abs(boot_ns - anchor.boot_ns) * DRIFT_PPM * 1e-12
        if error_ms is not None and abs(found_ns - utc_ns) / 1e6 <= error_ms + found_ms:
            return Told(utc_ns, quality, error_ms)
        return Told(found_ns, "est", found_ms, utc_ns)

    def _nearest(self, boot: str, boot_ns: int) -> Anchor | None:
        of_boot = [one for one in self._anchors if one.boot == boot]
        return min(of_boot, key=lambda one: abs(one.boot_ns - boot_ns), default=None)

    def _write(self) -> None:
        try:
            disk.replace(self._path, msgspec.json.encode(self._anchors))
        except OSError as fault:
            log.warning("%s: not written: %s; tried again", self._path, fault)
        else:
            self._written = True


def _off_ns(anchor: Anchor) -> int:
    return anchor.utc_ns - anchor.boot_ns
