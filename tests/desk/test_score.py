"""`appliance score`: its JSON lines, gaps, rates that nearly fit, and what an interruption leaves."""

import json
import signal
from pathlib import Path

import numpy as np
import pytest
import simulated
from simulated import Learnt

from appliance.analysis import bundle as bundles
from appliance.cli import main
from hw.csvfile import write_csv
from hw.evidence import Track, write_evidence
from hw.recording import load
from hw.waveform import Gap


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def score(pump: Learnt, out: Path, *recordings: Path | str) -> list[dict[str, object]]:
    assert main(["score", str(pump.bundle), *map(str, recordings), "--jsonl", str(out)]) == 0
    return lines_of(out)


def test_one_line_per_window(pump: Learnt, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = score(pump, tmp_path / "s.jsonl", pump.healthy, pump.faulty)
    assert len(lines) == 2 * 79
    for line in lines:
        assert list(line) == ["recording", "t_s", "score", "threshold", "state", "quality", "top"]
        assert line["threshold"] == pytest.approx(bundles.load(pump.bundle).threshold)
        assert (line["state"], line["quality"]) == ("running", "ok")
        for part in line["top"]:
            assert set(part) == {"feature", "words", "share", "ratio"}
            assert 0 < part["share"] <= 1
    for name, part in (("healthy.npz", lines[:79]), ("faulty.npz", lines[79:])):
        assert {line["recording"] for line in part} == {name}
        assert [line["t_s"] for line in part] == pytest.approx([0.125 * i for i in range(79)], abs=1e-3)
    assert max(line["score"] for line in lines[:79]) < min(line["score"] for line in lines[79:])
    err = capsys.readouterr().err
    assert "healthy.npz 79 windows" in err
    assert "faulty.npz 79 windows" in err
    assert "100% over" in err


def test_the_same_recording_scores_the_same(pump: Learnt, tmp_path: Path) -> None:
    first = score(pump, tmp_path / "a", pump.faulty), (tmp_path / "a").read_bytes()
    again = score(pump, tmp_path / "a", pump.faulty), (tmp_path / "a").read_bytes()
    assert first == again


def test_formats_agree(pump: Learnt, tmp_path: Path) -> None:
    """The same signal as evidence, float WAV, CSV with a time column and without scores the same."""
    signal_ = load(pump.faulty).accel
    expected = [line["score"] for line in score(pump, tmp_path / "s.jsonl", pump.faulty)]
    for kind in ("float", "csv", "bare"):
        options = simulated.write(kind, tmp_path / kind, signal_, 2000)
        found = [line["score"] for line in score(pump, tmp_path / "s.jsonl", *options)]
        assert found == pytest.approx(expected, rel=0.01)


def test_units_matter(pump: Learnt, tmp_path: Path) -> None:
    """A file of bare numbers in m/s² that is taken for g is a machine ten times as loud."""
    [path, *options] = simulated.write("bare", tmp_path / "bare", load(pump.healthy).accel, 2000)
    right = score(pump, tmp_path / "s.jsonl", path, *options)
    wrong = score(pump, tmp_path / "s.jsonl", path, *options[:2], "--units", "g", *options[4:])
    assert np.mean([line["score"] > line["threshold"] for line in right]) <= 0.02
    assert all(line["score"] > line["threshold"] for line in wrong)


def test_overlap_can_be_another(pump: Learnt, tmp_path: Path) -> None:
    lines = score(pump, tmp_path / "s.jsonl", pump.healthy, "--overlap", "0.75")
    assert len(lines) == 1 + (20_000 - 500) // 125
    assert [line["t_s"] for line in lines] == pytest.approx([0.0625 * i for i in range(len(lines))], abs=1e-3)


def test_a_gap_is_not_ok_and_time_goes_on(pump: Learnt, tmp_path: Path) -> None:
    raw, scale = simulated.counts(2000, 2, 10)
    path = tmp_path / "gap.npz"
    write_evidence(path, [Track("de", raw, scale, 2000.0, 0, lost=(Gap(9_999, 3_000),))])
    lines = score(pump, tmp_path / "s.jsonl", path)
    spoilt = [line for line in lines if line["quality"] == "not_ok"]
    assert spoilt
    assert all(line["score"] is None and line["top"] == [] for line in spoilt)
    good = [line["t_s"] for line in lines if line["quality"] == "ok"]
    assert [t for t in good if 4.76 < t < 6.5] == []  # no window touches the gap from 5.0 to 6.5 s
    assert good[-1] == pytest.approx(11.5 - 0.25, abs=0.13)
    assert len(good) > 70


def test_missing_numbers_in_a_csv_spoil_their_windows_only(pump: Learnt, tmp_path: Path) -> None:
    path, signal_ = tmp_path / "holes.csv", load(pump.healthy).accel.copy()
    signal_[8_000:8_040, 1] = np.nan
    write_csv(path, signal_, 2000, ("x", "y"))
    lines = score(pump, tmp_path / "s.jsonl", path)
    assert {line["quality"] for line in lines} == {"ok", "not_ok"}
    good = [line["t_s"] for line in lines if line["quality"] == "ok"]
    assert [t for t in good if 3.76 < t < 4.02] == []
    assert len(good) >= 70
    assert np.mean([line["score"] > line["threshold"] for line in lines if line["quality"] == "ok"]) <= 0.02


def test_what_no_sensor_measures_is_not_ok(pump: Learnt, tmp_path: Path) -> None:
    path, signal_ = tmp_path / "burst.csv", load(pump.healthy).accel.copy()
    signal_[5_000] = 1e7
    write_csv(path, signal_, 2000, ("x", "y"), "m/s2")
    lines = score(pump, tmp_path / "s.jsonl", path)
    assert len(lines) == 79
    assert {line["quality"] for line in lines if 2.26 <= line["t_s"] <= 2.49} == {"not_ok"}


def test_why_windows_are_not_ok_is_said(
    pump: Learnt, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, signal_ = tmp_path / "loose.csv", load(pump.healthy).accel.copy()
    signal_[8_000:8_040, 1] = np.nan
    write_csv(path, signal_, 2000, ("x", "y"))
    lines = score(pump, tmp_path / "s.jsonl", path)
    spoilt = sum(line["quality"] == "not_ok" for line in lines)
    shown = capsys.readouterr().err
    assert f"{len(lines)} windows, {spoilt} NOT OK (samples are missing), score median" in shown
    signal_[::400] = np.nan
    write_csv(path, signal_, 2000, ("x", "y"))
    lines = score(pump, tmp_path / "s.jsonl", path)
    none = f"{len(lines)} windows, {len(lines)} NOT OK (samples are missing), "
    assert f"{none}none usable" in capsys.readouterr().err
    assert main(["learn", str(path), "--window-s", "0.25", "--out", str(tmp_path / "b")]) == 1
    assert f"{none}0 of normal running" in capsys.readouterr().err


@pytest.mark.parametrize("rate_hz", [1985.0, 2015.0])
def test_a_clock_within_one_percent_fits(pump: Learnt, tmp_path: Path, rate_hz: float) -> None:
    options = simulated.write("npz", tmp_path / "slow", load(pump.healthy).accel, rate_hz)
    lines = score(pump, tmp_path / "s.jsonl", *options)
    assert [line["t_s"] for line in lines] == pytest.approx([250 * i / rate_hz for i in range(79)], abs=2e-3)
    assert np.mean([line["score"] > line["threshold"] for line in lines]) < 0.1


def test_without_jsonl_it_writes_nothing(
    pump: Learnt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["score", str(pump.bundle), str(pump.faulty)]) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_fault_in_the_second_recording_leaves_the_old_file(pump: Learnt, tmp_path: Path) -> None:
    out = tmp_path / "s.jsonl"
    out.write_text("old\n")
    missing = tmp_path / "none.wav"
    assert main(["score", str(pump.bundle), str(pump.healthy), str(missing), "--jsonl", str(out)]) == 1
    assert out.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("before", [None, "old\n"])
def test_interrupted_it_leaves_no_half_file(pump: Learnt, tmp_path: Path, before: str | None) -> None:
    out = tmp_path / "s.jsonl"
    if before:
        out.write_text(before)
    process = simulated.start("score", pump.bundle, *[pump.faulty] * 300, "--jsonl", out)
    assert process.stderr is not None
    while "79 windows" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "interrupted; nothing was changed"
    assert "Traceback" not in err
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == (
        [("s.jsonl", before)] if before else []
    )
