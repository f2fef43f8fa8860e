"""tools/train: a bundle and its report from recordings, the choice of widths, a base that is reproduced."""

import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import replace
from math import nan

import numpy as np
import pytest
import simulated

from appliance.analysis import base as bases
from appliance.analysis import baseline, signature
from appliance.analysis import bundle as bundles
from appliance.analysis.autoencoder import Dense
from appliance.analysis.features import Extractor
from appliance.cli import main as appliance
from appliance.config import Fault
from appliance.errors import LearningError
from tools.training import edgetpu, figures, search
from tools.training.__main__ import main
from tools.training.figures import Cost, Quality
from tools.training.search import Candidate, Distillation

COMPILER = """#!/bin/sh
while [ $# -gt 1 ]; do [ "$1" = --out_dir ] && out=$2; shift; done
[ -n "$BROKEN" ] && { echo "ERROR: $BROKEN" >&2; exit 1; }
{ printf compiled; cat "$1"; } > "$out/$(basename "$1" .tflite)_edgetpu.tflite"
"""


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings")
    normal = simulated.accel(500, 1, 40)
    fault = simulated.accel(500, 1, 10, faults=(Fault(kind="misalignment", severity=0.5),), seed=2)
    paths = [simulated.write("float", folder / "one", normal[:10_000], 500)[0]]
    paths += simulated.write("npz", folder / "two", normal[10_000:], 500)[:1]
    return paths, simulated.write("csv", folder / "fault", fault, 500)[0]


@pytest.fixture(scope="module")
def trained(recordings, tmp_path_factory):
    """A bundle trained with faulty recordings, a key, and something that stands for Google's compiler."""
    normal, faulty = recordings
    folder = tmp_path_factory.mktemp("trained")
    compiler = folder / "bin" / "edgetpu_compiler"
    compiler.parent.mkdir()
    compiler.write_text(COMPILER)
    compiler.chmod(0o755)
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{compiler.parent}:{before}"
    try:
        how = ["--window-s", "0.25", "--out", str(folder / "made"), "--key", str(folder / "vendor.key")]
        with (folder / "said").open("w") as said, contextlib.redirect_stdout(said):
            assert main(["bundle", *normal, "--faulty", faulty, *how, "--serial", "7"]) == 0
    finally:
        os.environ["PATH"] = before
    return folder


def test_it_is_an_ordinary_signed_bundle(trained, recordings, tmp_path):
    bundle = bundles.load(trained / "made")
    key = signature.own_key(trained / "vendor.key")
    origin = bundle.manifest.origin
    assert (origin.signer, origin.serial) == (signature.public_key(key), 7)
    assert f"signed by {origin.signer}\n" in (trained / "said").read_text()
    assert signature.is_by(bundle.files["SHA256SUMS"], bundle.files["SHA256SUMS.sig"], origin.signer)
    assert [one.name for one in bundle.manifest.recordings] == ["one.wav", "two.npz"]
    (_, faulty), log = recordings, tmp_path / "scores.jsonl"
    assert appliance(["score", str(trained / "made"), faulty, "--jsonl", str(log)]) == 0


def test_the_report_tells_of_every_network_and_what_was_chosen(trained):
    text = (trained / "made-report" / "report.md").read_text()
    bundle = bundles.load(trained / "made")
    rows = [line for line in text.splitlines() if line.count("|") == 11 and "-" in line.split("|")[1]][1:]
    assert len(rows) >= 5
    [chosen] = [line.split("|") for line in rows if "**chosen**" in line]
    assert (
        int(chosen[3]) == len(bundle.files["model.tflite"]) == min(int(line.split("|")[3]) for line in rows)
    )
    assert float(chosen[7]) > 0.99
    assert "does not help: the plain network is in the bundle" in text
    assert "| int4 weights, report only |" in text
    assert (trained / "made-report" / "report.png").read_bytes().startswith(b"\x89PNG")


def test_where_the_compiler_is_its_work_is_kept_under_the_name_that_the_appliance_seeks(trained):
    bundle = bundles.load(trained / "made")
    name = f"{bundle.id}_edgetpu.tflite"
    made = (trained / "made-report" / name).read_bytes()
    assert made == b"compiled" + bundle.files["model.tflite"]
    assert f"`{name}`, for the folder" in (trained / "made-report" / "report.md").read_text()


