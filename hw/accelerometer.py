"""What all accelerometers with a FIFO share: their turns, what was lost, a look at the chip now and then."""

from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hw.bus import BusError, Clock
from hw.ports import STANDARD_GRAVITY_MPS2, PortError, Samples
from hw.registers import Registers

I16 = NDArray[np.int16]

LONGEST_BLOCK_S = 0.25
CHECK_S = 5.0
"""The configuration is read again this often: a chip that begins anew after a dip of its supply is silent."""
RATE_TOLERANCE = 1.2
"""No chip here runs faster than this times its nominal rate."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What the datasheet says of a chip as it is configured."""

    rate_hz: float
    lsb_g: float
    """Acceleration of one count, g."""
    full_scale_counts: int
    noise_g_rthz: float
    """Noise density, g/√Hz."""
    bandwidth_hz: float
    depth: int
    """Samples that the FIFO holds."""
    service: int
    """Samples to let it gather before it is drained."""


@dataclass(frozen=True, slots=True)
class Drained:
    """What one drain found.

    counts: shape (n, 3), oldest first; level: samples in the FIFO when it was asked; overrun: the chip says
    or the samples show that some are missing.
    """

    counts: I16
    level: int
    overrun: bool


class Accelerometer(ABC):
    """hw.ports.Vibration on a chip with a FIFO. A driver says how to identify, configure and drain its chip.

    A fault ends it: `start` frees the bus, and identifies and configures the chip anew.
    """

    axes = 3
    dc_coupled = True

    def __init__(
        self, part: str, registers: Registers, clock: Clock, figures: Figures, block_s: float
    ) -> None:
        """Take part.

        Args:
            part: what faults call it, with its place: "LIS3DH at 0x18".
            registers: of the chip.
            clock: the time it lives in.
            figures: the chip as it will be configured.
            block_s: length of what `read` returns, seconds, at most 0.25.
        """
        if not 0.0 < block_s <= LONGEST_BLOCK_S:
            raise ValueError(f"block_s {block_s}: expected above 0 and at most {LONGEST_BLOCK_S} s; set it")
        self.part = part
        self.registers = registers
        self.clock = clock
        self.rate_hz = figures.rate_hz
        self.scale_mps2 = figures.lsb_g * STANDARD_GRAVITY_MPS2
        self.full_scale_counts = figures.full_scale_counts
        self.noise_mps2 = float(figures.noise_g_rthz * STANDARD_GRAVITY_MPS2 * np.sqrt(figures.bandwidth_hz))
        self.bandwidth_hz = figures.bandwidth_hz
        self._depth = figures.depth
        self._services = max(1, -int(-block_s * figures.rate_hz // figures.service))
        self._service_ns = round(block_s * 1e9 / self._services)
        self._running = self._failed = False
        self._held: Samples | None = None
        self._ahead = 0  # samples of the last drain that came while it went on
        self._served_ns = self._heard_ns = self._due_ns = self._check_ns = 0

    def start(self) -> None:
        """Identify, configure, begin to sample; after a fault free the bus first. Raises PortError."""
        self._running = False
        try:
            if self._failed:
                self.registers.recover()
            self._failed = True
            self.registers.forget()
            self.identify()
            self.configure()
        except PortError as fault:
            raise PortError(f"{self.part}: {fault}") from fault
        self._failed, self._running, self._held, self._ahead = False, True, None, 0
        self._served_ns = self._heard_ns = self.clock.now_ns()
        self._due_ns = self._served_ns + self._service_ns
        self._check_ns = self._served_ns + round(CHECK_S * 1e9)

    def read(self) -> Samples:
        """Drain the FIFO for block_s; what came before a gap is returned without what came after it."""
        if not self._running:
            raise PortError(f"{self.part}: read before start; call start() first")
        try:
            return self._block()
        except PortError as fault:
            self._running, self._failed = False, True
            raise PortError(f"{self.part}: {self._cause(fault)}") from fault

    def stop(self) -> None:
        """Put the chip to sleep. The bus stays with whoever opened it."""
        self._running = False
        with suppress(PortError):  # a chip that cannot be told to stop is as good as stopped
            self.standby()

    @abstractmethod
    def identify(self) -> None:
        """Make sure that the chip is the one expected. Raises PortError without naming the part."""

    @abstractmethod
    def configure(self) -> None:
        """Reset and configure it; it samples into an empty FIFO afterwards. Raises PortError."""

    @abstractmethod
    def drain(self) -> Drained:
        """Take what is in the FIFO. Raises PortError: bus fault, or bytes that no such chip sends."""

    @abstractmethod
    def standby(self) -> None:
        """Stop sampling. Raises PortError."""

    def overran(self) -> bool:
        """Whether a FIFO that may have been full while it was drained lost samples; True if unknown."""
        return True

    def _cause(self, fault: PortError) -> PortError:
        """A chip that has begun anew sends nonsense first; its registers say why."""
        if isinstance(fault, BusError):
            return fault
        try:
            self.registers.check()
        except PortError as found:
            return found
        return fault

    def _block(self) -> Samples:
        first, self._held = self._held or self._served(), None
        parts = [first]
        for _ in range(1, self._services):
            part = self._served()
            if part.lost:
                self._held = part
                break
            parts.append(part)
        counts = np.concatenate([part.counts for part in parts])
        silent_ns = self.clock.now_ns() - self._heard_ns
        if silent_ns > 2 * self._services * self._service_ns:
            raise PortError(
                f"no sample for {silent_ns * 1e-6:.0f} ms, expected {self.rate_hz:.0f} Hz; "
                "check the supply and the part"
            )
        if self.clock.now_ns() >= self._check_ns:
            self.registers.check()
            self._check_ns = self.clock.now_ns() + round(CHECK_S * 1e9)
        late_ns = max(part.late_ns for part in parts)
        return Samples(counts, parts[-1].host_ns, first.lost, late_ns=late_ns)

    def _served(self) -> Samples:
        """Wait for the FIFO's turn and drain it; how many are lost only the time that passed can tell."""
        due_ns = self._due_ns
        self._wait()
        asked_ns = self.clock.now_ns()
        drained = self.drain()
        done_ns = self.clock.now_ns()
        arrived = (done_ns - asked_ns) * 1e-9 * self.rate_hz * RATE_TOLERANCE
        lost = 0
        if drained.overrun or (drained.level + arrived >= self._depth and self.overran()):
            expected = round((asked_ns - self._served_ns) * 1e-9 * self.rate_hz)
            lost = max(1, expected - self._ahead - drained.level)
        self._served_ns = asked_ns
        self._ahead = max(0, len(drained.counts) - drained.level)
        self._heard_ns = done_ns if len(drained.counts) else self._heard_ns
        return Samples(drained.counts, done_ns, lost, late_ns=max(0, asked_ns - due_ns))

    def _wait(self) -> None:
        now_ns = self.clock.now_ns()
        if now_ns < self._due_ns:
            self.clock.sleep((self._due_ns - now_ns) * 1e-9)
            self._due_ns += self._service_ns
        else:
            self._due_ns = now_ns + self._service_ns
