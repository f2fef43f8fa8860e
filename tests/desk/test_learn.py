"""Learn and score the simulated machine: any format, rate, window, overlap and number of axes."""

import hashlib
import json
import signal
import tomllib
from pathlib import Path

import numpy as np
import pytest
import simulated

from appliance.analysis import bundle as bundles
from appliance.cli import main
from appliance.config import Duty, Fault
from hw.evidence import Track, write_evidence

# (format, rate_hz, axes, window_s, overlap, seconds)
CASES = [
    ("float", 50, 3, 0.1, 0.0, 30),
    ("pcm16", 50, 1, 0.1, 0.0, 30),
    ("csv", 50, 2, 1.28, 0.5, 60),
    ("bare", 200, 2, 0.1, 0.0, 20),
    ("npz", 200, 1, 0.25, 0.75, 20),
    ("float", 200, 3, 1.28, 0.5, 40),
    ("csv", 2000, 3, 0.25, 0.0, 15),
    ("bare", 2000, 1, 1.28, 0.5, 30),
    ("npz", 2000, 2, 0.1, 0.5, 10),
    ("pcm16", 2000, 3, 1.28, 0.75, 15),
    ("npz", 20_000, 3, 0.1, 0.0, 6),
    ("float", 20_000, 1, 0.25, 0.5, 8),
    ("pcm16", 20_000, 2, 1.28, 0.75, 15),
]


def fault_for(rate_hz: float) -> Fault:
    """One that this rate can show."""
    return Fault(kind="imbalance" if rate_hz < 1000 else "outer_race", severity=0.8)


