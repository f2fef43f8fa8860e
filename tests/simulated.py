"""Recordings of the simulated machine, as files of every format; the command line as a process."""

import math
import os
import subprocess
import sys
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from appliance.cli import main
from appliance.config import Duty, Fault
from appliance.sensors import Trouble
from hw.csvfile import write_csv
from hw.evidence import Track, write_evidence
from hw.ports import STANDARD_GRAVITY_MPS2
from hw.sim.accelerometer import SimAccelerometer
from hw.sim.clock import SimClock
from hw.sim.rotor import Machine
from hw.wav import write_wav

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}
FULL_SCALE_G = 16.0


def counts(
    rate_hz: float,
    axes: int,
    seconds: float,
    *,
    faults: Sequence[Fault] = (),
    duty: Sequence[Duty] = (),
    troubles: Sequence[Trouble] = (),
    seed: int = 1,
) -> tuple[NDArray[np.int16], float]:
    """(n, axes) counts of the simulated machine, and m/s² of one."""
    resonance_hz = float(np.clip(0.3 * rate_hz, 200, 3500))
    machine = Machine(seed=seed, resonance_hz=resonance_hz, faults=faults, duty=duty)
    sensor = SimAccelerometer(machine, SimClock(math.inf, 0), rate_hz, axes, troubles=troubles)
    sensor.start()
    wanted, parts = round(seconds * rate_hz), []
    while sum(map(len, parts)) < wanted:
        parts.append(sensor.read().counts)
    return np.concatenate(parts)[:wanted], sensor.scale_mps2


def accel(rate_hz: float, axes: int, seconds: float, **how: object) -> NDArray[np.float32]:
    """(n, axes) m/s², gravity included; arguments as `counts`."""
    raw, scale_mps2 = counts(rate_hz, axes, seconds, **how)  # type: ignore[arg-type]
    return (raw * scale_mps2).astype(np.float32)


def write(kind: str, path: Path, signal: NDArray[np.float32], rate_hz: float) -> list[str]:
    """Write `signal`, m/s², as `kind` to path + suffix; the options that reading it needs, the path first."""
    if kind == "float":
        path = path.with_suffix(".wav")
        write_wav(path, signal, rate_hz)
        return [str(path)]
    if kind == "pcm16":
        path = path.with_suffix(".wav")
        raw = np.rint(signal / (FULL_SCALE_G * STANDARD_GRAVITY_MPS2) * 32767).astype("<i2")
        with wave.open(str(path), "wb") as file:
            file.setparams((signal.shape[1], 2, round(rate_hz), len(signal), "NONE", ""))
            file.writeframes(raw.tobytes())
        return [str(path)]
    if kind == "csv":
        path = path.with_suffix(".csv")
        write_csv(path, signal, rate_hz, ("x", "y", "z")[: signal.shape[1]])
        return [str(path)]
    if kind == "bare":
        path = path.with_suffix(".csv")
        np.savetxt(path, signal, fmt="%.7g", delimiter=",")
        return [str(path), "--rate", f"{rate_hz:g}", "--units", "m/s2", "--axes", str(signal.shape[1])]
    assert kind == "npz", kind
    path = path.with_suffix(".npz")
    scale_mps2 = FULL_SCALE_G * STANDARD_GRAVITY_MPS2 / 32768
    raw = np.rint(signal / scale_mps2).astype(np.int16)
    write_evidence(path, [Track("de", raw, scale_mps2, rate_hz, 1_000_000_000)])
    return [str(path)]


@dataclass(frozen=True)
class Learnt:
    """bundle: folder. healthy, faulty: evidence files of 10 s. All of 2 kHz, two axes, windows of 0.25 s."""

    bundle: Path
    healthy: Path
    faulty: Path


def learn(folder: Path) -> Learnt:
    """A bundle of the healthy machine, and what it has not seen."""
    healthy = accel(2000, 2, 25)
    faulty = accel(2000, 2, 10, faults=(Fault(kind="outer_race", severity=0.8),))
    write("npz", folder / "learn", healthy[:30_000], 2000)
    write("npz", folder / "healthy", healthy[30_000:], 2000)
    write("npz", folder / "faulty", faulty, 2000)
    bundle = folder / "bundle"
    assert main(["learn", str(folder / "learn.npz"), "--window-s", "0.25", "--out", str(bundle)]) == 0
    return Learnt(bundle, folder / "healthy.npz", folder / "faulty.npz")


def start(*arguments: str | Path, **how: object) -> subprocess.Popen[str]:
    """`python -m appliance ...` with its output in pipes."""
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": ENVIRONMENT} | how
    command = [sys.executable, "-m", "appliance", *map(str, arguments)]
    return subprocess.Popen(command, text=True, **how)  # type: ignore[call-overload,no-any-return]