@pytest.mark.parametrize(
    ("there", "words"), [(False, "is not installed here"), (True, "ended with 1: ERROR: no")]
)
def test_without_it_or_where_it_fails_the_report_says_so(trained, tmp_path, monkeypatch, there, words):
    monkeypatch.setenv("PATH", f"{trained / 'bin' if there else tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("BROKEN", "no operation fits")
    assert words in edgetpu.compiled(bundles.load(trained / "made"), tmp_path)
    assert not list(tmp_path.iterdir())


def test_interrupted_it_changes_nothing(recordings, tmp_path):
    command = [sys.executable, "-m", "tools.training", "bundle", *recordings[0] * 40, "--window-s", "0.25"]
    process = subprocess.Popen(
        [*command, "--out", str(tmp_path / "made")],
        env=simulated.ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err.splitlines()[-1]) == (130, "interrupted; nothing was changed")
    assert not list(tmp_path.iterdir())


def test_a_recording_that_cannot_be_read_is_named(tmp_path, capsys):
    assert main(["bundle", str(tmp_path / "no.wav"), "--out", str(tmp_path / "made")]) == 1
    assert "no.wav" in capsys.readouterr().err


def candidate(name, size, us, **quality):
    how = {"rise_db": 1.0, "auc": nan, "fpr": 0.0, "tpr": nan} | quality
    return Candidate(name, (8, 2), None, Quality(**how), Cost(size, size, us, us))


def test_the_smallest_that_is_as_good_as_the_best_is_chosen():
    some = [candidate("large", 9000, 5.0), candidate("small", 3000, 2.0, rise_db=1.04)]
    some.append(candidate("smaller", 2000, 2.0, rise_db=1.2))
    assert search.choose(some, 10_000, 10.0).name == "small"
    assert search.choose(some, 2500, 10.0).name == "smaller"
    assert search.choose(some, 10_000, 2.0).name == "small"
    with pytest.raises(LearningError, match=r"the smallest has 2000 bytes, the fastest takes 2\.0 µs"):
        search.choose(some, 1999, 10.0)


def test_with_faults_at_hand_they_decide():
    some = [candidate("large", 9000, 5.0, auc=0.999, tpr=0.95)]
    some.append(candidate("deaf", 2000, 2.0, rise_db=0.1, auc=0.99, tpr=0.95))
    some.append(candidate("late", 2500, 2.0, rise_db=0.1, auc=0.999, tpr=0.90))
    some.append(candidate("small", 3000, 2.0, rise_db=9.0, auc=0.9985, tpr=0.945))
    assert search.choose(some, 10_000, 10.0).name == "small"


def qualities(key, values):
    plain = Quality(1.0, nan if key == "rise_db" else 0.9, 0.0, nan if key == "rise_db" else 0.5)
    return [replace(plain, **{key: value}) for value in values]


@pytest.mark.parametrize(
    ("key", "plain", "distilled", "helps"),
    [
        ("rise_db", (1.0, 1.02, 0.98), (0.8, 0.81, 0.79), True),
        ("rise_db", (1.0, 1.02, 0.98), (0.98, 1.0, 0.96), False),
        ("rise_db", (1.0, 1.4, 0.9), (0.7, 1.5, 0.8), False),
        ("tpr", (0.90, 0.91, 0.90), (0.95, 0.96, 0.95), True),
        ("tpr", (0.90, 0.91, 0.90), (0.85, 0.86, 0.85), False),
    ],
)
def test_distillation_helps_if_it_gains_more_than_the_seeds_scatter(key, plain, distilled, helps):
    assert Distillation(qualities(key, plain), qualities(key, distilled), None).helps is helps


def test_the_rise_found_is_the_one_that_crosses_the_threshold(learnt_small):
    learnt, X = learnt_small
    found = figures.quality(learnt, X, None).rise_db
    levels = [feature.kind in figures.LEVELS for feature in learnt.features]
    for change_db, over in ((-0.2, False), (0.2, True)):
        louder = np.where(levels, X * 10 ** ((found + change_db) / 20), X).astype(np.float32)
        assert (np.median(learnt.scores(louder)) > learnt.threshold) == over


def test_int4_weights_lie_on_fifteen_levels_an_output(learnt_small):
    learnt, X = learnt_small
    for layer in figures.int4(learnt, X).layers:
        assert isinstance(layer, Dense)
        for row in layer.weight:
            assert len(np.unique(np.round(row / np.abs(row).max() * 7, 3))) <= 15


@pytest.fixture(scope="module")
def learnt_small():
    extractor = Extractor(500.0, 125, ("x",))
    accel = simulated.accel(500, 1, 20)
    X = np.stack([extractor(np.ascontiguousarray(part.T)) for part in np.split(accel, 80)])[::2]
    return baseline.learn([X], extractor.features), X


def test_a_base_comes_out_the_same_byte_for_byte(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1795219200")
    made = []
    for folder in (tmp_path / "a" / "small", tmp_path / "b" / "small"):
        how = ["--rate", "500", "--axes", "1", "--machines", "6"]
        assert main(["base", *how, "--out", str(folder)]) == 0
        made.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert made[0] == made[1]
    base = bundles.load(tmp_path / "a" / "small")
    assert (base.manifest.created, base.manifest.base.machines) == ("2026-11-21T00:00:00Z", 6)
    assert base.manifest.threshold.value > 1.0
    assert bases.FOLDER.resolve() == simulated.ROOT / "models"
