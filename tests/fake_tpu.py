"""The fake Edge TPU of tests/hw/fake_edgetpu.c: built once a run, told by a file what to do."""

import atexit
import contextlib
import os
import shutil
import subprocess
import tempfile
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from appliance.analysis.quantize import Grid, QuantizedDense, QuantizedModel

SOURCE = Path(__file__).resolve().parent / "hw" / "fake_edgetpu.c"
VARIABLE = "FAKE_EDGETPU"


@cache
def library() -> Path:
    """The shared library; skips the test where there is no compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler to build the fake Edge TPU with (apt-get install gcc)")
    folder = Path(tempfile.mkdtemp(prefix="fake-edgetpu-"))
    atexit.register(shutil.rmtree, folder)
    path = folder / "libfake_edgetpu.so"
    command = [compiler, "-Wall", "-Wextra", "-Werror", "-O2", "-shared", "-fPIC", "-o", path, SOURCE, "-lm"]
    subprocess.run(command, check=True, timeout=60)
    return path


class FakeTpu:
    """What the fake does, for processes with `environment`."""

    def __init__(self, folder: Path) -> None:
        self.path = str(library())
        self._control = folder / "fake_edgetpu"
        self.environment = {VARIABLE: str(self._control)}
        self.do("ok")

    def do(self, word: str) -> None:
        """One of the words at the top of the C file, at once."""
        fresh = self._control.with_suffix(".fresh")
        fresh.write_text(word)
        fresh.replace(self._control)


def network(seed: int, widths: tuple[int, ...] = (20, 12, 5, 12, 20)) -> QuantizedModel:
    """A random int8 network."""
    rng = np.random.default_rng(seed)
    grid = first = Grid(np.float32(0.04), int(rng.integers(-20, 20)))
    layers = []
    for i, o in pairwise(widths):
        scale = np.float32(rng.uniform(2e-3, 5e-3))
        output = Grid(np.float32(float(grid.scale) * float(scale) * 73 * 73 * np.sqrt(i) / 60), 3)
        weight = rng.integers(-127, 128, (o, i)).astype(np.int8)
        layers.append(
            QuantizedDense(weight, scale, rng.integers(-999, 999, o).astype(np.int32), output, False)
        )
        grid = output
    return QuantizedModel(first, tuple(layers))


def children(pid: int | None = None) -> set[int]:
    """Child processes, zombies included, of this process or another."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            if parent == (pid or os.getpid()):
                found.add(int(stat.parent.name))
    return found
