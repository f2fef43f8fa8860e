import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hw import recording
from tools import datapile

SCRIPT = Path(__file__).parents[2] / "tools" / "export_recordings"

needs_data = pytest.mark.skipif(
    not (datapile.FOLDER / "adi_cbm.npz").is_file(), reason=f"{datapile.FOLDER}: the data pile is not here"
)


def export(*arguments):
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, check=False, timeout=60
    )


@needs_data
def test_healthy_recordings_are_cut_in_time_and_faults_are_whole(tmp_path):
    done = export(str(tmp_path), "--rate", "2000", "--share", "0.5")
    assert done.returncode == 0, done.stderr
    learn, judge = (sorted(p.name for p in (tmp_path / part).iterdir()) for part in ("learn", "judge"))
    assert len(judge) == 65
    assert learn == [name for name in judge if name.startswith("healthy-")]
    _, pile = datapile.load("adi_cbm")
    whole = next(r for r in pile if not r.fault and r.about["rpm"] == 1800)
    name = "healthy-1800rpm-healthy.wav"
    parts = [recording.load(tmp_path / part / name) for part in ("learn", "judge")]
    assert all(part.rate_hz == 2000 for part in parts)
    together = np.concatenate([part.accel for part in parts])
    assert np.allclose(together, datapile.decimated(whole, 10).accel, atol=1e-5)


@needs_data
def test_a_rate_that_does_not_divide_is_refused(tmp_path):
    done = export(str(tmp_path / "out"), "--rate", "3000")
    assert done.returncode == 2
    assert "must divide 20000" in done.stderr
    assert not (tmp_path / "out").exists()
