"""The same network for an Edge TPU, where Google's closed compiler is installed; docs/ACCELERATOR.md."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from appliance.analysis.bundle import MODEL, Bundle

COMPILER = "edgetpu_compiler"
LONGEST_S = 300.0


def compiled(bundle: Bundle, folder: Path) -> str:
    """Write `{bundle id}_edgetpu.tflite` into the folder; what came of it, in words."""
    if shutil.which(COMPILER) is None:
        return f"not compiled: {COMPILER} is not installed here (x86-64 only, closed; coral.ai)"
    with tempfile.TemporaryDirectory() as place:
        model = Path(place) / f"{bundle.id}.tflite"
        model.write_bytes(bundle.files[MODEL])
        command = [COMPILER, "--show_operations", "--out_dir", place, str(model)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LONGEST_S)
        except subprocess.TimeoutExpired:
            return f"not compiled: {COMPILER} took more than {LONGEST_S:g} s"
        made = model.with_name(f"{bundle.id}_edgetpu.tflite")
        if done.returncode or not made.exists():
            last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no word"]
            return f"not compiled: {COMPILER} ended with {done.returncode}: {last[0]}"
        shutil.copy(made, folder / made.name)
    return f"`{made.name}`, for the folder that `[accelerator] compiled` names"
