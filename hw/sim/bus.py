"""Simulated I2C and SPI: chips that answer byte for byte, a bus that takes its time, and faults by script.

At a speed other than 1.0 each driver needs a bus and a MachineTime of its own: its sleeps drive the time.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hw.bus import U8, BusError
from hw.sim.machine_time import MachineTime
from hw.sim.trouble import Trouble, active

KINDS = ("nack", "stuck_sda", "slow", "corrupt", "swapped", "brownout")
SPOILING = ("nack", "stuck_sda", "swapped", "corrupt")
PATIENCE_S = 0.1
"""What a failed transfer takes where time is not real: it stands for the caller's pause between two tries."""
STRANGER = 0x42


class Chip(Protocol):
    """A simulated chip."""

    def transfer(self, write: bytes, read_bytes: int, t_s: float) -> bytes:
        """Take what is written (first byte: register), answer `read_bytes` bytes, at machine time t_s."""

    def power_cycle(self, t_s: float) -> None:
        """Lose everything and begin with the reset values."""


class SpiChip(Chip, Protocol):
    """A simulated chip that SPI reaches too."""

    def from_spi(self, first: int) -> int:
        """The first byte on SPI as `transfer` wants it: its bits "read" and "go on" are elsewhere."""


@dataclass(frozen=True, slots=True)
class BusFault:
    """One fault of a bus, from start_s to end_s of machine time.

    kind: nack (the chip is not there), stuck_sda (holds until `recover` is called after end_s), slow
    (`amount` seconds more a transfer), corrupt (share `amount` of the bytes read), swapped (another chip
    answers), brownout (the chip begins anew, once, at start_s).
    """

    kind: str
    start_s: float
    end_s: float
    amount: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"bus fault {self.kind!r}: expected one of {', '.join(KINDS)}; correct it")


class _Transfer:
    """hw.bus.Transfer on a simulated bus."""

    def __init__(self, carry: Callable[[int], bytes], read_bytes: int) -> None:
        self._carry = carry
        self._read: U8 = np.zeros(read_bytes, np.uint8)

    def run(self, read_bytes: int | None = None) -> U8:
        prepared = len(self._read)
        count = prepared if read_bytes is None else read_bytes
        if not min(1, prepared) <= count <= prepared:
            raise ValueError(f"{count} bytes: expected 1 to {prepared}, as prepared; prepare more")
        self._read[:count] = np.frombuffer(self._carry(count), np.uint8)
        return self._read[:count]


class _Wire:
    """The time that transfers take. Real sleeps are long and late, so small ones are owed, and set off."""

    SMALLEST_S = 5e-4

    def __init__(self, clock: MachineTime) -> None:
        self._clock = clock
        self._owed_s = 0.0

    def busy(self, seconds: float) -> None:
        if not self._clock.real:
            self._clock.sleep(seconds)
            return
        self._owed_s += seconds
        if self._owed_s >= self.SMALLEST_S:
            before_s = self._clock.t_s
            self._clock.sleep(self._owed_s)
            self._owed_s -= min(self._clock.t_s - before_s, self._owed_s + self.SMALLEST_S)


class _Script:
    """The faults of one bus and what they have done so far."""

    def __init__(self, faults: Sequence[Trouble], seed: int) -> None:
        self._faults = tuple(faults)
        self._rng = np.random.default_rng(seed)
        self._browned: set[int] = set()
        self._stuck = False

    def active(self, kind: str, t_s: float) -> bool:
        return active(self._faults, kind, t_s) is not None

    def spoils(self, t_s: float) -> bool:
        """Whether transfers fail or lie."""
        return any(self.active(kind, t_s) for kind in SPOILING)

    def stuck(self, t_s: float) -> bool:
        self._stuck |= self.active("stuck_sda", t_s)
        return self._stuck

    def recover(self, t_s: float) -> None:
        self._stuck = self.active("stuck_sda", t_s)

    def delay_s(self, t_s: float) -> float:
        slow = active(self._faults, "slow", t_s)
        return slow.amount if slow else 0.0

    def starve(self, chip: Chip, t_s: float) -> None:
        """Power-cycle it, once for each brown-out that has begun."""
        for number, fault in enumerate(self._faults):
            if fault.kind == "brownout" and fault.start_s <= t_s and number not in self._browned:
                self._browned.add(number)
                chip.power_cycle(t_s)

    def garble(self, data: bytes, t_s: float) -> bytes:
        corrupt = active(self._faults, "corrupt", t_s)
        if corrupt is None or not data:
            return data
        hit = self._rng.random(len(data)) < corrupt.amount
        noise = self._rng.integers(1, 256, len(data), np.uint8) * hit
        return bytes(np.frombuffer(data, np.uint8) ^ noise.astype(np.uint8))


