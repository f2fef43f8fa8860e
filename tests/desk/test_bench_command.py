"""`appliance bench`: figures of this device, as text and as JSON."""

import json

import pytest

from appliance.cli import main
from appliance.desk import bench
from hw import board


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert list(report) == list(bench.Report.__struct_fields__)
    for name in ("features_3x4096", "inference", "event_durable"):
        timing = report[name]
        assert 0 < timing["p50_ms"] <= timing["p99_ms"] < 1000
        assert timing["rounds"] >= 100
    assert report["features_3x4096"]["p50_ms"] < 10  # 0.6 ms on a quiet machine; this one may be busy
    assert report["inference"]["p50_ms"] < report["features_3x4096"]["p50_ms"]
    assert report["backend"] in {"litert-xnnpack", "tflite-runtime", "numpy"}
    assert 20 < report["scoring_rss_mb"] < report["peak_rss_mb"] < 2000
    assert 0.05 < report["cold_start_s"] < 60
    assert 0 < report["inference_cpu_ms"] < report["window_cpu_ms"] < 10
    assert report["cpu_share"] == pytest.approx(report["window_cpu_ms"] / 640)
    assert "estimated" in report["energy_method"]


def test_text(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "_ROUNDS", 3)
    assert main(["bench"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0].split(" (")[0] for line in lines] == [
        "features, 3 × 4096 samples",
        "inference, int8 autoencoder",
        "event accepted -> durable on disk",
        "cold start, new process to first score",
        "processor time, window / inference",
        "share of one core, one sensor at 3200 Hz",
        "memory of a process that scores",
        "peak memory of this command",
        "energy",
    ]
    assert all(" ms" in line for line in lines[:3])


def test_energy_is_processor_time_times_the_power_in_the_boards_profile(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "_ROUNDS", 3)
    monkeypatch.setattr(board, "this_board", lambda: "pi4")
    assert main(["bench", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["board"], report["board_w"]) == ("Raspberry Pi 4", 3.0)
    assert report["window_mj"] == pytest.approx(3.0 * report["window_cpu_ms"])
    assert report["inference_mj"] == pytest.approx(3.0 * report["inference_cpu_ms"])
