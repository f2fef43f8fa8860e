"""The machine recordings in ../shared/data, beside the checkout; no part of the project."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from hw.ports import STANDARD_GRAVITY_MPS2

F32 = NDArray[np.float32]
EDGE = 40
FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data"


@dataclass(frozen=True)
class Recording:
    """about: the pile's description (label, fault, rpm …). accel: (n, axes) or (snippets, n, axes), m/s²."""

    about: dict[str, Any]
    accel: F32

    @property
    def fault(self) -> bool:
        return bool(self.about.get("fault"))


def load(name: str) -> tuple[float, list[Recording]]:
    """Sample rate in Hz and the recordings of one file, acceleration in m/s² (the pile holds g)."""
    path = FOLDER / f"{name}.npz"
    if not path.is_file():
        sys.exit(f"{path}: not there; expected the data pile beside the checkout; put it there to run this")
    with np.load(path, allow_pickle=False) as pile:
        meta = json.loads(str(pile["meta"]))
        return float(meta["fs_hz"]), [_recording(pile, about) for about in meta["recordings"]]


def decimated(recording: Recording, factor: int) -> Recording:
    """The recording at 1/factor of its rate, less EDGE samples at both ends, where the filter settles.

    With them, the first window of one healthy recording stands out 80-fold in its upper bands.
    """
    if factor == 1:
        return recording
    slow = signal.decimate(recording.accel, factor, axis=0).astype(np.float32)
    return Recording(recording.about, slow[EDGE:-EDGE])


def _recording(pile: Any, about: dict[str, Any]) -> Recording:
    key = about["key"]
    x = pile[key].astype(np.float64)
    if about.get("ovf"):  # samples beyond int16 are kept aside
        x.ravel()[pile[f"{key}_ovf_i"]] = pile[f"{key}_ovf_v"]
    x = x * np.asarray(about["scale"]) + np.asarray(about.get("offset", 0.0))
    return Recording(about, (x * STANDARD_GRAVITY_MPS2).astype(np.float32))
