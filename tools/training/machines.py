"""A population of simulated machines: speed, load, mounting, noise and restlessness drawn for each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from appliance.analysis.features import Extractor
from appliance.config import Duty, Fault
from hw.sim.rotor import Machine

F32 = NDArray[np.float32]
STEP_S = 4.0
"""Load and speed are asked anew so often: they wander, as those of a machine at work do."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """One machine. load, speed: shares of nameplate; *_wander: how far they go, as a share of themselves.

    mounting: (3, 3) turns the axes of the sensor and scales them. noise_mps2: of its surroundings, RMS.
    """

    number: int
    shaft_hz: float
    resonance_hz: float
    load: float
    load_wander: float
    speed: float
    speed_wander: float
    mounting: F32
    noise_mps2: float


def draw(number: int, rate_hz: float) -> Drawn:
    """The machine of this number, the same at every rate but for its resonance, which the rate must carry."""
    rng = np.random.default_rng([2026, number])
    turn, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    return Drawn(
        number,
        shaft_hz=float(np.exp(rng.uniform(np.log(12), np.log(60)))),
        resonance_hz=float(rng.uniform(0.15, 0.48)) * rate_hz,
        load=float(rng.uniform(0.4, 1.0)),
        load_wander=float(rng.uniform(0.0, 0.24)),
        speed=float(rng.uniform(0.7, 1.1)),
        speed_wander=float(rng.uniform(0.0, 0.02)),
        mounting=(turn * np.exp(rng.normal(0.0, 0.4))).astype(np.float32),
        noise_mps2=float(np.exp(rng.normal(-3.0, 0.7))),
    )


def accel(
    machine: Drawn, rate_hz: float, axes: int, seconds: float, *, run: int = 0, faults: Sequence[Fault] = ()
) -> F32:
    """So many seconds of it, (n, axes), m/s². run: another one has other noise and another course of load."""
    rng = np.random.default_rng([2027, machine.number, run])
    simulated = Machine(
        seed=1000 * machine.number + run + 1,
        shaft_hz=machine.shaft_hz,
        resonance_hz=machine.resonance_hz,
        faults=faults,
        duty=_course(machine, rng, seconds),
    )
    point, wanted, chunks = simulated.vibration(rate_hz, 3), round(seconds * rate_hz), list[F32]()
    while sum(map(len, chunks)) < wanted:
        chunks.append(point.chunk(rate_hz))
    motion = np.concatenate(chunks)[:wanted] @ machine.mounting.T
    noise = rng.standard_normal(motion.shape, np.float32)
    felt: F32 = (motion + np.float32(machine.noise_mps2) * noise)[:, :axes]
    return felt


def windows(accelerations: F32, extractor: Extractor, hop: int) -> F32:
    """Features of the windows of one run, a new one every `hop` samples: (n, axes) -> (windows, k)."""
    starts = range(0, len(accelerations) - extractor.n + 1, hop)
    rows = [extractor(np.ascontiguousarray(accelerations[at : at + extractor.n].T)) for at in starts]
    return np.stack(rows)


def _course(machine: Drawn, rng: np.random.Generator, seconds: float) -> list[Duty]:
    """Load and speed over time: a bounded walk."""
    steps = np.arange(0.0, seconds + STEP_S, STEP_S)
    walk, course = np.zeros(2), []
    for at_s in steps:
        walk = 0.8 * walk + 0.6 * rng.standard_normal(2)
        load, speed = np.tanh(walk / 2) * (machine.load_wander, machine.speed_wander)
        course.append(
            Duty(at_s=float(at_s), speed=machine.speed * (1 + speed), load=machine.load * (1 + load))
        )
    return course