def digest(folder: Path) -> str:
    """Names and contents of a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    parts = [path.relative_to(folder).as_posix().encode() + path.read_bytes() for path in files]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def scored(bundle: Path, recording: list[str], jsonl: Path) -> list[dict[str, object]]:
    assert main(["score", str(bundle), *recording, "--jsonl", str(jsonl)]) == 0
    return [json.loads(line) for line in jsonl.read_text().splitlines()]


@pytest.mark.parametrize(("kind", "rate_hz", "axes", "window_s", "overlap", "seconds"), CASES)
def test_a_fault_ranks_above_healthy(
    tmp_path: Path, kind: str, rate_hz: float, axes: int, window_s: float, overlap: float, seconds: float
) -> None:
    healthy = simulated.accel(rate_hz, axes, 2 * seconds)
    half = len(healthy) // 2
    faulty = simulated.accel(rate_hz, axes, seconds / 2, faults=(fault_for(rate_hz),), seed=2)
    learn = simulated.write(kind, tmp_path / "healthy", healthy[:half], rate_hz)
    held = simulated.write(kind, tmp_path / "later", healthy[half:], rate_hz)
    bad = simulated.write(kind, tmp_path / "faulty", faulty, rate_hz)
    bundle = tmp_path / "bundle"
    cut = ["--window-s", str(window_s), "--overlap", str(overlap)]
    assert main(["learn", *learn, *cut, "--out", str(bundle)]) == 0
    good = [line["score"] for line in scored(bundle, held, tmp_path / "good.jsonl")]
    worn = [line["score"] for line in scored(bundle, bad, tmp_path / "worn.jsonl")]
    n = round(window_s * rate_hz)
    assert len(good) == 1 + (len(healthy) - half - n) // max(1, round(n * (1 - overlap)))
    auc = np.mean([[a > b for b in good] for a in worn])
    assert auc >= 0.995
    threshold = bundles.load(bundle).threshold
    assert np.mean(np.array(good) > threshold) <= 0.05  # of 43 windows at the fewest: two
    assert np.mean(np.array(worn) > threshold) >= 0.9


def test_several_recordings_are_one_baseline(tmp_path: Path) -> None:
    """A load learnt is normal; the same load not learnt is not."""
    quiet = simulated.accel(2000, 2, 15)
    loud = simulated.accel(2000, 2, 30, duty=(Duty(at_s=0, speed=1.3, load=1.1),))
    paths = [
        simulated.write("float", tmp_path / name, part, 2000)[0]
        for name, part in (("quiet", quiet), ("loud", loud[:30_000]), ("probe", loud[30_000:]))
    ]
    one, both = tmp_path / "one", tmp_path / "both"
    cut = ["--window-s", "0.25"]
    assert main(["learn", paths[0], *cut, "--out", str(one)]) == 0
    assert main(["learn", paths[0], paths[1], *cut, "--out", str(both)]) == 0
    manifest = tomllib.loads((both / "manifest.toml").read_text())
    assert [part["name"] for part in manifest["recordings"]] == ["quiet.wav", "loud.wav"]
    assert [part["windows"] for part in manifest["recordings"]] == [119, 119]
    for bundle, strange in ((one, True), (both, False)):
        lines = scored(bundle, [paths[2]], tmp_path / "s.jsonl")
        over = np.mean([line["score"] > line["threshold"] for line in lines])
        assert over > 0.9 if strange else over < 0.05


def test_the_same_recording_and_seed_give_the_same_model(tmp_path: Path) -> None:
    recording = simulated.write("npz", tmp_path / "a", simulated.accel(2000, 1, 10), 2000)[0]
    models = {}
    for name, seed in (("one", "1"), ("again", "1"), ("other", "2")):
        arguments = ["learn", recording, "--window-s", "0.25", "--seed", seed, "--out", str(tmp_path / name)]
        assert main(arguments) == 0
        models[name] = (tmp_path / name / "model.tflite").read_bytes()
    assert models["one"] == models["again"] != models["other"]


def test_a_machine_at_rest_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    signal_ = simulated.accel(2000, 1, 60, duty=(Duty(at_s=30, speed=0, load=0),))
    recording = simulated.write("npz", tmp_path / "stop", signal_, 2000)[0]
    assert main(["learn", recording, "--window-s", "0.25", "--out", str(tmp_path / "b")]) == 0
    windows = tomllib.loads((tmp_path / "b" / "manifest.toml").read_text())["recordings"][0]["windows"]
    assert 239 <= windows <= 320  # 30 s of running at a hop of 0.125 s, and some of the run-down
    assert f"479 windows, {windows} of normal running" in capsys.readouterr().err


def test_live_from_a_configuration(tmp_path: Path) -> None:
    config = tmp_path / "appliance.toml"
    config.write_text(
        '[simulation]\nspeed = 1000\n[[vibration]]\ndriver = "sim"\nname = "de"\nrate_hz = 2000\naxes = 2\n'
        "[analysis]\nlearn_s = 30\n"
    )
    bundle = tmp_path / "b"
    assert main(["learn", str(config), "--window-s", "0.5", "--out", str(bundle)]) == 0
    sensor = bundles.load(bundle).manifest.sensor
    assert (sensor.name, sensor.rate_hz, sensor.axes) == ("de", 2000, 2)
    assert bundles.load(bundle).manifest.threshold.held_out_windows == 119
    recording = simulated.write("npz", tmp_path / "probe", simulated.accel(2000, 2, 5), 2000)
    assert len(scored(bundle, recording, tmp_path / "s.jsonl")) == 19


def test_live_from_a_configuration_that_plays_a_recording(tmp_path: Path) -> None:
    simulated.write("npz", tmp_path / "a", simulated.accel(2000, 1, 10), 2000)
    config = tmp_path / "appliance.toml"
    config.write_text('[[vibration]]\ndriver = "recording"\nname = "de"\npath = "a.npz"\nspeed = 0\n')
    assert main(["learn", str(config), "--window-s", "0.25", "--out", str(tmp_path / "b")]) == 0


def test_one_sensor_of_evidence_with_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, tracks = tmp_path / "two.npz", []
    for name, seed in (("de", 1), ("nde", 2)):
        raw, scale = simulated.counts(2000, 1, 10, seed=seed)
        tracks.append(Track(name, raw, scale, 2000.0, 0))
    write_evidence(path, tracks)
    arguments = ["learn", str(path), "--window-s", "0.25", "--out", str(tmp_path / "b")]
    assert main(arguments) == 1
    assert "de, nde" in capsys.readouterr().err
    assert main([*arguments, "--sensor", "nde"]) == 0
    assert main(["score", str(tmp_path / "b"), str(path), "--sensor", "de"]) == 0


@pytest.mark.parametrize("recordings", [1, 200], ids=["training", "gathering"])
@pytest.mark.parametrize("before", [False, True], ids=["new", "old bundle"])
def test_interrupted_it_changes_nothing(tmp_path: Path, before: bool, recordings: int) -> None:
    recording = simulated.write("npz", tmp_path / "a", simulated.accel(2000, 3, 10), 2000)[0]
    bundle = tmp_path / "out" / "bundle"
    learn = ["learn", "--window-s", "0.25", "--out", str(bundle)]
    if before:
        assert main([*learn, recording]) == 0
    was = digest(tmp_path)
    process = simulated.start(*learn, *[recording] * recordings)
    assert process.stderr is not None
    process.stderr.readline()  # the first recording is gathered: others wait, or it trains now
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "interrupted; nothing was changed"
    assert "Traceback" not in err
    assert digest(tmp_path) == was