def _follow_while_spoilt(clock: MachineTime, script: _Script) -> None:
    """A driver that rests between its tries must find the fault ended when the machine is past its end."""
    if script.spoils(clock.t_s):
        clock.catch_up()


class SimI2c:
    """hw.bus.I2c with chips at their addresses. Threads take turns, as on a real bus."""

    def __init__(
        self,
        clock: MachineTime,
        chips: Mapping[int, Chip],
        faults: Sequence[Trouble] = (),
        speed_hz: float = 400_000.0,
        seed: int = 1,
    ) -> None:
        """Wire it.

        Args:
            clock: the time it lives in; transfers take theirs.
            chips: by 7-bit address.
            faults: BusFault or its like, by machine time.
            speed_hz: of SCL.
            seed: of corrupted bytes.
        """
        self._clock = clock
        self._wire = _Wire(clock)
        self._chips = dict(chips)
        self._script = _Script(faults, seed)
        self._speed_hz = speed_hz
        self._lock = threading.Lock()

    def prepare(self, address: int, write: bytes, read_bytes: int) -> _Transfer:
        """See hw.bus.I2c."""
        return _Transfer(lambda count: self._carry(address, write, count), read_bytes)

    def recover(self) -> None:
        """Free SDA, if what held it has let go."""
        with self._lock:
            self._script.recover(self._clock.t_s)

    def close(self) -> None:
        """Nothing to let go."""

    def _carry(self, address: int, write: bytes, count: int) -> bytes:
        with self._lock:
            clocks = 9 * (len(write) + bool(write) + bool(count)) + 3
            _follow_while_spoilt(self._clock, self._script)
            self._wire.busy(clocks / self._speed_hz + self._script.delay_s(self._clock.t_s))
            t_s = self._clock.t_s
            if self._script.stuck(t_s):
                self._fail(address, "bus timed out, expected SDA to be free; a chip holds it low")
            if address not in self._chips or self._script.active("nack", t_s):
                self._fail(address, "no acknowledge, expected a chip at this address; check its wiring")
            if self._script.active("swapped", t_s):
                return bytes([STRANGER] * count)
            chip = self._chips[address]
            self._script.starve(chip, t_s)
            data = chip.transfer(write, count, t_s)
            self._wire.busy(9 * count / self._speed_hz)  # what is measured meanwhile finds room in a FIFO
            return self._script.garble(data, t_s)

    def _fail(self, address: int, words: str) -> None:
        if not self._clock.real:
            self._clock.sleep(PATIENCE_S)
            self._clock.catch_up()
        raise BusError(f"simulated I2C, address {address:#04x}: {words}")


class SimSpi:
    """hw.bus.Spi with one chip. Nothing acknowledges here: a missing chip reads as 0xFF, a short as 0x00."""

    def __init__(
        self,
        clock: MachineTime,
        chip: SpiChip,
        faults: Sequence[Trouble] = (),
        speed_hz: float = 5_000_000.0,
        seed: int = 1,
    ) -> None:
        """As SimI2c."""
        self._clock = clock
        self._wire = _Wire(clock)
        self._chip = chip
        self._script = _Script(faults, seed)
        self._speed_hz = speed_hz

    def prepare(self, write: bytes, read_bytes: int) -> _Transfer:
        """See hw.bus.Spi."""
        return _Transfer(lambda count: self._carry(write, count), read_bytes)

    def close(self) -> None:
        """Nothing to let go."""

    def _carry(self, write: bytes, count: int) -> bytes:
        _follow_while_spoilt(self._clock, self._script)
        self._wire.busy(8 * len(write) / self._speed_hz + self._script.delay_s(self._clock.t_s))
        t_s = self._clock.t_s
        if self._script.active("nack", t_s):
            return b"\xff" * count
        if self._script.active("stuck_sda", t_s):
            return b"\x00" * count
        if self._script.active("swapped", t_s):
            return bytes([STRANGER] * count)
        self._script.starve(self._chip, t_s)
        words = bytes([self._chip.from_spi(write[0])]) + write[1:]
        data = self._chip.transfer(words, count, t_s)
        self._wire.busy(8 * count / self._speed_hz)
        return self._script.garble(data, t_s)
