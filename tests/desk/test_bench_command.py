"""`appliance bench`: figures of this device, as text and as JSON."""

import json

import pytest

from appliance.cli import main
from appliance.desk import bench


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert list(report) == ["features_3x4096", "inference", "backend", "event_durable", "peak_rss_mb"]
    for name in ("features_3x4096", "inference", "event_durable"):
        timing = report[name]
        assert 0 < timing["p50_ms"] <= timing["p99_ms"] < 1000
        assert timing["rounds"] >= 100
    assert report["features_3x4096"]["p50_ms"] < 10  # 0.6 ms on a quiet machine; this one may be busy
    assert report["inference"]["p50_ms"] < report["features_3x4096"]["p50_ms"]
    assert report["backend"] in {"litert-xnnpack", "tflite-runtime", "numpy"}
    assert 20 < report["peak_rss_mb"] < 2000


def test_text(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "_ROUNDS", 3)
    assert main(["bench"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0].split(" (")[0] for line in lines] == [
        "features, 3 × 4096 samples",
        "inference, int8 autoencoder",
        "event accepted -> durable on disk",
        "peak memory of this command",
    ]
    assert all(" ms" in line for line in lines[:3])
