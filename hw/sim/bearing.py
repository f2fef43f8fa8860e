"""A localized bearing fault: impacts that ring a resonance.

Source: Antoni 2007 and D'Elia, Cocconcelli, Mucchi, Meccanica 2018 (random-walk slip); McFadden & Smith 1984
with Stribeck's load distribution (load zone).
"""

import numpy as np
from numpy.typing import NDArray

from hw.sim.harmonics import bandwidth_gain

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

BALLS, BALL_MM, PITCH_MM = 9, 7.94, 39.04
"""A 6205-like bearing, contact angle 0."""
_RATIO = BALL_MM / PITCH_MM
FTF_ORDER = 0.5 * (1.0 - _RATIO)
BPFO_ORDER = 0.5 * BALLS * (1.0 - _RATIO)
BPFI_ORDER = 0.5 * BALLS * (1.0 + _RATIO)
BALL_ORDER = (1.0 - _RATIO**2) / _RATIO
"""Twice BSF: a spot on a ball meets both races."""
_IMPACTS = {  # kind: impacts per turn of the shaft, turns of the load zone per turn of the shaft
    "outer_race": (BPFO_ORDER, 0.0),
    "inner_race": (BPFI_ORDER, 1.0),
    "ball": (BALL_ORDER, FTF_ORDER),
}
KINDS = tuple(_IMPACTS)
SLIP = 0.015
SCATTER = 0.12
LOAD_ZONE = 0.6
DAMPING = 0.04
HOUSING = 1.0 / 6.0
"""Frequency of the housing's own mode, of the resonance. It answers only when the spall is deep."""
SUB_SAMPLES = 8
BATCH = 256


def ring_table(frequency_hz: float, rate_hz: float) -> F32:
    """Unit impulse response of one mode, shape (SUB_SAMPLES, length): a row an offset, decayed to 1/1000."""
    pull = 2.0 * np.pi * frequency_hz
    length = max(2, int(np.log(1e3) / (DAMPING * pull) * rate_hz) + 1)
    t_s = (np.arange(length) + np.arange(SUB_SAMPLES)[:, None] / SUB_SAMPLES) / rate_hz
    decay = np.exp(-DAMPING * pull * t_s)
    ring = -decay * np.cos(pull * np.sqrt(1.0 - DAMPING**2) * t_s)
    # The machine stays where it is: the ringing adds up to nothing, or gravity would seem to turn.
    ring -= decay * (ring.sum(axis=1) / decay.sum(axis=1))[:, None]
    seen: F32 = (ring * bandwidth_gain(frequency_hz, rate_hz)).astype(np.float32)
    return seen


def load_zone(angle_rad: F64) -> F64:
    """Stribeck's share of the load at this angle from the load's direction, 0 to 1."""
    return np.asarray(np.maximum(0.0, 1.0 - (1.0 - np.cos(angle_rad)) / (2.0 * LOAD_ZONE)) ** 1.5)


def pit_mps2(severity: F64) -> F64:
    """Peak at full load and speed of the resonance's answer to one impact."""
    return 4.0 * severity + 36.0 * severity**6


def spall_mps2(severity: F64) -> F64:
    """Peak at full load and speed of the housing's answer to one impact: negligible, then violent."""
    return 150.0 * severity**6


class BearingFault:
    """Impacts of one fault, followed turn by turn. The seed fixes where they fall on the shaft."""

    def __init__(self, seed: int, kind: str, rate_hz: float, resonance_hz: float) -> None:
        """kind: one of KINDS; resonance_hz: the mode that a small pit excites."""
        self._rng = np.random.default_rng([seed, 3, KINDS.index(kind)])
        self._order, self._zone_order = _IMPACTS[kind]
        self._pit = ring_table(resonance_hz, rate_hz)
        self._housing = ring_table(resonance_hz * HOUSING, rate_hz)
        self._at_turns = self._rng.uniform(0.0, 1.0 / self._order, 1)
        self._scatter = np.ones(1)
        self._tail = np.zeros(self._housing.shape[1], np.float32)

    def _impacts(self, until_turns: float) -> tuple[F64, F64]:
        """The impacts before `until_turns`, taken off the list: where (turns), and how strong (about 1)."""
        while self._at_turns[-1] < until_turns:
            spacing = (1.0 + SLIP * self._rng.standard_normal(BATCH)) / self._order
            self._at_turns = np.concatenate((self._at_turns, self._at_turns[-1] + np.cumsum(spacing)))
            scatter = 1.0 + SCATTER * self._rng.standard_normal(BATCH)
            self._scatter = np.concatenate((self._scatter, np.maximum(0.0, scatter)))
        count = int(np.searchsorted(self._at_turns, until_turns))
        taken = self._at_turns[:count], self._scatter[:count]
        self._at_turns, self._scatter = self._at_turns[count:], self._scatter[count:]
        return taken

    def skip(self, turns: float) -> None:
        """Forget the impacts before `turns`, a few at a time: a machine may have run for months."""
        for until in np.arange(self._at_turns[0], turns, 50.0):
            self._impacts(float(until))
        self._impacts(turns)

    def block(self, turns: F64, drive: F64, severity: tuple[float, float]) -> F32:
        """Acceleration, shape (n,), m/s².

        turns: of the shaft at the n samples and at the first of the next block, shape (n + 1,); drive: load
        times speed^1.5, shape (n + 1,); severity: at the first and the last of them.
        """
        n = len(turns) - 1
        out = np.concatenate((self._tail, np.zeros(n, np.float32)))
        at_turns, scatter = self._impacts(float(turns[-1]))
        if len(at_turns) and max(severity) > 0.0:
            samples = np.arange(n + 1.0)
            where = np.interp(at_turns, turns, samples)
            strength = scatter * np.interp(where, samples, drive)
            strength *= load_zone(2.0 * np.pi * self._zone_order * at_turns)
            grown = np.interp(where, (0.0, n), severity)
            self._strike(out, where, strength * pit_mps2(grown), self._pit)
            self._strike(out, where, strength * spall_mps2(grown), self._housing)
        self._tail = out[n:]
        return out[:n]

    @staticmethod
    def _strike(out: F32, where: F64, peak_mps2: F64, table: F32) -> None:
        first = np.ceil(where)
        offset = ((first - where) * SUB_SAMPLES).astype(np.intp)
        length = table.shape[1]
        rings = zip(first.astype(np.intp).tolist(), offset.tolist(), peak_mps2.tolist(), strict=True)
        for start, row, peak in rings:
            if peak > 1e-4:
                out[start : start + length] += np.float32(peak) * table[row]
